"""Nothing that a terminal, a page or a drawing obeys comes through, whatever the way out."""

from __future__ import annotations

import asyncio
import io
import json
import re
import sys
import traceback
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from openai import AsyncOpenAI

from agentstream import (
    Agent,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    show,
)
from agentstream.__main__ import main
from agentstream._utils.printable import clean_text, printable, printable_line, write_text
from agentstream.notebook.magic.magic import _one_line
from agentstream.notebook.snapshot.bundle import snapshot
from agentstream.notebook.terminal import TerminalView
from agentstream.repl import run_demo_loop
from agentstream.testing import ScriptedModel, ScriptedServer, call, http_error, raw, turn
from agentstream.trace import Trace
from agentstream.trace.lifecycle import RunFailed
from agentstream.trace.timeline.timeline import Timeline
from tests.notebook.hostile import CONTROL_SEQUENCES, OWN_PAYLOADS, dompurify_payloads

OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)


def hostile_run(text: str) -> Any:
    """A finished run in which every name, argument, output and text is `text`."""

    def work(value: str) -> str:
        raise ValueError(text) if value == "fail" else None or text

    @function_tool(name_override="work", failure_error_function=lambda _, error: f"{error}{text}")
    def tool(value: str) -> str:
        return text

    helper = Agent(name=f"Helper {text}", model=ScriptedModel([text]))
    nested = helper.as_tool(tool_name="nested", tool_description="x")
    given = text.encode("utf-8", "replace").decode()  # a script is JSON
    model = ScriptedModel(
        [[call("work", value=given), call("nested", input=given)], f"{text} end {text}"]
    )
    agent = Agent(name=f"Agent {text}", model=model, tools=[tool, nested])
    result = Runner.run_streamed(agent, text or "?")
    for _ in result:
        pass
    return result


@pytest.mark.parametrize("text", CONTROL_SEQUENCES, ids=ascii)
def test_no_control_sequence_leaves_by_any_text_of_a_run(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    result = hostile_run(text)
    result.trace.error = text
    result.trace.name = text
    show(result)._ipython_display_()
    sys.stdout.write(str(result.timeline()))
    sys.stdout.write(str(result.last_agent.graph(result)))
    sys.stdout.write(snapshot(result.trace, table=True, timeline=True)["text/plain"])
    for table in ("items", "turns", "events", "spans"):
        # A carriage return is kept: arguments are data, and pandas writes them as they are.
        sys.stdout.write(result.to_frame(table).to_string().replace("\r", ""))
    written = capsys.readouterr().out
    assert "Agent" in written
    assert not OBEYED.findall(written)


@pytest.mark.parametrize("text", CONTROL_SEQUENCES, ids=ascii)
def test_names_that_hold_control_sequences_stay_names(text: str) -> None:
    trace = Trace()
    out = io.StringIO()
    view = TerminalView(trace, out)
    trace.set_agent(f"{text}\nroot@host:~# ")
    part = trace.find_call("c1", name=f"{text}\nroot@host:~# ")
    part.agent, part.output, part.has_output = trace.agent, text, True
    view.update()
    trace.add(RunFailed(text), 1.0)
    view.close()
    assert not OBEYED.findall(out.getvalue())
    assert not any(line.startswith("root@") for line in out.getvalue().splitlines())


@pytest.mark.parametrize("text", CONTROL_SEQUENCES, ids=ascii)
def test_a_picture_is_xml_and_turns_no_text_round(text: str, tmp_path: Path) -> None:
    result = hostile_run(text)
    for picture in (Timeline(result, title=text), result.last_agent.graph(result)):
        svg = picture.svg()
        assert not OBEYED.findall(svg)
        ElementTree.fromstring(svg)
        for suffix in (".svg", ".html"):
            assert not OBEYED.findall(picture.save(tmp_path / f"it{suffix}").read_text("utf-8"))


@pytest.mark.parametrize("text", CONTROL_SEQUENCES, ids=ascii)
def test_one_line_errors_and_the_command_line_obey_nothing(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not OBEYED.findall(_one_line(ValueError(text)))
    notebook = tmp_path / "lesson.ipynb"
    error = {"output_type": "error", "ename": f"E{text}", "evalue": text, "traceback": [text]}
    cell = {"cell_type": "code", "source": text, "metadata": {}, "outputs": [error]}
    cell |= {"execution_count": 1}
    book = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    notebook.write_text(json.dumps(book), encoding="utf-8")
    assert main(["check-tutorial", str(notebook)]) == 1
    asks = iter(["hello", "exit"])
    monkeypatch.setattr("builtins.input", lambda _: next(asks))
    asyncio.run(run_demo_loop(Agent(name=f"A{text}", model=ScriptedModel([text]))))
    written = capsys.readouterr()
    assert written.err.startswith("lesson.ipynb")
    assert not OBEYED.findall(written.out + written.err)


def test_the_whole_hostile_corpus_goes_through_a_terminal() -> None:
    out = io.StringIO()
    trace = Trace()
    view = TerminalView(trace, out)
    for text in (*CONTROL_SEQUENCES, *OWN_PAYLOADS, *dompurify_payloads()):
        trace.set_agent(text)
        view.update()
        view.add(text + "\n")
    assert not OBEYED.findall(out.getvalue())


def test_a_pair_whose_halves_come_apart_is_written_whole() -> None:
    out = io.StringIO()
    result = Runner.run_streamed(Agent(name="A", model=ScriptedModel(["x"])), "?")
    for _ in result:
        pass
    part = result.trace.parts[0]
    part.status, part.ended = "in_progress", None
    part.body.replace("one \ud83d")
    view = TerminalView(result.trace, out)
    view.update()
    part.body.append("\ude00 two")
    result.trace.touch(part)
    view.update()
    assert out.getvalue().endswith("one \U0001f600 two")


def test_a_terminal_that_lacks_characters_gets_question_marks() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    write_text("→ naïve \ud83d\n", out)
    out.flush()
    assert raw.getvalue() == b"? na?ve ?\n"


def test_prose_in_all_scripts_passes_as_it_is() -> None:
    prose = "Grüße, 東京, \u200fשלום\u200e, नमस्ते, \U0001f469\u200d\U0001f680\tend\n"
    assert clean_text(prose) == printable(prose) == prose
    assert printable_line(prose) == prose.replace("\t", " ").replace("\n", " ")


CONTROLS = "\x1b]52;c;aGk=\x07\x1b[2J\x9b31m\u202ewith\x00"


def _answers() -> dict[str, Any]:
    def sse(data: Any, name: str = "") -> Any:
        event = f"event: {name}\n" if name else ""
        return raw(f"{event}data: {json.dumps(data)}\n\n".encode())

    said = f"Refused {CONTROLS}"
    failed = {"id": "r", "object": "response", "output": [], "status": "failed",
              "error": {"code": "server_error", "message": said}}  # fmt: skip
    return {
        "error payload": sse({"error": {"message": said}}),
        "error as a text": sse({"error": said}),
        "detail": sse({"detail": said}),
        "named event": sse({"anything": said}, "error"),
        "error in a choice": sse({"choices": [{"index": 0, "error": {"message": said}}]}),
        "no object": sse([said]),
        "type error": sse({"type": "error", "code": "x", "message": said, "param": None}, "error"),
        "response.failed": sse(
            {"type": "response.failed", "response": failed, "sequence_number": 0}
        ),
        "HTML": raw(f"<html>{said}</html>".encode(), content_type="text/html"),
        "JSON": raw(json.dumps({"x": said}).encode(), content_type="application/json"),
        "401": turn(http_error(401, message=said)),
        "an unknown tool": turn(call(f"tool{CONTROLS}")),
        "a tool's wrong arguments": turn(call("strict", number=f"x{CONTROLS}")),
        "no output of its type": turn(f'{{"number": "{CONTROLS.encode("unicode_escape")!r}"}}'),
    }


@pytest.mark.pairwise
@pytest.mark.parametrize("answer", _answers())
@pytest.mark.parametrize("api", [OpenAIResponsesModel, OpenAIChatCompletionsModel])
@pytest.mark.parametrize("streamed", [True, False])
async def test_python_prints_no_control_sequence_of_an_error(
    answer: str, api: Any, streamed: bool
) -> None:
    @function_tool(failure_error_function=None)
    def strict(number: int) -> str:
        return "x"

    with ScriptedServer([_answers()[answer]] * 2) as server:
        async with AsyncOpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:
            agent = Agent(name="A", model=api("m", client), tools=[strict], output_type=int)
            with pytest.raises(Exception) as caught:
                if streamed:
                    async for _ in Runner.run_streamed(agent, "go").stream_events():
                        pass
                else:
                    await Runner.run(agent, "go")
    lines = traceback.TracebackException.from_exception(caught.value)
    told = list(lines.format_exception_only())
    told += [str(each) for each in (caught.value.__cause__, caught.value.__context__) if each]
    assert not OBEYED.findall("".join(told)), told
