"""JSON schemas in the strict form of OpenAI's structured outputs.

The rules, from https://platform.openai.com/docs/guides/structured-outputs (supported schemas):

| a schema has | strict form |
|---|---|
| an object | ``additionalProperties: false``; every property is required |
| an object that admits other properties | cannot be strict |
| ``default: null`` | left out |
| ``oneOf`` | becomes ``anyOf`` |
| ``allOf`` with one entry | becomes that entry |
| ``$ref`` with siblings (a description) | the referenced schema takes their place, siblings win |
| a root that is no plain object | cannot be strict |
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from .errors import UserError

# Keywords that describe a value and do not restrict it: they may stand beside an inlined schema.
ANNOTATIONS = frozenset(
    "$anchor $comment $defs $schema contentEncoding contentMediaType contentSchema default"
    " definitions deprecated description examples readOnly title writeOnly".split()
)
# Deeper schemas are refused by the API, and would exhaust Python's stack.
MAX_DEPTH = 100

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
    if "properties" in schema and "type" not in schema:
        schema = {"type": "object", **schema}
    strict = _Strict(schema).node(schema, ("root",), ())
    if "anyOf" in strict:
        raise _impossible(("root",), "the root is a choice (anyOf), and must be one object")
    if isinstance(strict.get("type"), list):
        raise _impossible(("root",), f"the root may be one of {strict['type']}, not just an object")
    return strict


def _impossible(path: tuple[str, ...], why: str) -> UserError:
    return UserError(f"The JSON schema cannot be strict: at {'.'.join(path)}, {why}. {WAY_OUT}")


class _Strict:
    """One conversion; `root` is the document that `$ref` points into."""

    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root

    def node(self, schema: Any, path: tuple[str, ...], inlined: tuple[str, ...]) -> dict[str, Any]:
        """The strict form of one schema; `inlined` are the references that led here."""
        if not isinstance(schema, dict):
            raise _impossible(path, f"a schema is expected, not {schema!r}")
        if len(path) > MAX_DEPTH:
            raise _impossible(path[:6], "the schema is nested too deeply")
        out = {k: v for k, v in schema.items() if k != "default" or v is not None}
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
            entries = self.each(_list(out, "allOf", path), (*path, "allOf"), inlined)
            out["allOf"] = entries
            if len(entries) == 1:
                out = _merge(entries[0], {k: v for k, v in out.items() if k != "allOf"}, path)
                if "$ref" in out and (len(out) > 1 or out["$ref"] not in inlined):
                    return self.inline(out, path, inlined)
        return out

    def each(
        self, schemas: list[Any], path: tuple[str, ...], inlined: tuple[str, ...]
    ) -> list[dict[str, Any]]:
        return [self.node(s, (*path, str(i)), inlined) for i, s in enumerate(schemas)]

    def close_object(self, out: dict[str, Any], path: tuple[str, ...]) -> None:
        """Admit no other properties, and require those that are there."""
        kind = out.get("type")
        if kind == "object" or (isinstance(kind, list) and "object" in kind):
            if out.get("additionalProperties", False) is not False:
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
        if ref in inlined:
            raise _impossible(path, f"{ref!r} contains itself beside other keywords")
        allowed = ANNOTATIONS | {"$id"} if path == ("root",) else ANNOTATIONS
        clash = sorted(set(out) - allowed)
        if clash:
            raise _impossible(path, f"{', '.join(clash)} beside a $ref would change its values")
        return self.node({**self.resolve(ref, path), **out}, path, (*inlined, ref))

    def resolve(self, ref: Any, path: tuple[str, ...]) -> dict[str, Any]:
        """The schema that a local reference (``#/$defs/Name``) means."""
        if not isinstance(ref, str) or not ref.startswith("#/"):
            raise _impossible(path, f"$ref {ref!r} does not point into this schema (#/...)")
        found: Any = self.root
        for key in ref[2:].split("/"):
            # RFC 6901, section 4 and 6: a JSON pointer in a URI fragment.
            key = unquote(key).replace("~1", "/").replace("~0", "~")
            if not isinstance(found, dict) or key not in found:
                raise _impossible(path, f"$ref {ref!r} points to nothing")
            found = found[key]
        if not isinstance(found, dict):
            raise _impossible(path, f"$ref {ref!r} points to no schema")
        return found


def _list(schema: dict[str, Any], key: str, path: tuple[str, ...]) -> list[Any]:
    value = schema.get(key, [])
    if not isinstance(value, list):
        raise _impossible(path, f"{key} must be a list of schemas")
    return value


def _merge(entry: dict[str, Any], parent: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """A parent with the only entry of its `allOf`; what describes is the parent's."""
    clash = sorted(
        key
        for key, value in parent.items()
        if key not in ANNOTATIONS and (key not in entry or entry[key] != value)
    )
    # An object's own closing keywords may differ: those of the entry describe the values.
    clash = [key for key in clash if key not in ("additionalProperties", "required")]
    if clash:
        raise _impossible(path, f"{', '.join(clash)} beside allOf cannot be merged into it")
    return {**parent, **entry, **{k: v for k, v in parent.items() if k in ANNOTATIONS}}
