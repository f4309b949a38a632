"""What ``to_parquet`` says where nothing is installed that writes such a file."""

from __future__ import annotations

from importlib import util
from typing import TYPE_CHECKING, Any, NoReturn

from .._extras import install_command

if TYPE_CHECKING:
    import pandas as pd


def explain_parquet(frame: pd.DataFrame) -> None:
    """Have the frame's ``to_parquet`` name our extra where pandas would name its own needs.

    It is an attribute of this one frame: its type is that of pandas, and so is what is made of it.
    """
    if not any(util.find_spec(name) for name in ("pyarrow", "fastparquet")):
        frame.to_parquet = _refuse


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise ImportError(
        "to_parquet needs pyarrow, which is not installed: "
        f"{install_command('trace')}, or use to_csv or to_json"
    )
