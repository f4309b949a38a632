"""Notebooks that are none are named; the kernel of a check gets what is known to be no key."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from agentstream import Agent, RecordingError, Runner, UserError, load_run, recording
from agentstream.testing import ScriptedModel, check_notebook, normalised, save_notebook
from agentstream.testing.notebooks.execute import _closed
from agentstream.testing.notebooks.no_network import NetworkGuard

CODE = {"cell_type": "code", "source": "1", "metadata": {}, "execution_count": 1}


def with_cells(*cells: Any, **more: Any) -> str:
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5, **more})


def with_outputs(*outputs: Any) -> str:
    return with_cells({**CODE, "outputs": outputs})


MALFORMED = [
    "",
    "{",
    "null",
    "[]",
    "3",
    "[" * 100_000,
    '{"cells": ' * 5_000,
    '{"cells": [' + "[" * 5_000 + "]" * 5_000 + "]}",
    '{"cells": ' + "9" * 5_000 + "}",
    '{"cells": null}',
    '{"cells": {}}',
    with_cells(None),
    with_cells([]),
    with_cells("code"),
    with_cells({}),
    with_cells({"cell_type": "code", "source": 3}),
    with_cells({"cell_type": "code", "source": [1]}),
    with_cells({"cell_type": ["code"], "source": ""}),
    with_cells({"cell_type": "heading", "source": ""}),
    with_cells({**CODE, "metadata": []}),
    with_cells({**CODE, "outputs": None}),
    with_cells({**CODE, "outputs": 3}),
    with_outputs(None),
    with_outputs({}),
    with_outputs({"output_type": "strange"}),
    with_outputs({"output_type": ["stream"]}),
    with_outputs({"output_type": "stream"}),
    with_outputs({"output_type": "stream", "name": 1, "text": ""}),
    with_outputs({"output_type": "stream", "name": "stdout", "text": {}}),
    with_outputs({"output_type": "error"}),
    with_outputs({"output_type": "error", "ename": "E", "evalue": "", "traceback": 3}),
    with_outputs({"output_type": "display_data", "data": []}),
    with_outputs({"output_type": "display_data", "data": "text/plain"}),
]
NOT_EXECUTED = [
    with_cells(CODE, nbformat="four"),
    with_cells(CODE, nbformat=[]),
    with_cells({**CODE, "outputs": []}, metadata=[]),
]


@pytest.mark.parametrize("text", [*MALFORMED, *NOT_EXECUTED], ids=lambda text: text[:40])
@pytest.mark.parametrize("reader", [check_notebook, save_notebook, normalised])
def test_what_is_no_notebook_is_a_named_error(tmp_path: Path, text: str, reader: Any) -> None:
    path = tmp_path / "lesson.ipynb"
    path.write_text(text, encoding="utf-8")
    if reader is normalised and text in NOT_EXECUTED:
        assert len(normalised(path)["cells"]) == 1  # it looks at the cells alone
        return
    with pytest.raises(UserError, match=r"lesson\.ipynb"):
        reader(path)
    assert path.read_text("utf-8") == text


def test_a_mapping_that_is_none_is_a_named_error() -> None:
    loop: dict[str, Any] = {"cells": []}
    loop["cells"].append(loop)
    for given in (loop, {"cells": [{1, 2}]}, {"cells": [object()]}, {}):
        with pytest.raises(UserError, match="notebook"):
            normalised(given)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_pipes_and_devices_are_refused_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "run.jsonl"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        with pytest.raises(RecordingError, match="is a pipe or a device"):
            load_run(path)
        for mode in ("record", "refresh", "replay") if path is pipe else ("replay",):
            agent = Agent(name="A", model=ScriptedModel(["x"]))
            with (
                pytest.raises(RecordingError, match="is a pipe or a device"),
                recording(path, mode=mode),
            ):
                Runner.run_sync(agent, "go")
        with pytest.raises(UserError, match="is a pipe or a device"):
            check_notebook(path)
        with pytest.raises(UserError, match="is a pipe or a device"):
            save_notebook(path)


def test_the_kernel_gets_no_variable_that_could_hold_a_key(tmp_path: Path) -> None:
    secret = "hunter2-hunter2"
    names = """MY_TOKEN GH_PAT GITHUB_TOKEN PGPASS PGPASSWORD DATABASE_URL REDIS_URL OPENAI_API_KEY
        ANTHROPIC_AUTH AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN SLACK_HOOK JUPYTER_TOKEN
        JUPYTERHUB_API_TOKEN PIP_INDEX_URL UV_INDEX_URL NETRC KUBECONFIG LITELLM_MASTER HF_HOME_X
        SSH_AUTH_SOCK AGENTSTREAM_LIVE PYTHON_KEYRING_BACKEND LC TWINE_PASSWORD npm_config__auth
        HTTP_PROXY https_proxy ALL_PROXY""".split()
    kept = {"PATH": "/bin", "HOME": "/home/me", "LC_ALL": "C.UTF-8", "Path": "x"}
    with NetworkGuard() as gate:
        env = _closed(dict.fromkeys(names, secret) | kept, gate, tmp_path / "note")
    assert secret not in str(env)
    assert kept.items() <= env.items()
