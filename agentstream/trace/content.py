"""What is inside a part: read from its item by shape, for tables and for the view's cards."""

from __future__ import annotations

import json
from typing import Any

from .parts import Part, get, output_text, parse_arguments, to_jsonable


def sources(part: Part) -> list[dict[str, str]]:
    """Return the pages a search visited or a text cites, each once: ``url``, perhaps ``title``."""
    pages: list[tuple[Any, Any]] = []
    if part.kind == "web_search":
        action = get(part.item, "action")
        opened = get(action, "url")
        urls = [opened] if opened else [get(one, "url") for one in get(action, "sources", [])]
        pages = [(url, None) for url in urls]
    else:
        cited = [note for note in part.annotations if get(note, "type") == "url_citation"]
        pages = [(get(note, "url"), get(note, "title")) for note in cited]
    once: dict[str, dict[str, str]] = {}
    for url, title in pages:
        if url and url not in once:
            once[str(url)] = {"url": str(url), **({"title": str(title)} if title else {})}
    return list(once.values())


def queries(part: Part) -> list[str]:
    """Return what a web or file search looked for."""
    action = get(part.item, "action")
    value = get(part.item, "queries") or get(action, "queries")
    if value:
        return [str(one) for one in value]
    single = get(action, "query") or get(action, "pattern")
    return [str(single)] if single else []


def logs(part: Part) -> str:
    """Return what a code interpreter printed."""
    outputs = [one for one in get(part.item, "outputs", []) if get(one, "type") == "logs"]
    return "\n".join(str(get(one, "logs", "")) for one in outputs)


def images(part: Part) -> list[str]:
    """Return an interpreter's images as URLs, or a generated one as base64, as far as it is."""
    if part.kind == "image_generation":
        image = get(part.item, "result") or part.image
        return [image] if image else []
    outputs = [one for one in get(part.item, "outputs", []) if get(one, "type") == "image"]
    return [str(get(one, "url")) for one in outputs if get(one, "url")]


def results(part: Part) -> list[dict[str, Any]]:
    """Return a file search's results: ``filename``, ``score``, ``text``, ..., as told."""
    return [dict(to_jsonable(one)) for one in get(part.item, "results", [])]


def tools(part: Part) -> list[str]:
    """Return the names of tools that an MCP server listed or a tool search found."""
    listed = get(part.item, "tools") or get(part.output, "tools") or []
    return [str(get(one, "name", get(one, "type", ""))) for one in listed]


def arguments(part: Part) -> dict[str, Any] | None:
    """Return a call's arguments parsed; None unless they are a JSON object."""
    if part.kind == "web_search":
        action = to_jsonable(get(part.item, "action"))
        return {key: value for key, value in action.items() if key != "sources"} if action else None
    if part.kind == "file_search":
        return {"queries": queries(part)}
    if part.kind == "code_interpreter":
        return {"code": part.arguments} if part.input else None
    if part.kind in ("computer", "shell", "apply_patch"):
        fields = to_jsonable(get(part.item, "action") or get(part.item, "operation"))
        return dict(fields) if isinstance(fields, dict) else None
    if part.kind == "tool_search":
        fields = to_jsonable(get(part.item, "arguments"))
        return dict(fields) if isinstance(fields, dict) else parse_arguments(str(fields))
    if part.item_type == "custom_tool_call":
        return {"input": part.arguments}
    return parse_arguments(part.arguments) if part.input else None


def model_texts(model_parts: Any) -> list[str]:
    """Return the texts in what a model got for an output."""
    if isinstance(model_parts, str):
        return [model_parts]
    parts = model_parts if isinstance(model_parts, list) else []
    return [str(get(one, "text")) for one in parts if get(one, "text")]


def output(part: Part) -> str | None:
    """Return what came back as text: a tool's output, a search's pages, an interpreter's logs."""
    if part.kind == "web_search":
        urls = sources(part)
        return json.dumps(urls, ensure_ascii=False) if urls else None
    if part.kind == "file_search":
        listed = results(part)
        return json.dumps(listed, ensure_ascii=False) if listed else None
    if part.kind == "code_interpreter":
        return logs(part) or None
    if part.kind in ("mcp_list_tools", "tool_search"):
        names = tools(part)
        return json.dumps(names, ensure_ascii=False) if names else None
    if part.kind == "image_generation":
        return None
    if part.display and part.model_output is not None:
        return "\n".join(model_texts(part.model_output))
    return output_text(part.output) if part.has_output and part.output is not None else None
