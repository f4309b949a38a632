"""What is asked for a row: a format string over the columns, a function, or a column."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from string import Formatter
from typing import TYPE_CHECKING, Any, TypeAlias

from ..exceptions import UserError
from ..recordings.request_match import to_jsonable

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Prompts", "RowPrompt", "needed_columns"]

RowPrompt: TypeAlias = str | Callable[[dict[str, Any]], Any] | Iterable[Any]
"""A format string or a column's name, a function of the row, or a prompt for each row."""


class Prompts:
    """The input of a run for each row of a frame.

    Parameters
    ----------
    frame : pandas.DataFrame
        The rows.
    prompt : str or callable or sequence
        A format string over the columns (``"Classify: {review}"``), the name of a column of
        prompts, a function of the row (a dict), or as many prompts as there are rows. A prompt is
        a text or a list of input items.

    Attributes
    ----------
    text : str
        The prompt as it is compared with that of an earlier call.

    Raises
    ------
    UserError
        The format string names a column that is not there, or the prompt is none of these.

    Examples
    --------
    >>> import pandas as pd
    >>> Prompts(pd.DataFrame({"city": ["Lisbon", "Oslo"]}), "Where is {city}?").of(1)
    'Where is Oslo?'
    """

    def __init__(self, frame: DataFrame, prompt: RowPrompt) -> None:
        self._columns: dict[str, Any] = {}
        self._names: list[str] = []
        self._make: Callable[[dict[str, Any]], Any]
        if isinstance(prompt, str) and prompt in frame.columns:
            self._use(frame, needed_columns(prompt, frame))
            self._make, self.text = (lambda row: row[prompt]), f"column {prompt}"
        elif isinstance(prompt, str):
            self._use(frame, needed_columns(prompt, frame))
            self._make, self.text = (lambda row: prompt.format_map(row)), prompt
        elif callable(prompt):
            self._use(frame, [str(name) for name in frame.columns], frame.columns)
            self._make, self.text = prompt, _source(prompt)
        else:
            prompts = list(prompt) if hasattr(prompt, "__iter__") else None
            if prompts is None or len(prompts) != len(frame):
                raise UserError(
                    "The prompt must be a format string such as 'Classify: {review}', the name of "
                    "a column, a function of the row, or one prompt for each row; got "
                    + (type(prompt).__name__ if prompts is None else f"{len(prompts)} prompts")
                    + f" for {len(frame)} rows."
                )
            self._names, self._columns = ["prompt"], {"prompt": prompts}
            self._make, self.text = (lambda row: row["prompt"]), "prompts"
        self._is_function = callable(prompt)

    def of(self, position: int) -> str | list[Any]:
        """The input for the row at a position.

        Raises
        ------
        ValueError
            A value that the prompt needs is missing.
        TypeError
            What the function or the column gives is no prompt.
        """
        row = self._row(position)
        if not self._is_function:
            missing = [name for name, value in row.items() if _is_missing(value)]
            if missing:
                raise ValueError(f"The row has no value for {', '.join(missing)}: it is not asked.")
        made = self._make(row)
        if isinstance(made, str) or (isinstance(made, list) and made):
            return made
        raise TypeError(
            f"A prompt must be a text or a list of input items, got {type(made).__name__}."
        )

    def values(self, position: int) -> str:
        """A digest of the values that the prompt is made of, whatever the prompt is."""
        text = json.dumps(to_jsonable(self._row(position)), sort_keys=True)
        return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]

    def _use(self, frame: DataFrame, names: list[str], columns: Any = None) -> None:
        self._names = names
        for name, column in zip(names, names if columns is None else columns, strict=True):
            self._columns[name] = frame[column].array

    def _row(self, position: int) -> dict[str, Any]:
        return {name: self._columns[name][position] for name in self._names}


def needed_columns(prompt: Any, frame: Any) -> list[Any]:
    """The columns that a prompt is made of.

    Raises
    ------
    UserError
        The format string names a column that is not there.

    Examples
    --------
    >>> import pandas as pd
    >>> needed_columns("Where is {city}?", pd.DataFrame({"city": ["Oslo"], "map": [b""]}))
    ['city']
    """
    if isinstance(prompt, str):
        return [prompt] if prompt in frame.columns else _fields(prompt, frame)
    return list(frame.columns)


def _fields(prompt: str, frame: DataFrame) -> list[str]:
    """The columns that a format string names."""
    try:
        parts = [name for _, name, _, _ in Formatter().parse(prompt) if name is not None]
    except ValueError as error:
        raise UserError(
            f"The prompt is no format string: {error}. Write {{{{ and }}}} for braces."
        ) from error
    names = [part.split(".")[0].split("[")[0] for part in parts]
    if not names:
        raise UserError(
            "The prompt names no column, so all rows would ask the same. Write the columns in "
            f"braces, such as {{{next(iter(frame.columns), 'text')}}}."
        )
    known = [str(name) for name in frame.columns]
    for name in names:
        if name not in known:
            close = get_close_matches(name, known, 1)
            hint = f"did you mean {{{close[0]}}}?" if close else f"there are: {', '.join(known)}."
            raise UserError(
                f"The prompt names {{{name}}}, which is no column: {hint} For braces in the text "
                "write {{ and }}."
            )
    return list(dict.fromkeys(names))


def _source(function: Callable[..., Any]) -> str:
    """A function's source, where it can be found."""
    try:
        return inspect.getsource(function).strip()
    except (OSError, TypeError):
        return str(getattr(function, "__qualname__", type(function).__qualname__))


def _is_missing(value: Any) -> bool:
    """Whether a value is None, NaN, NaT or NA; a list is none of them."""
    if value is None:
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):  # pandas.NA has no truth; an array has many
        return type(value).__name__ == "NAType"
