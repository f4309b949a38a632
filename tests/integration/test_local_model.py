"""The small model of `local_model`: one process for all kernels, which ends with the last."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from agentstream import Agent, ModelSettings, Runner, UserError, local_model
from agentstream.models.local import servers, small
from tests.integration.conftest import weights

BRIEF = ModelSettings(temperature=0, max_tokens=12)

KERNEL = """
import os, sys
from agentstream import Agent, ModelSettings, Runner, local_model
from agentstream.models.local import servers
servers._KINDS.clear()
agent = Agent(name="Guide", model=local_model(),
              model_settings=ModelSettings(temperature=0, max_tokens=8))
print(bool(Runner.run_sync(agent, "What is a mean?").final_output), flush=True)
sys.stdin.readline()
"""
"""A program that asks the small model, and then stays."""


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A place of this test's own for the process, and no other server."""
    pytest.importorskip("xllamacpp", reason="no llama.cpp: pip install --no-deps xllamacpp")
    weights()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(servers, "_KINDS", [])
    yield tmp_path / f"agentstream-{os.getuid()}"
    for lease in small._leases.values():
        lease.close()
    small._leases.clear()
    for child in small._children:
        child.wait(60)
    small._children.clear()


def processes(folder: Path) -> set[int]:
    """The processes that serve from this folder, by what the system says."""
    found = set[int]()
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if entry.name.isdecimal() and b"serve.py" in line and str(folder).encode() in line:
            found.add(int(entry.name))
    return found


def none_left(folder: Path) -> bool:
    limit = time.monotonic() + 60
    while time.monotonic() < limit:
        for child in small._children:
            child.poll()
        if not processes(folder):
            return True
        time.sleep(0.1)
    return False


def kernel() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", KERNEL],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    )


def answers(program: subprocess.Popen[str]) -> list[str]:
    assert program.stdout is not None
    return [program.stdout.readline(), program.stdout.readline()]


@pytest.mark.timeout(300)
def test_kernels_share_one_process_and_it_ends_with_the_last_even_if_they_are_killed(
    folder: Path,
) -> None:
    first, second = kernel(), kernel()  # at the same moment
    try:
        for one in (first, second):
            said, answered = answers(one)
            assert "135 million parameters, a small model" in said
            assert answered == "True\n"
        assert len(processes(folder)) == 1
        os.killpg(first.pid, signal.SIGKILL)  # as a kernel's manager does
        first.wait(30)
        time.sleep(1)
        assert len(processes(folder)) == 1, "the other kernel uses it"
        third = kernel()
        assert answers(third)[1] == "True\n"
        assert len(processes(folder)) == 1
        os.killpg(second.pid, signal.SIGKILL)
        third.communicate("\n", timeout=60)  # ends by itself
        assert none_left(folder)
        assert not list(folder.glob("*.json"))
    finally:
        for one in (first, second):
            one.kill()
            one.communicate()


@pytest.mark.timeout(300)
def test_a_program_that_is_killed_while_it_starts_leaves_no_process(folder: Path) -> None:
    program = kernel()
    try:
        limit = time.monotonic() + 60
        while not processes(folder) and time.monotonic() < limit:
            time.sleep(0.02)
        assert processes(folder)
    finally:
        os.killpg(program.pid, signal.SIGKILL)
        program.communicate()
    assert none_left(folder)


@pytest.mark.timeout(300)
async def test_it_streams_is_held_to_a_schema_and_is_started_again_when_it_is_killed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Review(BaseModel):
        topic: Literal["food", "service", "price"]
        is_positive: bool

    model = local_model()
    agent = Agent(name="Guide", model=model, model_settings=BRIEF)
    result = Runner.run_streamed(agent, "What is a mean?")
    pieces = [
        event.data.delta
        async for event in result.stream_events()
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"
    ]
    assert len(pieces) > 3
    assert "".join(pieces) == result.final_output
    assert "small model" in capsys.readouterr().out
    sorter = agent.clone(output_type=Review, model_settings=ModelSettings(temperature=0))
    assert isinstance((await Runner.run(sorter, "The soup was cold.")).final_output, Review)
    (pid,) = processes(folder)
    os.kill(pid, signal.SIGKILL)
    small._children[0].wait(30)
    assert (await Runner.run(agent, "What is a mean?")).final_output == result.final_output
    assert processes(folder) - {pid}


def test_nobody_without_the_key_is_answered(folder: Path) -> None:
    import urllib.error
    import urllib.request

    server = local_model(quiet=True).find()
    request = urllib.request.Request(
        f"{server.base_url}/chat/completions",
        json.dumps({"messages": [{"role": "user", "content": "Hi"}]}).encode(),
        {"Content-Type": "application/json"},
    )
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(request, timeout=30)
    assert server.key not in repr(server)
    (state,) = folder.glob("*.json")
    assert state.stat().st_mode & 0o077 == 0
    assert folder.stat().st_mode & 0o077 == 0


def test_a_folder_that_others_may_write_is_not_used(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    used = small._folder()
    assert used != folder
    assert used.stat().st_mode & 0o077 == 0


def test_a_file_that_is_no_model_is_an_error_with_what_llama_cpp_says(tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"no model")
    with pytest.raises(UserError, match="did not start"):
        local_model(weights=tmp_path / "bad.gguf").find()
    with pytest.raises(UserError, match=r"no model at .*none\.gguf"):
        local_model(weights=tmp_path / "none.gguf").find()


def test_a_port_that_another_program_has_by_now_is_not_taken_for_the_server(
    folder: Path,
) -> None:
    import socket
    import threading

    folder.mkdir(mode=0o700)
    with socket.create_server(("127.0.0.1", 0)) as other:
        state = folder / "local-model-x.json"
        told: dict[str, Any] = {"url": "http://127.0.0.1:1", "key": "k", "pid": 1}
        state.write_text(json.dumps(told | {"leases": other.getsockname()[1]}), encoding="utf-8")

        def answer() -> None:
            connection, _ = other.accept()
            with connection:
                connection.sendall(b"x" * 32)

        thread = threading.Thread(target=answer)
        thread.start()
        assert small._join(state) is None
        thread.join()


@pytest.mark.timeout(300)
def test_the_readmes_third_command_streams_a_real_model_in_a_cell(folder: Path) -> None:
    nbformat = pytest.importorskip("nbformat", reason="the lab extra is not installed")
    nbclient = pytest.importorskip("nbclient", reason="the lab extra is not installed")
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^    (await show\(.*local_model\(\).*\))$", readme, re.MULTILINE)
    cells = [
        "from agentstream import Agent, local_model, show",
        f"result = {line}",
        "deltas = result.to_frame('events').query(\"type == 'response.output_text.delta'\")\n"
        "print(len(deltas), deltas['time_s'].nunique(), result.final_output)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(one) for one in cells])
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    shown, told = notebook.cells[1].outputs, notebook.cells[2].outputs[0].text
    count, moments, answer = told.split(" ", 2)
    assert int(count) > 5
    assert int(moments) > 5, "they came one by one"
    assert any("a small model" in one.get("text", "") for one in shown)
    texts = [one["data"]["text/plain"] for one in shown if "data" in one]
    assert any(answer.split()[0] in text for text in texts)
    assert none_left(folder)
