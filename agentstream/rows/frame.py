"""The frame of outputs: the rows' index and order, the output's columns, what became of each."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, get_args

from .._utils.json import encodable
from .columns import META, Columns
from .result import Source, Status
from .results import Results

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["output_frame"]


def output_frame(
    index: Any, columns: Columns, results: Results, positions: Sequence[int], origins: Sequence[int]
) -> DataFrame:
    """Make the frame of what there is.

    A row that waits has the status "waiting", and nothing else. `origins` has for each row the
    position of the row that was asked for it: its own, or that of the first that asks the same; -1:
    that is not known yet.
    """
    import numpy as np
    import pandas as pd

    at = np.asarray(origins, dtype=np.int64)
    codes = np.where(at < 0, 0, np.frombuffer(bytes(results.statuses) + b"\0", np.uint8)[at])
    status = np.array(["waiting", *get_args(Status)], dtype=object)[codes]
    is_empty = codes == 0
    is_done = status == "done"
    cells = [results.cells[one] if done else None for one, done in zip(at, is_done, strict=True)]
    data: dict[str, Any] = {
        name: _typed([None if row is None else row[number] for row in cells], dtype)
        for number, (name, dtype) in enumerate(zip(columns.names, columns.dtypes, strict=True))
    }
    errors = [results.errors.get(one, (None, None)) for one in at]
    texts = {
        "status": status,
        "error": [error for error, _ in errors],
        "error_type": [kind for _, kind in errors],
        "source": _sources(results, at, np.asarray(positions, dtype=np.int64), is_empty),
    }
    for name, dtype in META.items():
        if name in texts:
            data[name] = _typed(list(texts[name]), dtype)
        else:
            data[name] = _numbers(results.numbers[name], at, is_empty, dtype)
    return pd.DataFrame(data, index=index)


def _sources(results: Results, origins: Any, positions: Any, is_empty: Any) -> Any:
    import numpy as np

    names = (*get_args(Source), None)
    codes = np.frombuffer(bytes(results.sources) + b"\0", np.uint8)[origins]
    is_twin = (codes == names.index("asked")) & (origins != positions)
    codes = np.where(is_twin, names.index("equal row"), codes)
    return np.array(names, dtype=object)[np.where(is_empty, names.index(None), codes)]


def _numbers(column: Sequence[Any], origins: Any, is_empty: Any, dtype: str) -> Any:
    import numpy as np
    import pandas as pd

    if not isinstance(column, array):
        cells = [None if no else column[at] for at, no in zip(origins, is_empty, strict=True)]
        return _typed(cells, dtype)
    # One more, for the rows that are not known yet, where an empty frame has none at all.
    numbers = np.append(np.asarray(column), 0).astype(dtype.lower())[origins]
    if dtype == "float64":
        return np.where(is_empty, np.nan, numbers)
    kind = pd.arrays.IntegerArray if dtype == "Int64" else pd.arrays.FloatingArray
    return kind(numbers, is_empty)


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
