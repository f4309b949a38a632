"""One class of the style sheets means one thing."""

from __future__ import annotations

import re
from pathlib import Path

import agentstream.notebook

ROOM = Path(agentstream.notebook.__file__).parent
CHAT = (*(ROOM / "chat").glob("*.py"), ROOM / "static" / "chat.js")
SHARED = {"as-run", "as-exchange"}
"""Roots, which say in what a rule holds."""


def styled(sheet: str) -> set[str]:
    """The classes whose own look a sheet defines: those of the last element of each selector."""
    css = re.sub(r"/\*.*?\*/", "", (ROOM / "static" / sheet).read_text("utf-8"), flags=re.DOTALL)
    found = set()
    for selectors in re.findall(r"([^{}]+)\{", css):
        for selector in re.sub(r"\([^()]*\)", "", selectors).split(","):
            last = re.split(r"[\s>+~]+", selector.strip())[-1]
            found |= set(re.findall(r"\.(as-[\w-]+)", last))
    return found


def named(path: Path) -> set[str]:
    """The classes that a module writes."""
    return set(re.findall(r"\bas-[a-z][\w-]*[a-z]\b", path.read_text("utf-8")))


def test_the_look_of_a_conversation_does_not_reach_the_cards_of_a_run() -> None:
    cards = [
        *(ROOM / "cards").glob("*.py"),
        ROOM / "live" / "trace_renderer.py",
        ROOM / "live" / "panels.py",
    ]
    ours = set().union(*(named(path) for path in cards)) - SHARED
    # The one button of a run that a conversation has elsewhere: hidden there on purpose.
    assert styled("chat.css") & ours == {"as-stop"}


def test_no_class_is_given_its_look_by_two_style_sheets() -> None:
    # `as-run` is the root of both; `as-is-*` is the state of what stands before it.
    twice = {one for one in styled("chat.css") & styled("view.css") if "-is-" not in one}
    assert twice - SHARED == {"as-stop"}


def test_every_class_of_the_conversation_is_written_by_its_own_modules() -> None:
    ours = set().union(*(named(path) for path in CHAT))
    unknown = {one for one in styled("chat.css") if "-is-" not in one} - ours - {"as-stop"}
    assert unknown == set()
