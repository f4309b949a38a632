"""The model of a lesson: a script, or the real service where the reader has asked for it."""

from __future__ import annotations

import os
from typing import Any

from ..scripted.model import ScriptedModel
from ..scripted.shapes import Pace

PACE = Pace(tokens_per_second=60, first_token=0.3)


def is_live() -> bool:
    """Whether notebooks are to ask a real service: ``AGENTSTREAM_LIVE=1``, and a key is set.

    Examples
    --------
    >>> is_live()
    False
    """
    return os.environ.get("AGENTSTREAM_LIVE") == "1" and bool(os.environ.get("OPENAI_API_KEY"))


def stand_in(
    *turns: Any, pace: Pace | float | None = PACE, model: str = "scripted"
) -> ScriptedModel | None:
    """A stand-in for the model of an agent in a lesson, which steps aside where it is to be real.

    Parameters
    ----------
    *turns
        What it answers, as for `ScriptedModel`; after the last it begins again, so that a cell can
        be run twice.
    pace : Pace or float, optional
        How fast it streams; a number is tokens per second, None: at once.
    model : str
        The name in its responses.

    Returns
    -------
    ScriptedModel or None
        None where `is_live`: an agent without a model asks the service, for its default model or
        for ``OPENAI_DEFAULT_MODEL``.

    Examples
    --------
    >>> from agentstream import Agent, Runner
    >>> from agentstream.testing import stand_in
    >>> poet = Agent(name="Poet", model=stand_in("Rain on the roof.", pace=None))
    >>> Runner.run_sync(poet, "A line, please").final_output
    'Rain on the roof.'
    """
    return None if is_live() else ScriptedModel(list(turns), pace=pace, loop=True, model=model)
