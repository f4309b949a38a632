"""Scorers: what says how good an output is."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from ..agent import Agent
from ..exceptions import UserError

__all__ = ["Scorer", "judged"]


class Scorer:
    """Scores outputs by a function or a type; an agent as judge is asked by the comparison.

    Parameters
    ----------
    scorer : callable or type or Agent
        A function of the output, or of the output and the row (a dict), that returns a number or a
        bool and may be async; a pydantic type, which an output passes or not; or an agent.

    Attributes
    ----------
    name : str
        Of its column.
    agent : Agent or None
        The judge.

    Raises
    ------
    UserError
        It is none of these.
    """

    def __init__(self, scorer: Any) -> None:
        self.agent: Agent[Any] | None = None
        self._function: Callable[..., Any] | None = None
        if isinstance(scorer, Agent):
            self.agent, self.name = scorer, scorer.name
        elif isinstance(scorer, TypeAdapter):
            self._adapter, self.name = scorer, "valid"
        elif isinstance(scorer, type) and issubclass(scorer, BaseModel):
            self._adapter, self.name = TypeAdapter(scorer), scorer.__name__
        elif callable(scorer):
            self._function, self.name = scorer, getattr(scorer, "__name__", "score")
            self._takes_row = len(inspect.signature(scorer).parameters) > 1
        else:
            raise UserError(
                "A scorer must be a function of the output, a pydantic type or an Agent, got "
                f"{type(scorer).__name__}."
            )

    async def score(self, output: Any, row: dict[str, Any]) -> float:
        """The score of an output; True is 1."""
        if self._function is None:
            return float(self._passes(output))
        value = self._function(output, row) if self._takes_row else self._function(output)
        if inspect.isawaitable(value):
            value = await value
        return as_score(value, self.name)

    def _passes(self, output: Any) -> bool:
        try:
            if isinstance(output, str):
                self._adapter.validate_json(output)
            else:
                plain = output.model_dump() if isinstance(output, BaseModel) else output
                self._adapter.validate_python(plain)
        except ValidationError:
            return False
        return True


def as_score(value: Any, name: str) -> float:
    """A score as a number; None is NaN."""
    if value is None:
        return math.nan
    if isinstance(value, bool | int | float):
        return float(value)
    raise UserError(f"The scorer {name!r} must give a number or a bool, got {value!r}.")


def judged(values: tuple[Any, ...]) -> float:
    """The score in a judge's output: its first number or bool, or a text that is one."""
    for value in values:
        if isinstance(value, bool | int | float):
            return float(value)
    for value in values:
        try:
            return float(value)
        except (TypeError, ValueError):
            continue
    return math.nan
