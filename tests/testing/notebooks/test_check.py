"""`check_notebook` finds what is wrong with a tutorial, and says in which cell."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from agentstream import Agent, Runner, UserError, function_tool
from agentstream.notebook.snapshot.bundle import snapshot
from agentstream.testing import (
    NotebookError,
    Pace,
    ScriptedModel,
    call,
    check_notebook,
    hand_off,
    normalised,
    save_notebook,
)
from agentstream.testing.notebooks.lint import path_in, problems, secret_in
from agentstream.testing.notebooks.normalise import differences

pytest.importorskip("nbclient", reason="the lab extra is not installed")
pytest.importorskip("ipykernel", reason="the lab extra is not installed")

KEY = "sk-proj-marked0123456789abcdef"


def code(source: str, *outputs: Any) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "id": f"c{abs(hash(source)) % 10**8}",
        "metadata": {},
        "execution_count": None,
        "source": source.splitlines(keepends=True),
        "outputs": list(outputs),
    }


def text(said: str, name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": said}


def shown(**data: Any) -> dict[str, Any]:
    kinds = {kind.replace("_", "/"): value for kind, value in data.items()}
    return {"output_type": "display_data", "metadata": {}, "data": kinds}


def written(path: Path, *cells: dict[str, Any]) -> Path:
    notebook = {"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lesson.ipynb"


# -- it runs --


@pytest.mark.slow
async def test_a_tutorial_is_executed_in_its_folder_and_its_file_stays_as_it_is(path: Path) -> None:
    """Within a running loop, too: this test is one."""
    (path.parent / "data.txt").write_text("forty-two", encoding="utf-8")
    written(path, code("import asyncio; x = open('data.txt').read()"), code("print(x)"))
    before = path.read_bytes()
    fresh = check_notebook(path)
    assert fresh["cells"][1]["outputs"][0]["text"] == "forty-two\n"
    assert path.read_bytes() == before


@pytest.mark.slow
def test_the_cell_that_fails_is_named_with_its_error(path: Path) -> None:
    written(path, code("x = 1"), code("def f():\n    return x / 0\n\nf()"), code("never()"))
    with pytest.raises(NotebookError) as failure:
        check_notebook(path)
    told = str(failure.value)
    assert told.startswith("lesson.ipynb: cell 2 ('f()') raised ZeroDivisionError: division by")
    assert "return x / 0" in told
    assert "\x1b" not in told
    assert failure.value.path == path
    assert isinstance(failure.value, UserError)


@pytest.mark.slow
def test_a_cell_that_may_fail_says_so_with_its_tag(path: Path) -> None:
    failing = code("1 / 0")
    failing["metadata"]["tags"] = ["raises-exception"]
    written(path, failing, code("print('on')"))
    with pytest.raises(NotebookError, match="cell 1 was saved with an error: ZeroDivisionError"):
        check_notebook(path)


@pytest.mark.slow
def test_time_is_bounded(path: Path) -> None:
    written(path, code("import time"), code("time.sleep(60)"))
    began = time.monotonic()
    with pytest.raises(NotebookError, match=r"cell 2 \('time.sleep\(60\)'\) took longer than 1 s"):
        check_notebook(path, cell_time=1)
    with pytest.raises(NotebookError, match="had not ended when 6 seconds had passed"):
        check_notebook(path, time=6)
    assert time.monotonic() - began < 60


def test_a_kernel_that_is_still_starting_when_time_is_up_is_ended(path: Path) -> None:
    written(path, code("1"))
    with pytest.raises(NotebookError, match=r"the kernel had not ended when 0.05 seconds"):
        check_notebook(path, time=0.05)


@pytest.mark.slow
def test_a_kernel_that_dies_is_told(path: Path) -> None:
    written(path, code("import os; os._exit(3)"))
    with pytest.raises(NotebookError, match=r"cell 1 \(.*\) ended its kernel"):
        check_notebook(path)


@pytest.mark.slow
def test_neither_keys_nor_the_network_are_there_unless_asked_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "MISTRAL_API_KEY", "AGENTSTREAM_LIVE", "AZURE_OPENAI_ENDPOINT"):
        monkeypatch.setenv(name, "1")
    see = "import os; print([n for n in os.environ if 'API_KEY' in n or 'AGENTSTREAM_LIVE' in n])"
    written(path, code(see))
    assert check_notebook(path)["cells"][0]["outputs"][0]["text"] == "[]\n"
    assert "MISTRAL" in check_notebook(path, network=True)["cells"][0]["outputs"][0]["text"]
    given = {"LESSON_API_KEY": "1"}
    told = check_notebook(path, environment=given)["cells"][0]["outputs"][0]["text"]
    assert told == "['LESSON_API_KEY']\n"


ASKING = """\
import socket, subprocess, sys
socket.getaddrinfo("localhost", 80)
try:
    socket.create_connection(("example.com", 80))
except ConnectionRefusedError as error:
    assert "checked without a network" in str(error)
from openai import OpenAI
server = "import urllib.request; urllib.request.urlopen('http://example.org/x')"
assert subprocess.run([sys.executable, "-c", server], stderr=subprocess.DEVNULL).returncode == 1
OpenAI(api_key="x", max_retries=0).models.list()"""


@pytest.mark.slow
def test_other_machines_that_it_tried_to_reach_are_named(path: Path) -> None:
    written(path, code(ASKING))
    with pytest.raises(NotebookError) as failure:
        check_notebook(path)
    told = str(failure.value)
    assert "cell 1" in told
    assert "APIConnectionError" in told
    assert "it tried to reach example.com, example.org, api.openai.com" in told


# -- what was saved --


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        (text(f"the key is {KEY}\n"), "cell 1 shows what looks like a key (sk-pr…)"),
        (text("saved to /home/ada/run.jsonl"), "shows a path of this machine: /home/ada"),
        (shown(text_html="<p>C:\\Users\\Ada\\x</p>"), r"shows a path of this machine: C:\Users\Ad"),
        (text("DeprecationWarning: old\n", "stderr"), "a message on stderr: DeprecationWarning"),
        (
            {"output_type": "error", "ename": "KeyError", "evalue": "'x'", "traceback": []},
            "was saved with an error: KeyError: 'x'",
        ),
        (text("x" * 1_000), "bytes, and 900 are allowed"),
    ],
)
def test_what_should_not_be_saved_is_found_without_a_run(
    path: Path, output: Any, problem: str
) -> None:
    written(path, code("never_run()", output))
    with pytest.raises(NotebookError) as failure:
        check_notebook(path, max_size=900)
    assert problem in str(failure.value)
    assert KEY not in str(failure.value)


def test_a_key_in_a_cell_is_found_as_well(path: Path) -> None:
    written(path, code(f"key = '{KEY}'"))
    with pytest.raises(NotebookError, match="it contains what looks like a key"):
        check_notebook(path)


@pytest.mark.slow
def test_what_a_fresh_run_shows_is_looked_at_too(path: Path) -> None:
    written(path, code("import os; print(os.path.abspath('x'))"))
    with pytest.raises(NotebookError, match="a fresh run: cell 1 shows a path of this machine"):
        check_notebook(path)


def test_the_keys_of_this_process_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SECRET", "hunter22hunter22")
    assert secret_in('x "hunter22hunter22"') == "the value of SOME_SECRET"
    assert secret_in("nothing here") == ""
    assert secret_in("a sk-learn or task-force is none, nor sk-1") == ""


@pytest.mark.parametrize(
    "harmless",
    [
        "https://example.org/home/page and /v1/responses",
        "a/b, and/or, 24/7",
        "~/notes and ./tmp/x",
        "/opt",
    ],
)
def test_what_only_looks_like_a_path_is_left_alone(harmless: str) -> None:
    assert path_in(harmless) == ""


def test_a_path_within_a_picture_is_none() -> None:
    picture = shown(text_html='<img src="data:image/png;base64,AA+/opt/xyz/home/ada">')
    notebook = {"cells": [code("x", picture)]}
    assert list(problems(notebook, size=0, max_size=1)) == []


# -- the same as before --


@pytest.mark.slow
def test_outputs_that_have_drifted_are_shown_as_a_difference(path: Path) -> None:
    written(path, code("print('now 3')", text("then 2\n")), code("print(1)", text("1\n")))
    with pytest.raises(NotebookError) as failure:
        check_notebook(path)
    told = str(failure.value)
    assert "its saved outputs are not those of a fresh run" in told
    assert "-text: then 2" in told
    assert "+text: now 3" in told
    assert "cell 2" not in told


@pytest.mark.slow
def test_saving_makes_it_pass_and_a_second_time_changes_nothing(path: Path) -> None:
    source = "import time; t = time.time(); print(f'took {time.time() - t:.3f} s at {t}')"
    written(path, code(source.replace(" at {t}", "")), code("1 / 2"))
    assert save_notebook(path)
    before = path.read_bytes()
    assert check_notebook(path)["cells"][1]["outputs"][0]["data"]["text/plain"] == "0.5"
    assert not save_notebook(path)
    assert path.read_bytes() == before
    saved = json.loads(before)
    assert saved["metadata"]["language_info"] == {"name": "python"}
    assert [cell["metadata"] for cell in saved["cells"]] == [{}, {}]


@pytest.mark.slow
def test_nothing_is_saved_of_a_run_that_failed(path: Path) -> None:
    written(path, code("print(1)"), code("1 / 0"))
    before = path.read_bytes()
    with pytest.raises(NotebookError, match="cell 2"):
        save_notebook(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"cells": 3}', "not json"])
def test_what_is_no_notebook_is_told(path: Path, content: str) -> None:
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match="notebook"):
        check_notebook(path)
    with pytest.raises(UserError, match="There is no notebook"):
        check_notebook(path.with_name("none.ipynb"))


# -- the normal form --


@function_tool
def look(city: str) -> str:
    "Look at the weather."
    return "sunny"


def run_as_notebook(pace: Pace | None) -> dict[str, Any]:
    """Everything that shows a run, as outputs."""
    booking = Agent(name="Booking", model=ScriptedModel(["Done."], pace=pace))
    script = [call("look", city="Lisbon"), hand_off("Booking")]
    model = ScriptedModel(script, pace=pace)
    guide = Agent(name="Guide", model=model, tools=[look], handoffs=[booking])
    result = Runner.run_sync(guide, "Plan")
    timeline = result.timeline()
    frames = [result.to_frame(name) for name in ("items", "turns", "events", "spans")]
    bundles = [
        snapshot(result.trace, table=True, timeline=True),
        {"image/svg+xml": timeline.svg(), "text/plain": str(timeline)},
        *({"text/html": frame.to_html(), "text/plain": frame.to_string()} for frame in frames),
    ]
    outputs = [{"output_type": "display_data", "data": one, "metadata": {}} for one in bundles]
    return {"cells": [code("x", one) for one in outputs] + [code("y", text(repr(result)))]}


def test_two_runs_of_one_agent_are_the_same_however_long_they_took() -> None:
    slow, fast = run_as_notebook(Pace(60, 0.15)), run_as_notebook(None)
    assert slow != fast
    assert differences(slow, fast) == []
    assert "sunny" in json.dumps(normalised(slow))


def test_another_answer_is_a_difference_in_every_form() -> None:
    one = run_as_notebook(None)
    other = json.loads(json.dumps(one).replace("sunny", "rainy"))
    told = differences(one, other)
    assert len(told) == 2
    assert any("sunny" in line and "-" in line for line in told[0].splitlines())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("took 0.4 s", "took 812 ms"),
        ("took 2:05 min", "took 59.2 s"),
        ("took 1 h 12 min", "took 3 h 2 min"),
        ("at 2026-01-02T10:00:00Z", "at 2026-03-04 11:12:13.5+01:00"),
        ("<object at 0x7f0011223344>", "<object at 0x55aa11223344>"),
        ("id call_abc123XYZ and resp_01234", "id call_def456UVW and resp_56789"),
        ("2f1b6a3e-1111-2222-3333-444455556666", "aaaaaaaa-1111-2222-3333-bbbbbbbbbbbb"),
        ("http://127.0.0.1:4001/v1", "http://127.0.0.1:9999/v1"),
        ("done · 12 tokens · 34 tokens/s", "done · 12 tokens"),
    ],
    ids=range(9),
)
def test_times_ids_and_addresses_are_no_difference(one: str, other: str) -> None:
    assert differences({"cells": [code("x", text(one))]}, {"cells": [code("x", text(other))]}) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("3 items", "4 items"),
        ("0.25", "0.26"),
        ("call_tool", "call_model"),
        ("message_output_item", "reasoning_item"),
        ("24 °C", "25 °C"),
        ("version 1.2.3", "version 1.2.4"),
    ],
)
def test_what_is_told_is_a_difference(one: str, other: str) -> None:
    assert differences({"cells": [code("x", text(one))]}, {"cells": [code("x", text(other))]})


def test_how_text_was_cut_into_pieces_is_none_and_a_missing_cell_is_one() -> None:
    one = {"cells": [code("x", text("a"), text("b\n"))]}
    other = {"cells": [code("x", text("ab\n"))]}
    assert differences(one, other) == []
    assert differences(one, {"cells": []}) == ["1 cells were saved, 0 are there now"]


def test_widgets_do_not_count_and_pictures_by_their_kind() -> None:
    widget = shown(**{"application/vnd.jupyter.widget-view+json": {"model_id": "1"}})
    one = {"cells": [code("x", widget, shown(image_png="AAAA"))]}
    assert normalised(one)["cells"][0]["outputs"] == [
        {"output_type": "display_data", "data": {"image/png": "#picture"}}
    ]
