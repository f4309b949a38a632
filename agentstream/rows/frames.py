"""Frames of other libraries: what is read of them, and outputs in their form."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from .._extras import install_command
from .._utils.json import encodable
from ..exceptions import UserError
from .prompt import needed_columns

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["as_pandas"]


def as_pandas(frame: Any, prompt: Any = None) -> tuple[DataFrame, Callable[[DataFrame], Any]]:
    """A frame as one of pandas, and how an output becomes a frame of the same library.

    By `narwhals` also polars, pyarrow, Modin and others. Of a frame of Dask only the columns that
    the `prompt` of `map_frame` needs are computed.

    Raises
    ------
    UserError
        It is no frame, or `narwhals` is not installed.
    """
    import pandas as pd

    if isinstance(frame, pd.DataFrame):
        # Before pandas 3 the rows would change with the program's frame.
        return frame.copy(deep=not pd.__version__.startswith("3")), lambda output: output
    what = f"map_frame's second argument must be a DataFrame, got {type(frame).__name__}"
    if type(frame).__module__ == "builtins":
        raise UserError(f"{what}.")
    if type(frame).__module__.partition(".")[0] == "dask":
        return _of_dask(frame, prompt, what)
    try:
        import narwhals as nw
    except ImportError:
        raise UserError(
            f"{what} of {type(frame).__module__.partition('.')[0]}. For frames of other libraries "
            f"than pandas install narwhals: {install_command('rows')}."
        ) from None
    try:
        native = nw.from_native(frame, eager_only=True)
    except TypeError as error:
        raise UserError(f"{what}: {error}. Collect a lazy frame first.") from error
    columns = {name: pd.Series(native[name].to_list(), dtype=object) for name in native.columns}

    def back(output: DataFrame) -> Any:
        cells = {
            name: [None if _is_na(cell) else cell for cell in output[name].tolist()]
            for name in output.columns
        }
        made = partial(nw.from_dict, backend=native.implementation)
        try:
            return made(cells).to_native()
        except Exception:  # noqa: BLE001 - each library has errors of its own
            fitting = {name: _fitting(column, made) for name, column in cells.items()}
            return made(fitting).to_native()

    return pd.DataFrame(columns), back


def _fitting(cells: list[Any], make: Callable[[dict[str, Any]], Any]) -> list[Any]:
    """A column, as texts where the library has no type for all of its cells.

    An answer that is paid for is not lost by a number of 20 digits in another.
    """
    try:
        make({"": cells})
    except Exception:  # noqa: BLE001 - as above
        return [cell if cell is None or isinstance(cell, str) else _as_text(cell) for cell in cells]
    return cells


def _as_text(cell: Any) -> str:
    return json.dumps(encodable(cell), ensure_ascii=False, default=str)


def _of_dask(frame: Any, prompt: Any, what: str) -> tuple[DataFrame, Callable[[DataFrame], Any]]:
    import pandas as pd

    if not hasattr(frame, "npartitions") or not hasattr(frame, "columns"):
        raise UserError(f"{what} of Dask.")
    computed = frame[needed_columns(prompt, frame)].compute()
    if not isinstance(computed, pd.DataFrame):
        computed.close()  # a coroutine
        raise UserError(
            "A Dask DataFrame cannot be computed here by an asynchronous client: give "
            "map_frame(agent, await client.compute(frame), ...)."
        )

    def back(output: DataFrame) -> Any:
        import dask.dataframe as dd

        return dd.from_pandas(output, npartitions=max(frame.npartitions, 1), sort=False)

    return computed, back


def _is_na(cell: Any) -> bool:
    return type(cell).__name__ == "NAType" or (isinstance(cell, float) and cell != cell)
