"""What is wrong with the outputs that a notebook was saved with: keys, paths, errors, sizes."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .normalise import text_of

_KEY = re.compile(
    r"\b(sk-(?:proj-|ant-|or-)?[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|AKIA[0-9A-Z]{16})"
)
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)
_PATH = re.compile(
    r"(?:(?<![\w.:/~-])|(?<=file://))(?:/(?:home|Users|root|tmp|private|var|opt|mnt|work|workspace|builds)/[\w.@+-]+"
    r"|[A-Za-z]:\\+(?:Users|Windows|Temp)\\+[\w.@+-]+)"
)
_DATA = re.compile(r"base64,[A-Za-z0-9+/=]+")
_SHORTEST_SECRET = 8


def secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """The keys of an environment, by the names of their variables."""
    return {
        name: value
        for name, value in environment.items()
        if _SECRET_NAME.search(name)
        and len(value) >= _SHORTEST_SECRET
        and not value.isdigit()
        and not value.startswith("/")  # where a key lies is none
    }


def secret_in(text: str, environment: Mapping[str, str] | None = None) -> str:
    """Which key stands in a text, without the key itself; empty if none does.

    `environment` has the keys that are looked for beside what looks like one; by default this
    process's.
    """
    for name, value in secrets(os.environ if environment is None else environment).items():
        if value in text or json.dumps(value)[1:-1] in text:
            return f"the value of {name}"
    match = _KEY.search(text)
    return f"what looks like a key ({match[0][:5]}…)" if match else ""


def problems(notebook: Mapping[str, Any], *, size: int, max_size: int) -> Iterator[str]:
    """What is wrong with a notebook as it was saved, one line each.

    `size` is in bytes on the disk.
    """
    if size > max_size:
        yield (
            f"it has {size:,} bytes, and {max_size:,} are allowed: show less, or leave a picture "
            "to its reader"
        )
    whole = secret_in(json.dumps(notebook, ensure_ascii=False))
    reported = False
    for number, cell in enumerate(notebook["cells"], 1):
        for output in cell.get("outputs", ()):
            for problem in _of_output(output):
                reported = reported or "key" in problem
                yield f"cell {number} {problem}"
    if whole and not reported:
        yield f"it contains {whole}"


def _of_output(output: Mapping[str, Any]) -> Iterator[str]:
    if output["output_type"] == "error":
        yield f"was saved with an error: {output.get('ename')}: {output.get('evalue')}"
        return
    if output["output_type"] == "stream" and output.get("name") == "stderr":
        line = next(iter(text_of(output.get("text", "")).strip().splitlines()), "")
        yield f"was saved with a warning or a message on stderr: {line[:120]}"
    data = output.get("data", {"text": output.get("text", "")})
    text = "\n".join(
        text_of(value) for kind, value in data.items() if not kind.startswith("image/")
    )
    if secret := secret_in(text):
        yield f"shows {secret}"
    if path := path_in(_DATA.sub("", text)):
        yield f"shows a path of this machine: {path}"


def path_in(text: str) -> str:
    """The first absolute path of a machine in a text; empty if there is none."""
    here = [os.path.expanduser("~"), str(Path.cwd()), sys.prefix]
    for path in here:
        if len(path) > 5 and path in text:
            return path
    match = _PATH.search(text)
    return match[0] if match else ""
