"""The line behind ``%%agent``: which agent, which options, and the text of the short form."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches

from ...exceptions import UserError

FLAGS = ("--session", "--new", "--table", "--timeline", "--expand", "--traceback", "-o")
_SIMPLE = {"--new", "--table", "--timeline", "--expand", "--traceback"}
_WORD = re.compile(r"""\s*("[^"]*"|'[^']*'|\S+)""")


@dataclass
class MagicArguments:
    """What a magic's line and cell say.

    Attributes
    ----------
    text : str
        The question.
    agent : str or None
        The agent's variable or name.
    session : str or None
        The session's name; empty: the agent's own; None: no session.
    output : str or None
        The variable that the result is bound to.
    new, table, timeline, expand, traceback : bool
        The options without a value.
    """

    text: str = ""
    agent: str | None = None
    session: str | None = None
    output: str | None = None
    new: bool = False
    table: bool = False
    timeline: bool = False
    expand: bool = False
    traceback: bool = False


def parse(line: str, cell: str | None) -> MagicArguments:
    """Read what stands behind the magic.

    Without a cell it is the short form, whose text is in the line.

    Raises
    ------
    UserError
        If an option is unknown or lacks its value, or if there is text in both places.
    """
    arguments, place = MagicArguments(), 0
    while match := _WORD.match(line, place):
        word = match[1]
        if word == "--":
            arguments.text = line[match.end() :].strip()
            break
        if word.startswith("-") and len(word) > 1:
            place = _option(arguments, line, match, with_value=cell is not None)
        elif arguments.agent is None:
            arguments.agent, place = word.strip("\"'"), match.end()
        else:
            arguments.text = line[match.start(1) :].strip()
            break
    if cell is None:
        return arguments
    if arguments.text:
        raise UserError(
            f"{arguments.text!r} stands behind the agent: in a cell of %%agent the text goes "
            "below, in a line of its own it goes behind %agent."
        )
    arguments.text = cell.strip("\n")
    return arguments


def _option(arguments: MagicArguments, line: str, match: re.Match[str], *, with_value: bool) -> int:
    """Note an option; where the line goes on behind it."""
    name, equals, value = match[1].partition("=")
    place = match.end()
    following = _WORD.match(line, place)
    if name in _SIMPLE and not equals:
        setattr(arguments, name[2:], True)
    elif name == "--session":
        arguments.session = value.strip("\"'")
        # A word behind it is its name only where it cannot be the agent, nor the question.
        if not equals and with_value and arguments.agent and following and following[1][0] != "-":
            arguments.session, place = following[1].strip("\"'"), following.end()
    elif name == "-o":
        if not equals and following:
            value, place = following[1], following.end()
        if not value.isidentifier():
            raise UserError(f"-o wants the name of a variable, as -o result, not {value!r}.")
        arguments.output = value
    else:
        close = get_close_matches(name, FLAGS, 1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(FLAGS)}."
        raise UserError(f"There is no option {match[1]}: {hint}")
    return place
