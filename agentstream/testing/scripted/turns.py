"""Turns from what a user writes, and the script that deals them out."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from ...exceptions import UserError
from .parts import say
from .shapes import Fault, HandOff, Pace, Part, RawTurn, ScriptRequest, Turn

PartLike: TypeAlias = Part | HandOff | Fault | str | tuple[Part, ...]


def turn(
    *parts: PartLike,
    usage: Mapping[str, int] | Literal[False] | None = None,
    pace: Pace | float | None = None,
) -> Turn:
    """One answer of the model, made of parts; without any, an empty reply.

    Parameters
    ----------
    *parts
        `say`, `think`, `call`, `hand_off`, ...; a string is said.
    usage : dict, False or None
        ``input_tokens``, ``output_tokens``, ``cached_tokens``, ``reasoning_tokens``; what is
        missing is estimated. False: the answer comes without usage.
    pace : Pace or float, optional
        This turn's own pace; a number is tokens per second.

    Examples
    --------
    >>> from agentstream.testing import call, turn
    >>> len(turn("Let me look.", call("get_weather", city="Lisbon")).parts)
    2
    """
    flat = [one for part in parts for one in (part if isinstance(part, tuple) else (part,))]
    return Turn(tuple(as_part(part) for part in flat), usage, as_pace(pace))


def as_part(part: Any) -> Part | HandOff | Fault:
    """A part, from a part or from a string to say."""
    if isinstance(part, str):
        return say(part)
    if isinstance(part, (Part, HandOff, Fault)):
        return part
    raise UserError(
        f"A turn cannot hold {part!r} ({type(part).__name__}): write a string, or one of say(), "
        "think(), call(), hand_off(), answer(), refuse(), ... from agentstream.testing."
    )


def as_turn(value: Any) -> Turn:
    """A turn, from a turn, a part, a string, or a list of parts."""
    if isinstance(value, Turn):
        return value
    if isinstance(value, RawTurn):
        return Turn((), raw=value)
    if isinstance(value, (list, tuple)):
        return turn(*value)
    return turn(as_part(value))


def as_pace(pace: Pace | float | None) -> Pace | None:
    """A pace, from one or from tokens per second."""
    if pace is None or isinstance(pace, Pace):
        return pace
    if pace <= 0:
        raise UserError(f"A pace is in tokens per second and above 0, not {pace!r}.")
    return Pace(tokens_per_second=float(pace))


class Script:
    """Turns in their order, for one model or server.

    A function of the request instead of the turns answers every request.
    """

    def __init__(self, turns: Any, *, loop: bool = False) -> None:
        if callable(turns):
            turns, loop = [turns], True
        elif isinstance(turns, (str, Turn, Part, HandOff, Fault, RawTurn)):
            turns = [turns]
        self.turns = [turn if callable(turn) else as_turn(turn) for turn in turns]
        self.loop = loop
        self.request_count = 0

    async def next(self, request: ScriptRequest) -> Turn:
        """The turn that answers `request`.

        Raises
        ------
        UserError
            The script has no turn left.
        """
        number = request.number - 1
        if self.loop and self.turns:
            number %= len(self.turns)
        if number >= len(self.turns):
            raise UserError(
                f"The script is over: it has {len(self.turns)} turn(s) and this is request "
                f"{request.number}, after {request}. Add a turn to it, such as "
                'turn(say("...")), or let it begin again with loop=True.'
            )
        reply = self.turns[number]
        if not callable(reply):
            return reply
        value = reply(request)
        if inspect.isawaitable(value):
            value = await value
        return as_turn(value)
