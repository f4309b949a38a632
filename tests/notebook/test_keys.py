"""A key is in the environment, and in nothing that a notebook leaves behind: every byte is read."""

from __future__ import annotations

import base64
import json
import logging
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nbformat
import pytest
from openai import AsyncOpenAI, AuthenticationError, DefaultAsyncHttpxClient

from agentstream import (
    Agent,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
)
from agentstream.testing import ScriptedServer, call, http_error, turn
from agentstream.testing.notebooks.execute import execute

KEY = "sk-proj-MARKED-0123456789abcdefghijklmnop"

CELLS = [
    """
    import asyncio, logging, os, sys
    logging.basicConfig(filename="notebook.log", level=logging.DEBUG)
    from agentstream import (
        Agent, OpenAIChatCompletionsModel, Runner, chat, enable_verbose_stdout_logging, function_tool,
        load_run, recording, show,
    )
    from openai import AsyncOpenAI
    enable_verbose_stdout_logging()
    %load_ext agentstream
    tape = recording("run.jsonl").start()
    """,
    """
    @function_tool
    def broken() -> str:
        "Fail."
        raise ValueError("it is broken")

    tutor = Agent(name="Tutor", model="any", tools=[broken])
    tutor, vars(tutor), locals().keys()
    """,
    "result = await show(tutor, 'Hello', table=True, timeline=True)",
    "%%agent tutor -o again --session\nAnd again",
    "c = chat(tutor)\nawait c.send('Talk')",
    "result.to_frame(), result.to_state(), result.context_wrapper, Runner, tape",
    "result.to_state().to_json()",
    "load_run('run.jsonl').to_frame('turns')",
    "client = AsyncOpenAI(); client, tutor.clone(model=OpenAIChatCompletionsModel('any', client))",
    "await show(tutor, 'Refuse me')",
    "%%agent tutor\nRefuse me",
    "%tb",
    "%%agent tutor --traceback\nRefuse me",
    "await c.send('Refuse me')",
    "print(repr(sys.last_value), str(sys.last_value))",
]


def answer(request: Any) -> Any:
    if "Refuse" in request.user_text:
        return http_error(401, f"Incorrect API key provided: {KEY}.")
    if not any(item.get("type") == "function_call_output" for item in request.input):
        return turn("Let me see.", call("broken"))
    return "It is broken."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a notebook left that ran with a marked key, against a server that repeats it."""
    import textwrap

    folder = tmp_path_factory.mktemp("keys")
    code = [nbformat.v4.new_code_cell(textwrap.dedent(cell).strip()) for cell in CELLS]
    for cell in code[9:14]:
        cell.metadata.tags = ["raises-exception"]
    path = folder / "keys.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=code), path)
    logging.getLogger("traitlets").setLevel(logging.CRITICAL)
    with ScriptedServer(answer) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", KEY)
        patch.setenv("OPENAI_BASE_URL", server.base_url)
        patch.setenv("NO_PROXY", "127.0.0.1")
        done = execute(path, cell_time=60, time=100, network=True)
        assert done.failure == ""
        assert any(one.request.body for one in server.calls)
    (folder / "executed.ipynb").write_text(
        json.dumps(done.notebook, ensure_ascii=False), encoding="utf-8"
    )
    return folder


def forms(key: str) -> dict[str, bytes]:
    """A key as it may have been written."""
    return {
        "plain": key.encode(),
        "its end": key[-20:].encode(),
        "base64": base64.b64encode(key.encode())[4:-4],
        "reversed": key[::-1].encode(),
        "quoted": quote(key, safe="").encode(),
        "hex": key.encode().hex().encode(),
        "utf-16": key.encode("utf-16-le"),
    }


@pytest.mark.slow
def test_the_key_is_in_no_byte_of_what_is_left(folder: Path) -> None:
    left = [path for path in folder.rglob("*") if path.is_file()]
    assert {"executed.ipynb", "run.jsonl", "notebook.log"} <= {path.name for path in left}
    found = [
        f"{form} in {path.name}: {path.read_bytes().split(key)[0][-80:]!r}"
        for path in left
        for form, key in forms(KEY).items()
        if key in path.read_bytes()
    ]
    assert found == []


def test_the_notebook_did_what_it_is_to_show(folder: Path) -> None:
    """Else the test above would find nothing in nothing."""
    cells = json.loads((folder / "executed.ipynb").read_text("utf-8"))["cells"]
    outputs = ["".join(json.dumps(one) for one in cell["outputs"]) for cell in cells]
    assert "It is broken." in outputs[2]
    assert "It is broken." in outputs[4]
    for number in (9, 10, 11, 12, 13):
        assert "AuthenticationError" in outputs[number], number
        assert "Incorrect API key provided: ***." in outputs[number], number
    recorded = (folder / "run.jsonl").read_text("utf-8")
    assert "It is broken." in recorded
    assert os.environ.get("OPENAI_API_KEY") is None


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("api", [OpenAIResponsesModel, OpenAIChatCompletionsModel])
async def test_a_server_that_repeats_the_key_is_not_repeated(api: Any, streamed: bool) -> None:
    with ScriptedServer(lambda request: http_error(401, f"Incorrect key: {KEY}.")) as server:
        http = DefaultAsyncHttpxClient(trust_env=False)
        async with AsyncOpenAI(api_key=KEY, base_url=server.base_url, http_client=http) as client:
            agent = Agent(name="Tutor", model=api("any", client))
            with pytest.raises(AuthenticationError) as failure:
                if streamed:
                    await Runner.run_streamed(agent, "Hello").wait()
                else:
                    await Runner.run(agent, "Hello")
    error = failure.value
    assert "Incorrect key: ***." in str(error)
    assert KEY not in f"{error!r} {error.message} {error.body} {vars(error.run_data)}"
