"""JSON schemas in the strict form of OpenAI's structured outputs.

The rules, from https://platform.openai.com/docs/guides/structured-outputs (supported schemas):

| a schema has | strict form |
|---|---|
| an object | ``additionalProperties: false``; every property is required |
| an object that admits other properties | cannot be strict |
| ``default: null`` | left out |
| ``oneOf`` | becomes ``anyOf`` |
| ``allOf`` with one entry | is merged with what stands beside it, where both agree |
| ``properties`` without a type | is an object |
| ``$ref`` with siblings (a description) | the referenced schema takes their place, siblings win |
| a root that is no plain object | cannot be strict |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from .exceptions import UserError

# Keywords that describe a value and do not restrict it: they may stand beside an inlined schema.
ANNOTATIONS = frozenset(
    "$anchor $comment $defs $schema contentEncoding contentMediaType contentSchema default"
    " definitions deprecated description examples readOnly title writeOnly".split()
)
# Deeper schemas are refused by the API, and would exhaust Python's stack.
MAX_DEPTH = 100
# A reference that is inlined twice, whose target does the same, and so on, grows without end; the
# schemas of a tool server come from outside. The SDK's bound, too.
MAX_NODES = 100_000

WAY_OUT = (
    "To keep the type, turn strict mode off: strict_mode=False on function_tool, "
    "strict_json_schema=False on FunctionTool, or AgentOutputSchema(YourType, "
    "strict_json_schema=False)."
)


def ensure_strict_json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """A JSON schema in the strict form that OpenAI's structured outputs ask for.

    Parameters
    ----------
    schema : dict
        A JSON schema of an object. It is not changed.

    Returns
    -------
    dict
        The strict schema.

    Raises
    ------
    UserError
        The schema admits values that no strict schema can describe. The message says where, and how
        to turn strict mode off.

    Examples
    --------
    >>> strict = ensure_strict_json_schema({"properties": {"a": {"type": "string"}}})
    >>> strict["required"], strict["additionalProperties"]
    (['a'], False)
    """
    if schema == {}:
        return {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    check_depth(schema)
    strict = _Strict(schema).node(schema, ("root",), ())
    if strict.get("type") == ["object"]:
        strict["type"] = "object"
    if "anyOf" in strict:
        raise _impossible(
            ("root",),
            "the root of a strict JSON schema must be one object, and this is a choice (anyOf)",
        )
    if isinstance(strict.get("type"), list):
        kinds = strict["type"]
        raise _impossible(
            ("root",), f"the root of a strict JSON schema must be one object, and this is {kinds}"
        )
    return strict


def _impossible(path: tuple[str, ...], why: str) -> UserError:
    return UserError(f"The JSON schema cannot be strict: at {'.'.join(path)}, {why}. {WAY_OUT}")


def check_depth(schema: Any) -> None:
    """Refuse what is nested too deeply to be walked, also in keywords that stay as they are."""
    level = [schema]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for value in level
            for child in (value.values() if isinstance(value, dict) else value)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return
    raise _impossible(("root",), f"the schema is too deeply nested: over {MAX_DEPTH} levels")


class _Strict:
    """One conversion; `root` is the document that `$ref` points into."""

    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root
        self.nodes = 0

    def node(self, schema: Any, path: tuple[str, ...], inlined: tuple[str, ...]) -> dict[str, Any]:
        """The strict form of one schema; `inlined` are the references that led here."""
        if not isinstance(schema, dict):
            raise _impossible(path, f"a schema is expected, not {schema!r}")
        self.nodes += 1
        if len(path) + len(inlined) > MAX_DEPTH:
            raise _impossible(path[:6], "the schema is too deeply nested")
        if self.nodes > MAX_NODES:
            raise _impossible(path[:6], f"the schema has more than {MAX_NODES:,} parts")
        if path != ("root",) and _has_reference(schema):
            self.check_resource(schema, path)
        out = {k: v for k, v in schema.items() if k != "default" or v is not None}
        if len(_list(out, "allOf", path)) == 1:
            return self.merge(out, path, inlined)
        if "$ref" in out and len(out) > 1:
            return self.inline(out, path, inlined)
        for key in ("$defs", "definitions", "properties"):
            if isinstance(out.get(key), dict):
                parts = out[key].items()
                out[key] = {k: self.node(v, (*path, key, k), inlined) for k, v in parts}
        self.close_object(out, path)
        if isinstance(out.get("items"), dict):
            out["items"] = self.node(out["items"], (*path, "items"), inlined)
        choices = [*_list(out, "anyOf", path), *_list(out, "oneOf", path)]
        if "anyOf" in out or out.pop("oneOf", None) is not None:
            out.pop("oneOf", None)
            out["anyOf"] = self.each(choices, (*path, "anyOf"), inlined)
        if "allOf" in out:
            out["allOf"] = self.each(out["allOf"], (*path, "allOf"), inlined)
        return out

    def merge(
        self, out: dict[str, Any], path: tuple[str, ...], inlined: tuple[str, ...]
    ) -> dict[str, Any]:
        """The strict form of a schema whose `allOf` has one entry: both as one schema."""
        (entry,) = out.pop("allOf")
        if not isinstance(entry, dict):
            raise _impossible((*path, "allOf"), f"a schema is expected, not {entry!r}")
        if "$ref" in entry and set(entry) - {"$ref"} <= ANNOTATIONS:
            ref = entry["$ref"]
            if not out and len(entry) == 1 and ref in inlined:
                return {"$ref": ref}  # it contains itself, as a reference may
            self.check_recursion(ref, path, inlined)
            inlined = (*inlined, ref)
            entry = {**self.resolve(ref, path), **_without(entry, "$ref")}
        return self.node(_merged(entry, out, path), path, inlined)

    def each(
        self, schemas: list[Any], path: tuple[str, ...], inlined: tuple[str, ...]
    ) -> list[dict[str, Any]]:
        return [self.node(s, (*path, str(i)), inlined) for i, s in enumerate(schemas)]

    def close_object(self, out: dict[str, Any], path: tuple[str, ...]) -> None:
        """Admit no other properties, and require those that are there."""
        if "type" not in out and isinstance(out.get("properties"), dict):
            out["type"] = "object"
        kind = out.get("type")
        is_open = out.get("additionalProperties", False) is not False
        if kind is None and is_open:
            raise _impossible(path, "additionalProperties admits what is not declared")
        if kind == "object" or (isinstance(kind, list) and "object" in kind):
            if is_open:
                raise _impossible(
                    path,
                    "an object admits properties that are not declared (a dict, or a model with "
                    "extra='allow'); declare its keys in a model or TypedDict",
                )
            out["additionalProperties"] = False
        if isinstance(out.get("properties"), dict):
            out["required"] = list(out["properties"])

    def inline(
        self, out: dict[str, Any], path: tuple[str, ...], inlined: tuple[str, ...]
    ) -> dict[str, Any]:
        """Put the referenced schema in the place of its reference, and the siblings over it."""
        ref = out.pop("$ref")
        self.check_recursion(ref, path, inlined)
        allowed = ANNOTATIONS | {"$id"} if path == ("root",) else ANNOTATIONS
        clash = sorted(set(out) - allowed)
        if clash:
            raise _impossible(
                path,
                f"{', '.join(clash)} beside a $ref, an incompatible sibling, would change its "
                "values",
            )
        return self.node({**self.resolve(ref, path), **out}, path, (*inlined, ref))

    def check_recursion(self, ref: Any, path: tuple[str, ...], inlined: tuple[str, ...]) -> None:
        if ref in inlined:
            raise _impossible(
                path, f"{ref!r} is circular: it contains itself beside other keywords"
            )

    def check_resource(self, schema: Any, path: tuple[str, ...]) -> None:
        """Refuse a part with an ``$id`` of its own: references inside it point into that part."""
        if isinstance(schema, dict) and isinstance(schema.get("$id"), str):
            raise _impossible(
                path, "a nested `$id` resource changes what the references in it mean"
            )

    def resolve(self, ref: Any, path: tuple[str, ...]) -> dict[str, Any]:
        """The schema that a local reference means, over all references that it leads to."""
        seen: list[Any] = []
        described: dict[str, Any] = {}
        while True:
            if len(seen) > MAX_DEPTH:
                raise _impossible(
                    path,
                    f"$ref {seen[0]!r} is too deeply nested: it leads over more than {MAX_DEPTH} "
                    "other references",
                )
            if ref in seen:
                raise _impossible(
                    path, f"$ref {seen[0]!r} is circular: it leads to references without an end"
                )
            seen.append(ref)
            self.nodes += 1
            schema = self.target(ref, path)
            if "$ref" not in schema or set(schema) - {"$ref"} - ANNOTATIONS:
                return {**schema, **described}
            described = {**_without(schema, "$ref"), **described}
            ref = schema["$ref"]

    def target(self, ref: Any, path: tuple[str, ...]) -> dict[str, Any]:
        """The schema at a local reference (``#/$defs/Name``)."""
        if not isinstance(ref, str) or not ref.startswith("#/"):
            raise _impossible(path, f"$ref {ref!r} does not point into this schema (#/...)")
        schema: Any = self.root
        # RFC 6901, section 4 and 6: a JSON pointer in a URI fragment.
        for key in unquote(ref[2:]).split("/"):
            key = key.replace("~1", "/").replace("~0", "~")
            if not isinstance(schema, dict) or key not in schema:
                raise _impossible(path, f"$ref {ref!r} points to nothing")
            schema = schema[key]
            self.check_resource(schema, path)
        if not isinstance(schema, dict):
            raise _impossible(path, f"$ref {ref!r} points to no schema")
        return schema


def _list(schema: dict[str, Any], key: str, path: tuple[str, ...]) -> list[Any]:
    value = schema.get(key, [])
    if not isinstance(value, list):
        raise _impossible(path, f"{key} must be a list of schemas")
    return value


def _without(schema: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if name != key}


def _merged(entry: dict[str, Any], parent: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """A schema with the only entry of its `allOf`; what describes is the schema's own."""
    declared = entry.get("properties") or {}
    clash = [
        key
        for key, value in parent.items()
        if key in entry and key not in ANNOTATIONS and not _agree(key, value, entry, declared)
    ]
    closed = parent.get("additionalProperties") is False
    if closed and declared and not parent.get("properties"):
        clash.append("additionalProperties")  # which sees the properties beside it, and no others
    if clash:
        listed = ", ".join(sorted(clash))
        raise _impossible(
            path,
            f"{listed} beside a singleton `allOf` cannot be merged into its entry's properties",
        )
    own = {key: v for key, v in parent.items() if key in ANNOTATIONS or key not in entry}
    return {**entry, **own}


def _agree(key: str, value: Any, entry: dict[str, Any], declared: dict[str, Any]) -> bool:
    if key == "properties" and not value:
        return True
    if key == "required" and isinstance(value, list):
        return set(value) <= set(declared)  # all that is declared is required in the strict form
    return _same_json(value, entry[key])


def _same_json(one: Any, other: Any) -> bool:
    """Whether two values are the same in JSON, where 1 is 1.0 and is not true."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same_json(one[k], other[k]) for k in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_same_json, one, other))
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def _has_reference(schema: dict[str, Any]) -> bool:
    waiting: list[Any] = [schema] if "$id" in schema else []
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if "$ref" in part:
                return True
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
    return False
