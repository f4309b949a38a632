"""What is optional: each extra is described, and what is missing names the extra that brings it."""

from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import agentstream
from agentstream._extras import DISTRIBUTION, EXTRAS, install_command
from agentstream.trace import Trace, to_frame
from agentstream.trace.timeline.timeline import Timeline

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_the_distribution_is_named_once_in_the_code_and_as_it_is_declared() -> None:
    assert PROJECT["name"] == DISTRIBUTION
    package = Path(agentstream.__file__).parent
    naming = [
        path.name
        for path in package.rglob("*.py")
        if f'"{DISTRIBUTION}"' in path.read_text("utf-8")
    ]
    assert naming == ["_extras.py"]


def test_every_extra_is_described_and_stands_in_the_table_of_the_docs() -> None:
    assert sorted(EXTRAS) == sorted(PROJECT["optional-dependencies"])
    table = (ROOT / "docs/install.md").read_text("utf-8")
    assert dict(re.findall(r"^\| `([\w-]+)` \| (.+?) \|", table, re.MULTILINE)) == EXTRAS


def test_no_text_names_an_extra_of_another_distribution() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("notebooks/*.ipynb")]
    pages += [*ROOT.glob("agentstream/**/*.py"), *ROOT.glob("bench/*.py"), ROOT / "pyproject.toml"]
    wrong = {
        f"{path.name}: {found}"
        for path in pages
        for found in re.findall(r"(?<![\w-])agentstream\[[a-z,-]+\]", path.read_text("utf-8"))
    }
    assert wrong == set()


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Hide packages, as if they were not installed."""
    real = importlib.util.find_spec

    def hide(*names: str) -> None:
        for name in names:
            monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.setattr(
            importlib.util,
            "find_spec",
            lambda name, *more: None if name in names else real(name, *more),
        )

    return hide


def test_parquet_without_pyarrow_names_the_extra_and_the_frame_is_one_of_pandas(
    without: Any, tmp_path: Path
) -> None:
    without("pyarrow", "fastparquet")
    frame = to_frame(Trace())
    with pytest.raises(ImportError, match=re.escape(install_command("trace"))):
        frame.to_parquet(tmp_path / "run.parquet", index=False)
    assert type(frame) is pd.DataFrame
    assert frame.to_csv().startswith("item,turn,agent")


def test_a_png_without_a_drawer_names_the_extra(without: Any, tmp_path: Path) -> None:
    without("resvg_py", "cairosvg")
    with pytest.raises(ImportError, match=re.escape(install_command("trace"))):
        Timeline(Trace()).save(tmp_path / "run.png")


def test_a_benchmark_without_what_it_compares_with_names_the_extra(without: Any) -> None:
    from bench import contenders

    without("chatlas")
    with pytest.raises(SystemExit, match=re.escape(install_command("bench"))):
        contenders.require_all()


def test_a_frame_of_others_without_narwhals_names_the_extra(without: Any) -> None:
    from agentstream.rows.frames import as_pandas

    without("narwhals")
    polars = pytest.importorskip("polars", reason="polars is not installed")
    with pytest.raises(agentstream.UserError, match=re.escape(install_command("rows"))):
        as_pandas(polars.DataFrame({"a": [1]}))


def test_executing_a_notebook_without_nbclient_names_the_extra(
    without: Any, tmp_path: Path
) -> None:
    from agentstream.testing import check_notebook

    without("nbclient")
    (tmp_path / "a.ipynb").write_text(
        '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', encoding="utf-8"
    )
    with pytest.raises(agentstream.UserError, match=re.escape(install_command("lab"))):
        check_notebook(tmp_path / "a.ipynb")
