"""The model of a lesson: a script, or the real service where the reader has asked for it."""

from __future__ import annotations

import os
from typing import Any

from ..scripted.model import ScriptedModel
from ..scripted.shapes import Pace

PACE = Pace(tokens_per_second=60, first_token=0.3)


def is_live() -> bool:
    """Whether notebooks call the real service: ``AGENTSTREAM_LIVE=1`` and a key are set.

    Examples
    --------
    >>> is_live()
    False
    """
    return os.environ.get("AGENTSTREAM_LIVE") == "1" and bool(os.environ.get("OPENAI_API_KEY"))


def stand_in(
    *turns: Any, pace: Pace | float | None = PACE, model: str = "scripted"
) -> ScriptedModel | None:
    """Return a scripted model for a lesson, or None to use the real one if `is_live`.

    Parameters
    ----------
    *turns
        The turns, as for `ScriptedModel`; they repeat, so you can run a cell twice.
    pace : Pace or float, optional
        How fast it streams; a number is tokens per second, None: at once.
    model : str
        The name in its responses.

    Returns
    -------
    ScriptedModel or None
        None if `is_live`: an agent without a model uses the service's default model, or
        ``OPENAI_DEFAULT_MODEL``.

    Examples
    --------
    >>> from agentstream import Agent, Runner
    >>> from agentstream.testing import stand_in
    >>> poet = Agent(name="Poet", model=stand_in("Rain on the roof.", pace=None))
    >>> Runner.run_sync(poet, "A line, please").final_output
    'Rain on the roof.'
    """
    return None if is_live() else ScriptedModel(list(turns), pace=pace, loop=True, model=model)
