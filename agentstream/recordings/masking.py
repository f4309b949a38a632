"""Secrets are masked in a recording before its texts are joined, so that the file stays readable.

A model that repeats a key writes it in pieces. `Masker` holds events back while a text ends in what
may become a secret, masks it in the pieces themselves, and lets them go on; so the lengths that are
written beside a joined text are those of its masked pieces.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, Final

from .._utils.redaction import MASK, is_ordinary, remembered

# What a line is read by; a key that reads like one of them is no secret there.
_STRUCTURE: Final = frozenset({"digest", "mark", "object", "role", "status", "type"})
_TEXT: Final = ("type", "item_id", "output_index", "content_index", "summary_index")
_MOST_HELD: Final = 1_000  # events: a killed kernel loses no more

Timed = tuple[float, dict[str, Any]]


class Secrets:
    """Values to mask, and where they begin."""

    def __init__(self, values: Iterable[str]) -> None:
        # Arguments of calls are JSON within a text.
        forms = {form for value in values for form in (value, json.dumps(value)[1:-1])}
        self._forms = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, self._forms)) or r"(?!)")

    def __bool__(self) -> bool:
        return bool(self._forms)

    def masked(self, value: Any) -> Any:
        """A copy of plain data with the secrets masked in its texts."""
        if isinstance(value, str):
            # A look for each is faster than a pattern of all, which most texts need not.
            is_secret = any(form in value for form in self._forms)
            return self._pattern.sub(MASK, value) if is_secret else value
        if isinstance(value, list):
            return [self.masked(entry) for entry in value]
        if isinstance(value, dict):
            return {
                name: entry if name in _STRUCTURE and isinstance(entry, str) else self.masked(entry)
                for name, entry in value.items()
            }
        return value

    def masked_pieces(self, pieces: list[str]) -> list[str]:
        """The pieces of one text; the mask stands where a secret begins."""
        whole = "".join(pieces)
        spans = [match.span() for match in self._pattern.finditer(whole)]
        if not spans:
            return pieces
        masked, end = [], 0
        for piece in pieces:
            begin, end = end, end + len(piece)
            kept, place = "", begin
            for first, last in spans:
                if begin < last and first < end:
                    kept += whole[place:first] + (MASK if begin <= first else "")
                    place = min(last, end)
            masked.append(kept + whole[place:end])
        return masked

    def begun(self, text: str) -> int:
        """How many of the last characters of `text` may be the beginning of a secret."""
        most = 0
        for form in self._forms:
            tail = text[1 - len(form) :]
            at = tail.find(form[0])
            while at >= 0 and len(tail) - at > most:
                if form.startswith(tail[at:]):
                    most = len(tail) - at
                at = tail.find(form[0], at + 1)
        return most


@lru_cache(maxsize=16)
def _secrets(values: tuple[str, ...], also: frozenset[str]) -> Secrets:
    return Secrets(value for value in (*values, *also) if not is_ordinary(value))


def secrets_now(also: Iterable[str]) -> Secrets:
    """What is secret in this process, and `also`, but for words such as ``lm-studio``."""
    return _secrets(remembered(), frozenset(also))


def masked_line(line: dict[str, Any], secrets: Secrets) -> dict[str, Any]:
    """A line of a recording without secrets; a joined text was masked in its pieces."""
    if not secrets:
        return line
    masked: dict[str, Any] = secrets.masked(line)
    return masked | {"delta": line["delta"]} if "pieces" in line else masked


class Masker:
    """Masks secrets in the events of one model call, also where a text repeats one in pieces."""

    def __init__(self, secrets: Callable[[], Secrets]) -> None:
        self._find = secrets
        self._secrets: Secrets | None = None
        self._held: list[Timed] = []
        self._open: dict[str, list[dict[str, Any]]] = {}

    def add(self, at: float, data: dict[str, Any]) -> Iterator[Timed]:
        """Take in an event; yield those that are free of secrets with it."""
        if self._secrets is None:
            self._secrets = self._find()
        if not self._secrets:
            yield at, data
            return
        self._held.append((at, data))
        if data["type"].endswith(".delta") and isinstance(data.get("delta"), str):
            self._mask(self._secrets, data)
        elif not data["type"].startswith("response.") or data["type"].endswith(".done"):
            self._open.clear()
        if not self._open or len(self._held) > _MOST_HELD:
            yield from self.rest()

    def rest(self) -> Iterator[Timed]:
        """Yield what is held back."""
        held, self._held = self._held, []
        self._open.clear()
        yield from held

    def _mask(self, secrets: Secrets, data: dict[str, Any]) -> None:
        text = str([data.get(name) for name in _TEXT])
        pieces = [*self._open.pop(text, ()), data]
        deltas = [piece["delta"] for piece in pieces]
        masked = secrets.masked_pieces(deltas)
        for piece, delta in zip(pieces, masked, strict=True):
            piece["delta"] = delta
        whole = "".join(masked)
        # A mask does not begin another secret.
        begun = secrets.begun(whole if masked is deltas else whole.rpartition(MASK)[2])
        if begun:
            first, size = len(pieces), 0
            while size < begun:
                first -= 1
                size += len(masked[first])
            self._open[text] = pieces[first:]
