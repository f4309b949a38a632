"""What somebody meets who makes a mistake: one screen, the near name, what to write instead."""

from __future__ import annotations

import asyncio
import pickle
import re
import traceback
import warnings
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest

import agentstream
from agentstream import (
    Agent,
    Gate,
    GuardrailFunctionOutput,
    Limits,
    ModelSettings,
    MultiProvider,
    OpenAIResponsesCompactionSession,
    RecordedModel,
    RunConfig,
    RunErrorHandlerResult,
    Runner,
    RunResult,
    RunState,
    SessionSettings,
    SQLiteSession,
    UserError,
    chat,
    estimate,
    function_tool,
    handoff,
    input_guardrail,
    load_run,
    map_frame,
    output_guardrail,
    recording,
    set_default_openai_api,
    show,
    tool_input_guardrail,
    tool_output_guardrail,
)
from agentstream._utils.keywords import Suggesting
from agentstream._utils.tracebacks import render
from agentstream.extensions import memory
from agentstream.mcp import (
    MCPServerSse,
    MCPServerStdio,
    MCPServerStreamableHttp,
    create_static_tool_filter,
)
from agentstream.mcp.filters import filtered
from agentstream.notebook.magic.magic import load_ipython_extension
from agentstream.testing import ScriptedModel, call

pytest.importorskip("IPython", reason="the lab extra is not installed")


def poet(**options: Any) -> Agent:
    return Agent(name="Poet", model=ScriptedModel(["It rains."], loop=True), **options)


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    """IPython in this process, whose `typed` is what it writes for a cell."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    InteractiveShell.clear_instance()
    no_history = Config(HistoryManager={"enabled": False})  # which would be a file left open
    shell = InteractiveShell.instance(colors="nocolor", config=no_history)

    def typed(cell: str) -> str:
        capsys.readouterr()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            shell.run_cell(cell)
        return re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out)

    shell.typed = typed
    shell.typed("from agentstream import *\nfrom agentstream.testing import *")
    shell.typed("bare = Agent(name='Bare')")
    shell.typed("talker = Agent(name='Talker', model=ScriptedModel(['Hello.'], loop=True))")
    yield shell
    InteractiveShell.clear_instance()


@pytest.mark.parametrize(
    ("call_it", "meant"),
    [
        (lambda: Agent(name="A", instruction="x"), "Agent() got an unexpected keyword argument"),
        (lambda: Agent(name="A").clone(instruction="x"), "Did you mean 'instructions'?"),
        (lambda: ModelSettings(temprature=1), "Did you mean 'temperature'?"),  # type: ignore[call-arg]
        (lambda: RunConfig(modle="m"), "Did you mean 'model'?"),  # type: ignore[call-arg]
        (lambda: RunConfig.of({"modle": "m"}), "did you mean 'model'?"),
        (lambda: show(poet(), "x", timelin=True), "show() got an unexpected keyword argument"),
        (lambda: show(poet(), "x", max_turn=1), "Did you mean 'max_turns'?"),
        (lambda: show(poet(), prompt="x"), "Did you mean 'input'?"),
        (lambda: Agent(name="A", system_prompt="x"), "Did you mean 'instructions'?"),  # type: ignore[call-arg]
        (lambda: Agent(name="A", temperature=1), "Did you mean 'model_settings'?"),  # type: ignore[call-arg]
        (lambda: Agent(name="A", result_type=int), "Did you mean 'output_type'?"),  # type: ignore[call-arg]
        (lambda: chat(poet(), sesion=None), "chat() got an unexpected keyword argument"),
        (lambda: chat(poet(), hook=None), "Did you mean 'hooks'?"),
        (lambda: Runner.run_sync(poet(), "x", max_turn=1), "Did you mean 'max_turns'?"),  # type: ignore[call-arg]
        (lambda: Runner.run_streamed(poet(), "x", sesion=1), "Did you mean 'session'?"),  # type: ignore[call-arg]
        (lambda: asyncio.run(Runner.run(poet(), "x", max_turn=1)), "Did you mean 'max_turns'?"),  # type: ignore[call-arg]
    ],
)
def test_an_unknown_keyword_argument_names_the_near_one(call_it: Any, meant: str) -> None:
    with pytest.raises(TypeError, match=re.escape(meant)):
        call_it()


ROWS = pd.DataFrame({"review": ["Great!"]})


def add(a: int, b: int) -> int:
    """Add."""
    return a + b


@pytest.mark.parametrize(
    ("call_it", "meant"),
    [
        (lambda: map_frame(poet(), ROWS, "{review}", concurency=3), "concurrency"),  # type: ignore[call-overload]
        (lambda: estimate(poet(), ROWS, "{review}", sampel=3), "sample"),  # type: ignore[call-arg]
        (lambda: function_tool(add, strict=False), "strict_mode"),  # type: ignore[call-overload]
        (lambda: handoff(poet(), tool_name="x"), "tool_name_override"),  # type: ignore[call-arg]
        (lambda: poet().as_tool(name="x", tool_description=""), "tool_name"),  # type: ignore[call-arg]
        (lambda: recording("run.jsonl", sped=4), "speed"),  # type: ignore[call-arg]
        (lambda: load_run("run.jsonl", spede=4), "speed"),  # type: ignore[call-arg]
        (lambda: SQLiteSession("ada", path="x.db"), "db_path"),  # type: ignore[call-arg]
        (lambda: Limits(used=3), "usd"),  # type: ignore[call-arg]
        (lambda: done().to_frame(tabel="items"), "table"),  # type: ignore[call-arg]
        (lambda: done().timeline(widht=3), "width"),  # type: ignore[call-arg]
        (lambda: function_tool(add, name="plus"), "name_override"),  # type: ignore[call-overload]
        (lambda: handoff(poet(), name="x"), "tool_name_override"),  # type: ignore[call-arg]
        (lambda: Gate(requests_per_min=3), "requests_per_minute"),  # type: ignore[call-arg]
        (lambda: ScriptedModel([], lop=True), "loop"),  # type: ignore[call-arg]
        (lambda: SessionSettings(limt=3), "limit"),  # type: ignore[call-arg]
        (lambda: SQLiteSession("ada", limit=3), "session_settings"),  # type: ignore[call-arg]
        (lambda: input_guardrail(run_in_paralel=False), "run_in_parallel"),  # type: ignore[call-overload]
        (lambda: output_guardrail(nam="x"), "name"),  # type: ignore[call-overload]
        (lambda: tool_input_guardrail(nam="x"), "name"),  # type: ignore[call-overload]
        (lambda: tool_output_guardrail(nam="x"), "name"),  # type: ignore[call-overload]
        (lambda: GuardrailFunctionOutput(1, tripwire=True), "tripwire_triggered"),  # type: ignore[call-arg]
        (lambda: RunErrorHandlerResult(output="x"), "final_output"),  # type: ignore[call-arg]
        (lambda: MCPServerStdio(command="x"), "params"),  # type: ignore[call-arg]
        (lambda: MCPServerSse({"url": "http://x"}, nam="x"), "name"),  # type: ignore[call-arg]
        (lambda: MCPServerStreamableHttp(url="http://x"), "params"),  # type: ignore[call-arg]
        (lambda: create_static_tool_filter(allowed_tools=["x"]), "allowed_tool_names"),  # type: ignore[call-arg]
    ],
)
def test_an_unknown_keyword_of_any_function_is_a_type_error(call_it: Any, meant: str) -> None:
    with pytest.raises(TypeError, match=f"unexpected keyword.*Did you mean '{meant}'"):
        call_it()


def done() -> RunResult:
    return Runner.run_sync(poet(), "x")


def looks(*args: Any) -> GuardrailFunctionOutput:
    return GuardrailFunctionOutput(None, tripwire_triggered=False)


def tools_of(server: MCPServerStdio) -> Any:
    return asyncio.run(server.list_tools())


@pytest.mark.parametrize(
    ("call_it", "error", "text"),
    [
        (lambda: poet().tool, AttributeError, "Did you mean 'tools'?"),  # type: ignore[attr-defined]
        (lambda: poet(mcp_config={"include_server_in_names": 1}), TypeError, "_in_tool_names'?"),
        (lambda: SQLiteSession("ada", session_settings=20), TypeError, "SessionSettings(limit=20)"),  # type: ignore[arg-type]
        (
            lambda: Runner.run_sync(poet(output_guardrails=[input_guardrail(looks)]), "x"),
            UserError,
            "another decorator than @output_guardrail",
        ),
        (
            lambda: Runner.run_sync(poet(input_guardrails=[output_guardrail(looks)]), "x"),
            UserError,
            "another decorator than @input_guardrail",
        ),
        (
            lambda: function_tool(tool_input_guardrails=[looks])(add),  # type: ignore[list-item]
            UserError,
            "of tool 'add': decorate 'looks' with @tool_input_guardrail",
        ),
        (
            lambda: function_tool(tool_output_guardrails=[tool_input_guardrail(looks)])(add),  # type: ignore[arg-type, list-item]
            UserError,
            "of tool 'add': decorate 'looks' with @tool_output_guardrail",
        ),
        (
            lambda: Runner.run_sync(poet(), "x", error_handlers={"max_turn": looks}),  # type: ignore[arg-type]
            UserError,
            "error_handlers has no 'max_turn'. Did you mean 'max_turns'?",
        ),
        (
            lambda: Runner.run_sync(poet(), "x", error_handlers={"max_turns": 3}),  # type: ignore[arg-type]
            UserError,
            "must be a function, got int",
        ),
        (lambda: Runner.run_sync(poet(), done()), UserError, "result.to_state()"),  # type: ignore[arg-type]
        (
            lambda: asyncio.run(RunState.from_json(poet(), "{}")),  # type: ignore[arg-type]
            UserError,
            "got str. Read a text with RunState.from_string().",
        ),
        (
            lambda: map_frame(poet(), ROWS, "{review}", scorers=add),  # type: ignore[call-overload]
            UserError,
            "scorers=[f]",
        ),
        (lambda: function_tool(add, timeout=5), ValueError, "Write 'add' with async def"),
        (lambda: create_static_tool_filter("read"), UserError, "a list of names: write ['read']"),  # type: ignore[arg-type]
        (
            lambda: tools_of(MCPServerStdio({"command": "x"}, name="w")),
            UserError,
            "It is MCP server 'w'",
        ),
        (lambda: memory.EncryptedSesion, AttributeError, "Did you mean 'EncryptedSession'?"),
    ],
)
def test_a_mistake_of_the_guides_readers_says_what_to_write(
    call_it: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=re.escape(text)):
        call_it()


def test_a_tool_filter_with_an_unknown_key_lets_no_tool_pass() -> None:
    by: Any = {"allowed_tools": ["read"]}
    with pytest.raises(UserError, match="Did you mean 'allowed_tool_names'?"):
        asyncio.run(filtered([], by, "w", None, None))


def shown() -> Any:
    made = show(done())
    assert list(made) == []  # its end is written now, and not when the tests are over
    return made


@pytest.mark.parametrize(
    ("call_it", "hint"),
    [
        (lambda: done().to_frame("itms"), "Did you mean 'items'?"),
        (lambda: shown().to_frame("turn"), "Did you mean 'turns'?"),
        (lambda: done().to_input_list(mode="normal"), "Did you mean 'normalized'?"),
        (lambda: Runner.run_streamed(poet(), "x").cancel("after_trun"), "mean 'after_turn'?"),
        (lambda: show(poet(), "x", table="items"), "must be True or False, got 'items'."),
        (lambda: show(done(), timeline="wide"), "must be True or False, got 'wide'."),
        (lambda: recording("run.jsonl", "recrod"), "Did you mean 'record'?"),
        (lambda: recording("run.jsonl", speed="stop"), "or 'step', got 'stop'"),
        (lambda: RecordedModel(None, "run.jsonl", mode="replya"), "Did you mean 'replay'?"),
        (lambda: map_frame(poet(), ROWS, "{review}", on_error="kep"), "Did you mean 'keep'?"),
        (lambda: map_frame(poet(), ROWS, "{review}", on_change="eror"), "Did you mean 'error'?"),
        (lambda: map_frame(poet(), ROWS, "{review}", mode="bach"), "Did you mean 'batch'?"),
        (lambda: map_frame(poet(), ROWS, "{review}", keep="run"), "Did you mean 'runs'?"),
        (lambda: map_frame(poet(), ROWS, "{reviw}"), "did you mean {review}?"),
        (lambda: map_frame(poet(), ROWS, "{review}", checkpoint=True), "the path of a file"),  # type: ignore[call-overload]
        (lambda: map_frame(poet(), ROWS, "{review}")["review"], "Write (await run)['review']."),
        (lambda: map_frame({"a": poet()}, ROWS, "{review}")["a"], "Write (await run)['a']."),
        (lambda: handoff(poet(), on_handoff=lambda _, d: None, input_type=dict), "always strict"),
        (lambda: estimate(poet(), ROWS, "{review}", mode="bach"), "Did you mean 'batch'?"),
        (lambda: function_tool(add, docstring_style="gogle"), "Did you mean 'google'?"),
        (lambda: RunConfig(tool_not_found_behavior="raise"), "'raise_error' or"),
        (lambda: RunConfig(tool_name_collision_policy="eror"), "Did you mean 'error'?"),
        (lambda: RunConfig(reasoning_item_id_policy="omitt"), "Did you mean 'omit'?"),
        (lambda: compacting("inputs"), "Did you mean 'input'?"),
        (lambda: MultiProvider(unknown_prefix_mode="modelid"), "Did you mean 'model_id'?"),
        (lambda: set_default_openai_api("respones"), "Did you mean 'responses'?"),
        (lambda: done().timeline().save("run.gif"), "end the name in .svg, .png or .html"),
    ],
)
def test_a_name_or_mode_that_there_is_not_is_a_user_error(call_it: Any, hint: str) -> None:
    with pytest.raises(UserError, match=re.escape(hint)):
        call_it()


def compacting(mode: Any) -> Any:
    return OpenAIResponsesCompactionSession("ada", SQLiteSession("ada"), compaction_mode=mode)


@pytest.mark.parametrize(
    ("value", "name", "meant"),
    [
        (done, "timelin", "timeline"),
        (lambda: Runner.run_streamed(poet(), "x"), "final_ouput", "final_output"),
        (shown, "timelin", "timeline"),
        (lambda: done().trace, "statsu", "status"),
        (lambda: chat(poet()), "sned", "send"),
        (lambda: map_frame(poet(), ROWS, "{review}", progress=False), "fraem", "frame"),
        (lambda: agentstream, "shwo", "show"),
    ],
)
def test_an_attribute_that_there_is_not_names_the_near_one(
    value: Any, name: str, meant: str
) -> None:
    held = value()
    said = f"no (attribute )?'{name}'.*Did you mean '{meant}'"
    with pytest.raises(AttributeError, match=said) as caught:
        getattr(held, name)
    assert traceback.format_exception(caught.value)[-1].count("Did you mean") == 1
    with pytest.raises(AttributeError) as caught:
        getattr(held, f"_{name}")
    assert "mean" not in str(caught.value)


def test_a_method_of_a_frame_on_a_run_of_rows_says_where_the_frame_is() -> None:
    with pytest.raises(AttributeError, match="`await run` is the frame"):
        map_frame(poet(), ROWS, "{review}").head()  # type: ignore[attr-defined]


def test_a_property_that_fails_says_why() -> None:
    class Table(Suggesting):
        @property
        def frame(self) -> Any:
            return ["no frame"].columns  # type: ignore[attr-defined]

    with pytest.raises(AttributeError, match="'list' object has no attribute 'columns'"):
        _ = Table().frame


def test_an_unknown_keyword_argument_that_is_near_nothing_suggests_nothing() -> None:
    with pytest.raises(TypeError) as caught:
        Agent(name="A", zzz=1)  # type: ignore[call-arg]
    assert str(caught.value) == "Agent() got an unexpected keyword argument 'zzz'."


def test_a_function_among_the_tools_is_refused_when_the_agent_is_made() -> None:
    def add(a: int, b: int) -> int:
        return a + b

    with pytest.raises(TypeError, match="add @function_tool to add"):
        Agent(name="A", tools=[add])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="as_tool"):
        Agent(name="A", tools=[poet()])  # type: ignore[list-item]
    for tool in ("add", None, {"type": "web_search"}):
        with pytest.raises(TypeError, match="decorated with @function_tool"):
            Agent(name="A", tools=[tool])  # type: ignore[list-item]


@pytest.mark.parametrize("entry", ["B", None, poet, int])
def test_what_is_no_agent_among_the_handoffs_is_refused_when_the_agent_is_made(entry: Any) -> None:
    with pytest.raises(TypeError, match=re.escape("handoffs=[agent], with the agent itself")):
        Agent(name="A", handoffs=[entry])
    agent = poet()
    agent.handoffs.append(entry)  # it is found when it is used
    with pytest.raises(UserError, match="among its handoffs"):
        Runner.run_sync(agent, "x")


async def test_awaiting_a_streamed_run_says_what_to_write() -> None:
    result = Runner.run_streamed(poet(), "x")
    with pytest.raises(UserError, match=re.escape("await show(result)")):
        await result
    await result.wait()
    assert result.final_output == "It rains."


async def test_a_plain_for_over_stream_events_says_what_to_write() -> None:
    result = Runner.run_streamed(poet(), "x")
    with pytest.raises(UserError, match="`for event in result`"):
        list(result.stream_events())  # type: ignore[call-overload]
    await result.wait()


async def test_reading_events_after_the_end_says_that_there_are_none() -> None:
    result = Runner.run_streamed(poet(), "x")
    await result.wait()
    with pytest.warns(UserWarning, match="to_frame\\('events'\\)") as caught:
        assert [event async for event in result.stream_events()] == []
    assert caught[0].filename == __file__


async def test_reading_what_came_while_nobody_read_says_nothing() -> None:
    result = Runner.run_streamed(poet(), "x")
    while not result.is_complete:
        await asyncio.sleep(0)
    assert [event async for event in result.stream_events()]


@pytest.mark.parametrize("cell", ["Runner.run_sync(bare, 'x')", "await Runner.run(bare, 'x')"])
def test_without_a_key_the_error_is_one_screen_and_tb_shows_the_whole(
    shell: Any, cell: str
) -> None:
    short = shell.typed(cell)
    assert len(short.splitlines()) < 12
    assert short.count("There is no OpenAI key") == 1
    assert f"----> 1 {cell}" in short
    assert "%tb shows them" in short
    whole = shell.typed("%tb")
    assert "agentstream/run/model_call.py" in whole
    assert len(whole.splitlines()) > 60


def test_what_show_raises_is_said_once(shell: Any) -> None:
    assert shell.typed("await show(bare, 'x')").count("There is no OpenAI key") == 1


def test_the_users_own_lines_stay_with_what_they_called(shell: Any) -> None:
    shell.typed(
        "import json\n"
        "@function_tool(failure_error_function=None)\n"
        "def read() -> str:\n    return json.loads('{')\n"
        "reader = Agent(name='R', tools=[read], model=ScriptedModel([call('read')]))"
    )
    short = shell.typed("Runner.run_sync(reader, 'x')")
    assert "----> 4     return json.loads('{')" in short
    assert "json/decoder.py" in short
    assert "----> 1 Runner.run_sync(reader, 'x')" in short
    assert "agentstream/" not in short


def test_an_error_of_the_client_is_one_screen_with_its_cause(shell: Any) -> None:
    shell.typed(
        "from openai import AsyncOpenAI\n"
        "client = AsyncOpenAI(base_url='http://127.0.0.1:9/v1', api_key='k', max_retries=0)\n"
        "far = Agent(name='F', model=OpenAIChatCompletionsModel('m', client))"
    )
    short = shell.typed("await Runner.run(far, 'x')")
    assert "APIConnectionError: Connection error." in short
    assert short.count("Caused by ") == 1
    assert len(short.splitlines()) < 12


@pytest.mark.parametrize(
    "cell",
    [
        "Runner.run_sync(talker, 'x').to_frame('item')",
        "Agent(nme='A')",
        "ModelSettings(temp=1)",
        "show(bare, 'x', tabel=1)",
        "chat(3)",
        "show(3)",
    ],
)
def test_a_mistake_in_a_call_shows_that_call_only(shell: Any, cell: str) -> None:
    short = shell.typed(cell)
    assert f"----> 1 {cell}" in short
    assert "agentstream/" not in short


def test_a_function_that_was_added_to_the_tools_names_the_decorator(shell: Any) -> None:
    shell.typed("def look(place: str) -> str: return place")
    short = shell.typed("talker.tools.append(look); await Runner.run(talker, 'x')")
    assert "add @function_tool to look" in short
    assert len(short.splitlines()) < 12


def test_rendering_leaves_an_error_as_it_was(shell: Any) -> None:
    @function_tool(failure_error_function=None)
    def fail() -> str:
        try:
            raise KeyError("inner")
        except KeyError as inner:
            raise ValueError("outer") from inner

    agent = Agent(name="A", tools=[fail], model=ScriptedModel([call("fail")]))
    with pytest.raises(UserError) as caught:
        Runner.run_sync(agent, "x")
    before = traceback.format_exception(caught.value)
    render(caught.value)
    assert traceback.format_exception(caught.value) == before
    assert "KeyError" in "".join(before)


def test_an_error_that_ipython_was_told_to_shorten_can_be_pickled() -> None:
    with pytest.raises(TypeError) as caught:
        Agent(name="A", zzz=1)  # type: ignore[call-arg]
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_the_magics_errors_stay_one_line(shell: Any) -> None:
    load_ipython_extension(shell)
    written = shell.typed("%%agent bare\nhello")
    assert len(written.strip().splitlines()) < 5, written
