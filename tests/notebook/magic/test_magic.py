"""`%%agent` in a real kernel and in IPython's terminal: asking, errors in one line, completion."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
import time
from _string import formatter_field_name_split
from collections.abc import Iterator
from typing import Any

import IPython
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agentstream import UserError
from agentstream.notebook.magic.magic import _Expressions
from agentstream.notebook.magic.options import parse
from tests.notebook.kernel import REPOSITORY, Cell, Kernel, until

COMPLETES = IPython.version_info >= (8, 6)
"""Whether IPython takes completions that know the line."""

SETUP = '''
%load_ext agentstream
import asyncio
from agentstream import Agent, SQLiteSession, function_tool
from agentstream.testing import Pace, ScriptedModel, call, fail, turn

def said(request):
    """Every message that the model has seen, one after the other."""
    return " | ".join(i["content"] for i in request.input if i.get("role") == "user")

def broken(*_):
    return turn("So far ", fail("It caught fire."))

tutor = Agent(name="Tutor", model=ScriptedModel(said))
poet = Agent(name="Bard", model=ScriptedModel(["word " * 5000], loop=True, pace=Pace(100)))
wreck = Agent(name="Wreck", model=ScriptedModel(broken))
number, result = 7, None
'''


@pytest.fixture(scope="module")
def shared() -> Iterator[Kernel]:
    kernel = Kernel()
    kernel.run(SETUP, 90)
    yield kernel
    kernel.close()


@pytest.fixture
def kernel(shared: Kernel) -> Kernel:
    shared.run("result = None")
    return shared


def run(kernel: Kernel, code: str) -> Cell:
    """A cell that may fail."""
    return kernel.send(code, stop_on_error=False).wait()


def output(kernel: Kernel) -> str:
    return kernel.run("print(result.final_output)")


# -- asking --


@pytest.mark.slow
def test_the_cells_text_goes_to_the_agent_as_it_stands(kernel: Kernel) -> None:
    kernel.run("%%agent tutor -o result\n{number} costs $5:\n\n    print({x!r})\n")
    assert output(kernel) == "{number} costs $5:\n\n    print({x!r})"


def test_expressions_are_expanded_where_that_is_asked_for(kernel: Kernel) -> None:
    kernel.run(
        "%%agent tutor --expand -o result\nWhat is {[number][-1:][0] + 1:03d} in {{braces}} for $5?"
    )
    assert output(kernel) == "What is 008 in {braces} for $5?"
    for text, why in {
        "{nobody}": "NameError: name 'nobody' is not defined",
        "a {} b": "nothing stands between the braces",
        "a { b": "ValueError",
    }.items():
        cell = run(kernel, f"%%agent tutor --expand\n{text}")
        assert cell.status == "error"
        assert why in cell.error


@given(st.from_regex(r"\A[][.0-9a-z()+]{1,12}\Z"))
@example("[number][0]")
@example(".5")
@example("5")
def test_an_expression_is_a_whole_field_to_every_python(expression: str) -> None:
    # Python 3.14 prefixes a number to a field that begins with a bracket or a dot, all of them to
    # one that is a number.
    try:
        ((_, field, _, _),) = _Expressions().parse(f"{{{expression}}}")
    except ValueError:  # no field: a bracket that is not closed
        return
    first, _ = formatter_field_name_split(field)
    assert isinstance(first, str)
    assert first != ""


def test_the_line_form_asks_what_stands_behind_the_agent(kernel: Kernel) -> None:
    kernel.run("%agent --table tutor -o result What is -1 + {number}?")
    assert output(kernel) == "What is -1 + {number}?"
    told = kernel.run("answer = %agent tutor Hello\nprint(answer.final_output)")
    assert told == "Hello"
    told = kernel.run("""
        for word in ("one", "two"):
            answer = %agent --expand tutor say {word}
            print(answer.final_output)
    """)
    assert told == "say one\nsay two"


def test_an_agent_is_found_by_its_variable_and_by_its_name(kernel: Kernel) -> None:
    kernel.run('%%agent "Tutor" -o result\nHello')
    assert output(kernel) == "Hello"


def test_the_only_agent_needs_no_name(kernel: Kernel) -> None:
    kernel.run("kept = poet, wreck; del poet, wreck")
    try:
        kernel.run("%%agent -o result\nHello")
        assert output(kernel) == "Hello"
    finally:
        kernel.run("poet, wreck = kept")


def test_a_session_goes_on_from_cell_to_cell_until_it_is_begun_anew(kernel: Kernel) -> None:
    kernel.run("%%agent tutor --session\none")
    kernel.run("%%agent tutor\nnot in the session")
    kernel.run("%%agent --session tutor -o result\ntwo")
    assert output(kernel) == "one | two"
    kernel.run("%%agent tutor --session --new -o result\nthree")
    assert output(kernel) == "three"


def test_sessions_are_kept_by_their_names(kernel: Kernel) -> None:
    kernel.run("%%agent tutor --session ada\none")
    kernel.run("%%agent tutor --session=bob\ntwo")
    kernel.run("%agent -o result --session=ada tutor three")
    assert output(kernel) == "one | three"
    kernel.run(
        "mine = SQLiteSession('mine')\nawait mine.add_items([dict(role='user', content='a')])"
    )
    kernel.run("%%agent tutor --session mine -o result\nb")
    assert output(kernel) == "a | b"


def test_a_cell_queued_behind_it_waits(kernel: Kernel) -> None:
    kernel.run("slow = tutor.clone(model=ScriptedModel(['word ' * 20], pace=Pace(20, 0.1)))")
    asking = kernel.send("%%agent slow -o result\nSlowly")
    queued = kernel.send("print(result.is_complete); del slow")
    asking.done()
    assert queued.done() == "True"


def test_an_interrupt_stops_the_run_in_one_line_and_loses_no_cell(kernel: Kernel) -> None:
    asking = kernel.send("%%agent poet -o result\nTalk", stop_on_error=False)
    queued = kernel.send("print(result.trace.status, len(result.trace.parts[0].text) > 20)")
    time.sleep(1.5)
    kernel.manager.interrupt_kernel()
    asking.wait()
    assert asking.status == "error"
    assert asking.error == "The run was stopped: the cell was interrupted. What arrived is kept."
    assert queued.done() == "cancelled True"


def test_where_nothing_can_be_awaited_it_runs_behind_the_cell(kernel: Kernel) -> None:
    kernel.run("""
        def ask():
            get_ipython().run_line_magic("agent", "tutor -o result Hello")
        ask()
    """)
    kernel.run("await asyncio.sleep(0.3)")
    assert output(kernel) == "Hello"


def test_the_awaiting_leaves_other_code_alone(kernel: Kernel) -> None:
    told = kernel.run('''
        text = """
        get_ipython().run_line_magic('agent', 'x')
        """
        réponse = %agent tutor é
        def f(): return get_ipython().run_line_magic('agent', 'x')
        print(text.strip(), réponse.final_output)
    ''')
    assert told == "get_ipython().run_line_magic('agent', 'x') é"


# -- errors --


def test_an_error_is_one_line_and_the_traceback_comes_on_request(kernel: Kernel) -> None:
    cell = run(kernel, "%%agent wreck -o result\nGo")
    assert cell.status == "error"
    assert "\n" not in cell.error
    assert cell.error.startswith("ModelBehaviorError: ")
    assert cell.error.endswith("(%tb shows the traceback)")
    assert kernel.run("print(result.trace.status)") == "failed"
    shown = run(kernel, "%tb")
    assert "Traceback (most recent call last)" in shown.error
    assert "It caught fire." in shown.error
    direct = run(kernel, "%%agent wreck --traceback\nGo")
    assert "Traceback (most recent call last)" in direct.error


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("%%agent tuto\nHello", "There is no agent 'tuto'. Did you mean tutor?"),
        ("%%agent\nHello", "Which agent is asked? Write %%agent and one of: tutor, poet, wreck."),
        ("%%agent number\nHello", "number is no agent but int. Agents here: tutor, poet, wreck."),
        ("%%agent tutor --tabel\nHello", "There is no option --tabel: did you mean --table?"),
        ("%%agent tutor -o\nHello", "-o wants the name of a variable, as -o result"),
        ("%%agent tutor Hello\nyou", "'Hello' stands behind the agent"),
        ("%%agent tutor\n  \n", "Nothing is asked"),
        ("%agent tutor", "Nothing is asked"),
    ],
)
def test_a_wrong_cell_is_told_in_one_line_with_what_to_write(
    kernel: Kernel, code: str, hint: str
) -> None:
    cell = run(kernel, code)
    assert cell.status == "error"
    assert "\n" not in cell.error
    assert hint in cell.error


def test_without_any_agent_it_says_how_to_make_one(kernel: Kernel) -> None:
    kernel.run("kept = tutor, poet, wreck; del tutor, poet, wreck")
    try:
        assert "tutor = Agent(name='Tutor') makes one" in run(kernel, "%%agent x\nHello").error
    finally:
        kernel.run("tutor, poet, wreck = kept")


# -- completion --


def complete(kernel: Kernel, code: str) -> list[str]:
    """What the kernel offers at the end of the first line."""
    end = len(code.partition("\n")[0])
    asked = kernel.client.complete(code, end)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        reply = kernel.client.get_shell_msg(timeout=60)
        if reply["parent_header"].get("msg_id") == asked:
            content = reply["content"]
            typed = re.split(r"[\s(]", code[:end])[-1]
            assert content["cursor_start"] == end - len(typed)
            return list(content["matches"])
    raise AssertionError("no completion came")


@pytest.mark.skipif(not COMPLETES, reason="IPython before 8.6 completes no magic's line")
@pytest.mark.parametrize(
    ("code", "offered"),
    [
        ("%%agent tu", ["tutor"]),
        ("%%agent tu\nHello", ["tutor"]),
        ("%%agent ", ["poet", "tutor", "wreck"]),
        ("%%agent Ba", ["Bard"]),
        ("%agent wr", ["wreck"]),
        ("%%agent tutor --t", ["--table", "--timeline", "--traceback"]),
        ("%%agent --new po", ["poet"]),
    ],
)
def test_tab_offers_agents_and_options_and_nothing_else(
    kernel: Kernel, code: str, offered: list[str]
) -> None:
    assert complete(kernel, code) == offered


@pytest.mark.slow
def test_the_magic_is_offered_itself_and_other_code_is_completed_as_before(kernel: Kernel) -> None:
    assert "%%agent" in complete(kernel, "%%ag")
    assert "tutor" in complete(kernel, "tut")
    assert "tutor" in complete(kernel, "print(tut")


# -- the extension --


@pytest.mark.slow
def test_it_is_loaded_twice_and_unloaded_without_a_trace() -> None:
    kernel = Kernel()
    try:
        kernel.run("%load_ext agentstream\n%load_ext agentstream\n%reload_ext agentstream", 60)
        told = kernel.run("""
            shell = get_ipython()
            print(len(shell.input_transformers_post), len(shell.Completer.custom_matchers))
        """)
        assert told == f"1 {int(COMPLETES)}"
        told = kernel.run("""
            %unload_ext agentstream
            print(len(shell.input_transformers_post), len(shell.Completer.custom_matchers))
        """)
        assert told == "0 0"
        assert "not found" in run(kernel, "%%agent tutor\nHello").text
    finally:
        kernel.close()


TERMINAL = """
from IPython.terminal.interactiveshell import TerminalInteractiveShell
from traitlets.config import Config

shell = TerminalInteractiveShell.instance(config=Config(
    HistoryManager={"enabled": False}, TerminalInteractiveShell={"simple_prompt": True},
))
shell.colors = "nocolor"
for cell in CELLS:
    shell.run_cell(cell, store_history=True)
"""


@pytest.mark.slow
def test_in_ipythons_terminal_the_answer_is_written_and_errors_are_one_line(tmp_path: Any) -> None:
    cells = [
        textwrap.dedent(SETUP),
        "%%agent tutor --session -o result\nHello",
        "print('got', result.final_output)",
        "answer = %agent --session tutor again\nprint(answer.final_output)",
        "%%agent wreck\nGo",
        "print('still here')",
    ]
    done = subprocess.run(
        [sys.executable, "-c", TERMINAL.replace("CELLS", repr(cells))],
        capture_output=True,
        text=True,
        timeout=90,
        cwd=tmp_path,
        env={"PYTHONPATH": str(REPOSITORY), "IPYTHONDIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
        check=False,
    )
    text = done.stdout
    assert text.count("Tutor\nHello\n") == 1, done.stderr
    assert "got Hello" in text
    assert "Hello | again" in text
    assert "So far" in text
    assert "ModelBehaviorError: " in text
    assert "Traceback" not in text
    assert "still here" in text


# -- the line --


def test_options_stand_anywhere_and_the_text_of_the_line_form_is_left_alone() -> None:
    asked = parse("  -o=r --timeline 'Travel Guide'  --new  What   is -o?  ", None)
    assert (asked.agent, asked.output, asked.text) == ("Travel Guide", "r", "What   is -o?")
    assert (asked.timeline, asked.new, asked.table, asked.session) == (True, True, False, None)
    assert parse("tutor -- --new is what?", None).text == "--new is what?"
    assert parse("tutor --session What?", None).text == "What?"
    assert parse("tutor --session", "text").session == ""


@pytest.mark.parametrize("line", ["tutor --new=1", "tutor -x", "tutor -o a-b", "tutor -o=", "-o"])
def test_an_option_that_is_none_is_refused(line: str) -> None:
    with pytest.raises(UserError):
        parse(line, "text")


def test_the_kernel_is_well_after_all_this(kernel: Kernel) -> None:
    kernel.run("%%agent tutor -o result\nHow are you?")
    assert output(kernel) == "How are you?"
    until(lambda: kernel.run("print(len(asyncio.all_tasks()) < 20)") == "True")
