"""The frame of outputs: the rows' index and order, the output's columns, what became of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .._utils.json import encodable
from .columns import META, Columns
from .result import RowResult

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["output_frame"]


def output_frame(
    index: Any, columns: Columns, results: Sequence[RowResult | None], positions: Sequence[int]
) -> DataFrame:
    """Make the frame of what there is.

    Parameters
    ----------
    index : pandas.Index
        Of the rows.
    columns : Columns
        Of the output.
    results : sequence of RowResult or None
        One a row; None: it waits.
    positions : sequence of int
        Of the rows, to know which of equal ones was asked.

    Returns
    -------
    pandas.DataFrame
        A row that waits has the status "waiting", and nothing else.
    """
    import pandas as pd

    empty = (None,) * len(columns.names)
    values = [
        empty if result is None or result.status != "done" else result.values for result in results
    ]
    data: dict[str, Any] = {
        name: _typed([row[at] for row in values], dtype)
        for at, (name, dtype) in enumerate(zip(columns.names, columns.dtypes, strict=True))
    }
    for name in META:
        cells: list[Any]
        if name == "status":
            cells = ["waiting" if result is None else result.status for result in results]
        elif name == "source":
            cells = [
                None if result is None else result.source_at(position)
                for result, position in zip(results, positions, strict=True)
            ]
        else:
            cells = [None if result is None else getattr(result, name) for result in results]
        data[name] = _typed(cells, META[name])
    return pd.DataFrame(data, index=index)


def _typed(cells: list[Any], dtype: str) -> Any:
    """Cells as a typed array; as objects where one does not fit, such as a very large number."""
    import numpy as np
    import pandas as pd

    if dtype == "string":
        cells = encodable(cells)  # arrow holds no half of a surrogate pair
    if dtype != "object":
        try:
            return pd.array(cells, dtype=dtype)
        except (TypeError, ValueError, OverflowError):
            pass
    objects = np.empty(len(cells), dtype=object)
    for at, cell in enumerate(cells):  # at once, numpy would take equally long lists for a matrix
        objects[at] = cell
    return objects
