"""Sees that each call in a model's answer has an id of its own, by which its output names it.

Servers leave ids out, send null or an empty text, use one for several calls, or send a call twice.
Without an id of its own a call cannot be told from others: it would be run again, or its output
would answer another one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container
from typing import Any

from ..exceptions import ModelBehaviorError
from ..items import raw_field

# Answered by their `call_id`; an approval request is answered by its `id`.
_CALLS = ("function_call", "computer_call", "local_shell_call")


def with_call_ids(
    output: list[Any],
    *,
    server_managed: bool = False,
    taken: Container[str] = (),
    after: int = 0,
) -> list[Any]:
    """The output items of an answer, where no two calls have one id, and none is without.

    A call that is sent twice is kept once. A call without an id, or with that of another call, is
    given a new one: the history that is sent back holds it beside the output that names it.

    Parameters
    ----------
    output : list
        The output items of one answer; they are not changed.
    server_managed : bool
        Whether the server keeps the history. It knows the calls by the ids that it sent, so that
        there is no way to answer one that has no id of its own.
    taken : container of str
        Ids of other calls that wait for their outputs, in the run's session.
    after : int
        How many items came before the answer. New ids are made of it and of the call, so that a
        replay of the run makes the same.

    Raises
    ------
    ModelBehaviorError
        If a call cannot be answered: see `server_managed`. An approval request always is the
        server's to name.
    """
    known: dict[str, list[Any]] = {}
    without: list[Any] = []
    kept: list[Any] = []
    for raw in output:
        kind = raw_field(raw, "type")
        key = "id" if kind == "mcp_approval_request" else "call_id"
        if kind not in _CALLS and kind != "mcp_approval_request":
            kept.append(raw)
            continue
        call_id = raw_field(raw, key)
        usable = isinstance(call_id, str) and bool(call_id)
        same = known.setdefault(call_id, []) if usable else without
        if any(_is_repeated(raw, other, usable) for other in same):
            continue
        is_taken = usable and call_id in taken and key != "id" and not server_managed
        if not usable or same or is_taken:
            why = f"with the id of another one, {call_id!r}" if usable else f"without a {key}"
            if server_managed or key == "id":
                raise _unanswerable(raw, why)
            same.append(raw)
            raw = _named(raw, after + len(kept))
        else:
            same.append(raw)
        kept.append(raw)
    return kept


def _is_repeated(raw: Any, other: Any, usable: bool) -> bool:
    """Whether two items with one id, or none, are one call that was sent twice."""
    if raw is other:
        return True
    if not usable and (raw_field(raw, "id") or None) is None:
        return False  # Two calls of one function with the same arguments are nothing unusual.
    return _content(raw) == _content(other)


def _content(raw: Any) -> Any:
    """What a call does; its status and, where it has a call's id, its item's are beside that."""
    plain = dict(raw) if isinstance(raw, dict) else raw.model_dump(warnings=False)
    if plain.get("call_id"):
        plain.pop("id", None)
    plain.pop("status", None)
    return {name: value for name, value in plain.items() if value is not None}


def _named(raw: Any, place: int) -> Any:
    seed = json.dumps([place, _content(raw)], sort_keys=True, default=str)
    new = {"call_id": f"call_{hashlib.sha256(seed.encode()).hexdigest()[:32]}"}
    return {**raw, **new} if isinstance(raw, dict) else raw.model_copy(update=new)


def _unanswerable(raw: Any, why: str) -> ModelBehaviorError:
    kind, name = raw_field(raw, "type"), raw_field(raw, "name")
    return ModelBehaviorError(
        f"The model made a {kind}{f' of {name}' if name else ''} {why}, which cannot be answered: "
        "the server knows its calls by their ids. Nothing was run. Run it again; where the server "
        "keeps the conversation, one without conversation_id and previous_response_id may do."
    )
