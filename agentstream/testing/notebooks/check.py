"""`check_notebook`: a tutorial is executed from its recordings, and its saved outputs are true."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...exceptions import UserError
from .execute import Execution, execute
from .lint import problems
from .normalise import differences, is_silent, normalised, read

__all__ = ["NotebookError", "check_notebook", "normalised", "save_notebook"]


class NotebookError(UserError):
    """A notebook does not run, or was saved with what it should not hold.

    Parameters
    ----------
    problems : list of str
        The same as `problems`.

    Attributes
    ----------
    path : pathlib.Path
        The notebook.
    problems : list of str
        What is wrong, one text each.

    Examples
    --------
    >>> NotebookError(Path("lisbon.ipynb"), ["cell 3: NameError"]).problems
    ['cell 3: NameError']
    """

    def __init__(self, path: Path, problems: list[str]) -> None:
        self.path = path
        self.problems = problems
        super().__init__("\n".join([f"{path.name}: {problems[0]}", *problems[1:]]))


def check_notebook(
    path: str | os.PathLike[str],
    *,
    same: bool = True,
    network: bool = False,
    environment: Mapping[str, str] | None = None,
    cell_time: float = 60,
    time: float = 300,
    max_size: int = 200_000,
) -> dict[str, Any]:
    """Execute a notebook as its reader will, and check its saved outputs.

    It runs in a kernel of its own, in its folder, without keys and without a network: from its
    recordings, or with a `ScriptedModel`. The file stays as it is.

    Parameters
    ----------
    path : str or path-like
        The notebook.
    same : bool
        Whether the saved outputs must be those of a fresh run, but for times, ids and addresses
        (see `normalised`). A notebook that was saved without any is not compared.
    network : bool
        Whether it may use the network, and gets this process's keys.
    environment : mapping, optional
        Variables that it gets. Without a network it gets of this process's only those that say
        where programs and files lie and how things look, as ``PATH`` and ``LANG``.
    cell_time, time : float
        Seconds that a cell, and the whole, may take.
    max_size : int
        Bytes that the file may have.

    Returns
    -------
    dict
        The notebook with its fresh outputs.

    Raises
    ------
    NotebookError
        Which cell failed and how; or what its saved outputs hold that they should not: keys,
        errors, warnings, paths of a machine, too much, another run than this one.

    Examples
    --------
    In a test of your own::

        from agentstream.testing import check_notebook

        def test_my_tutorial():
            check_notebook("lisbon.ipynb")
    """
    file = Path(os.fspath(path))
    saved = read(file)
    issues = list(problems(saved, size=file.stat().st_size, max_size=max_size))
    if issues:
        raise NotebookError(file, issues)
    done = execute(file, cell_time=cell_time, time=time, network=network, environment=environment)
    issues = _of(done)
    if not issues:
        issues = [f"a fresh run: {one}" for one in problems(done.notebook, size=0, max_size=1)]
    if not issues and same and _was_run(saved):
        issues = differences(saved, done.notebook)
        if issues:
            issues.insert(0, "its saved outputs are not those of a fresh run; save_notebook(path)")
    if issues:
        raise NotebookError(file, issues)
    return done.notebook


def save_notebook(
    path: str | os.PathLike[str],
    *,
    network: bool = False,
    environment: Mapping[str, str] | None = None,
    cell_time: float = 60,
    time: float = 300,
) -> bool:
    """Execute a tutorial and save it with its outputs, as `check_notebook` wants them.

    What a cell showed before stays where it is the same but for times and ids, so that a second
    run changes nothing in git. Nothing is saved of a run that failed.

    Parameters
    ----------
    path : str or path-like
        The notebook.
    network, environment, cell_time, time
        As in `check_notebook`.

    Returns
    -------
    bool
        Whether the file has changed.

    Raises
    ------
    NotebookError
        Which cell failed and how, or what the fresh outputs hold that they should not.

    Examples
    --------
    After a change, in a terminal or a script of your own::

        save_notebook("lisbon.ipynb")
    """
    file = Path(os.fspath(path))
    saved = read(file)
    before = file.read_bytes()
    done = execute(file, cell_time=cell_time, time=time, network=network, environment=environment)
    issues = _of(done) or list(problems(done.notebook, size=0, max_size=1))
    if issues:
        raise NotebookError(file, issues)
    text = written(_kept(saved, done.notebook)).encode()
    if text != before:
        file.write_bytes(text)
    return text != before


def written(notebook: dict[str, Any]) -> str:
    """The text of a notebook's file, always in the same form: Jupyter's own.

    Texts are lists of their lines, so that a reader who saves changes nothing else, and git shows
    which line has changed.
    """
    whole = json.loads(json.dumps(notebook))
    for cell in whole["cells"]:
        cell["source"] = _lines(cell["source"])
        for output in cell.get("outputs", []):
            if "text" in output:
                output["text"] = _lines(output["text"])
            data = output.get("data", {})
            for kind in [kind for kind in data if not kind.endswith("json")]:
                is_text = kind.startswith("text/") or kind == "image/svg+xml"
                data[kind] = _lines(data[kind]) if is_text else "".join(data[kind])
    return json.dumps(whole, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _lines(text: str | list[str]) -> list[str]:
    return "".join(text).splitlines(keepends=True)


def _of(done: Execution) -> list[str]:
    if not done.failure:
        return []
    tried = f"it tried to reach {', '.join(done.tried)}, and there is no network in a check"
    return [done.failure, *([tried] if done.tried else [])]


def _was_run(notebook: dict[str, Any]) -> bool:
    return any(cell.get("outputs") for cell in notebook["cells"])


def _kept(saved: dict[str, Any], fresh: dict[str, Any]) -> dict[str, Any]:
    """The fresh notebook, with the saved outputs where they say the same."""
    kept = json.loads(json.dumps(fresh))
    kept["metadata"] = {
        "kernelspec": {
            "display_name": "Python 3 (ipykernel)",
            "language": "python",
            "name": "python3",
        },
        "language_info": {"name": "python"},
    }
    pairs = zip(saved["cells"], kept["cells"], strict=True)
    same = zip(normalised(saved)["cells"], normalised(fresh)["cells"], strict=True)
    for (old, new), (was, now) in zip(pairs, same, strict=True):
        new["metadata"].pop("execution", None)
        if "outputs" in new:
            says_the_same = was == now and was["outputs"] and _frame(old) == _frame(new)
            outputs = old["outputs"] if says_the_same else new["outputs"]
            new["outputs"] = [output for output in outputs if not _is_widget(output)]
            new["source"] = old["source"]
    return kept


def _frame(cell: dict[str, Any]) -> list[str]:
    """Style sheets and the opening tags of images, without numbers: how a cell's outputs look.

    Words may be the same while these were improved; then the new outputs are kept.
    """
    html = [
        text if isinstance(text, str) else "".join(text)
        for output in cell.get("outputs", ())
        for kind, text in output.get("data", {}).items()
        if kind in ("text/html", "image/svg+xml")
    ]
    matches = re.findall(r"<style.*?</style>|<svg[^>]*>", "".join(html), re.DOTALL)
    return [re.sub(r"[\d.]+", "", one) for one in matches]


def _is_widget(output: dict[str, Any]) -> bool:
    """Whether an output is a widget and nothing else: without its kernel it shows nothing."""
    data = output.get("data", {})
    return bool(data) and all(is_silent(kind, value) for kind, value in data.items())
