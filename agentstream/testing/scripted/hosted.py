"""What runs at the provider: searches, code, images, remote MCP servers, tool search."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from .parts import arguments_text, tokens_of
from .shapes import Part, TimedEvent

# Long enough to be seen in a paced demonstration; nothing waits where no pace is set.
WORK = 0.8


def _stages(item_type: str, *stages: str) -> tuple[TimedEvent, ...]:
    """The events that tell of a hosted call's progress; the work is done before the last."""
    last = len(stages) - 1
    return tuple(
        TimedEvent(
            {"type": f"response.{item_type}.{stage}"}, seconds=WORK if index == last else 0.0
        )
        for index, stage in enumerate(stages)
    )


def web_search(query: str, *, sources: Iterable[str] = ()) -> Part:
    """The model searches the web.

    Parameters
    ----------
    query : str
        What it searches for.
    sources : list of str, optional
        URLs it consulted.

    Examples
    --------
    >>> web_search("weather in Lisbon").done["action"]["query"]
    'weather in Lisbon'
    """
    action: dict[str, Any] = {"type": "search", "queries": [query], "query": query}
    urls = list(sources)
    if urls:
        action["sources"] = [{"type": "url", "url": url} for url in urls]
    item = {"id": None, "type": "web_search_call"}
    return Part(
        "ws",
        added={**item, "status": "in_progress"},
        done={**item, "status": "completed", "action": action},
        timed_events=_stages("web_search_call", "in_progress", "searching", "completed"),
    )


def search_files(*queries: str, results: Iterable[Mapping[str, Any]] | None = None) -> Part:
    """The model searches a vector store.

    Parameters
    ----------
    *queries : str
        What it searches for.
    results : list of dict, optional
        The passages found: ``file_id``, ``filename``, ``score``, ``text``.

    Examples
    --------
    >>> found = [{"filename": "tides.md", "score": 0.9, "text": "High at noon."}]
    >>> search_files("tides", results=found).done["results"][0]["filename"]
    'tides.md'
    """
    item = {"id": None, "type": "file_search_call", "queries": list(queries)}
    result_list = None if results is None else [dict(result) for result in results]
    return Part(
        "fs",
        added={**item, "status": "in_progress", "queries": [], "results": None},
        done={**item, "status": "completed", "results": result_list},
        timed_events=_stages("file_search_call", "in_progress", "searching", "completed"),
    )


def run_code(code: str, *, logs: str | None = None, images: Iterable[str] = ()) -> Part:
    """The model runs Python in the provider's code interpreter.

    Parameters
    ----------
    code : str
        The program.
    logs : str, optional
        What it printed.
    images : list of str, optional
        URLs of images it made.

    Examples
    --------
    >>> run_code("print(6 * 7)", logs="42").done["outputs"]
    [{'type': 'logs', 'logs': '42'}]
    """
    outputs: list[dict[str, Any]] = [{"type": "image", "url": url} for url in images]
    if logs is not None:
        outputs.insert(0, {"type": "logs", "logs": logs})
    item = {"id": None, "type": "code_interpreter_call", "container_id": "cntr_scripted"}
    kind = "response.code_interpreter_call"
    return Part(
        "ci",
        added={**item, "status": "in_progress", "code": "", "outputs": None},
        done={**item, "status": "completed", "code": code, "outputs": outputs or None},
        timed_events=(
            TimedEvent({"type": f"{kind}.in_progress"}),
            *(
                TimedEvent({"type": f"{kind}_code.delta", "delta": piece}, 1)
                for piece in tokens_of(code)
            ),
            TimedEvent({"type": f"{kind}_code.done", "code": code}),
            TimedEvent({"type": f"{kind}.interpreting"}),
            TimedEvent({"type": f"{kind}.completed"}, seconds=WORK),
        ),
    )


def make_image(image: str, *, prompt: str | None = None, partial: Iterable[str] = ()) -> Part:
    """The model makes an image.

    Parameters
    ----------
    image : str
        The image (PNG) in base64.
    prompt : str, optional
        The prompt as the model revised it.
    partial : list of str, optional
        Earlier states of the image, in base64.

    Examples
    --------
    >>> make_image("iVBORw0...", prompt="A boat at dawn.").done["revised_prompt"]
    'A boat at dawn.'
    """
    item = {"id": None, "type": "image_generation_call"}
    kind = "response.image_generation_call"
    previews = [
        TimedEvent(
            {
                "type": f"{kind}.partial_image",
                "partial_image_b64": preview,
                "partial_image_index": index,
                "output_format": "png",
            },
            seconds=WORK,
        )
        for index, preview in enumerate(partial)
    ]
    done = {**item, "status": "completed", "result": image, "output_format": "png"}
    return Part(
        "ig",
        added={**item, "status": "in_progress"},
        done={**done, "revised_prompt": prompt} if prompt is not None else done,
        timed_events=(
            *_stages("image_generation_call", "in_progress", "generating"),
            *previews,
            TimedEvent({"type": f"{kind}.completed"}, seconds=WORK),
        ),
    )


def mcp_tools(server: str, tools: Iterable[str | Mapping[str, Any]]) -> Part:
    """The provider lists the tools of a remote MCP server.

    Parameters
    ----------
    server : str
        The server's label.
    tools : list of str or dict
        The tools: names, or ``name``, ``description`` and ``input_schema``.

    Examples
    --------
    >>> [tool["name"] for tool in mcp_tools("docs", ["search", "read"]).done["tools"]]
    ['search', 'read']
    """
    listed = [
        {"name": tool, "input_schema": {"type": "object"}} if isinstance(tool, str) else dict(tool)
        for tool in tools
    ]
    item = {"id": None, "type": "mcp_list_tools", "server_label": server}
    return Part(
        "mcpl",
        added={**item, "tools": []},
        done={**item, "tools": listed},
        timed_events=_stages("mcp_list_tools", "in_progress", "completed"),
    )


def mcp_call(
    server: str, tool: str, /, *, output: str | None = None, error: str | None = None, **named: Any
) -> Part:
    """The provider calls a tool of a remote MCP server.

    Parameters
    ----------
    server, tool : str
        The server's label and the tool's name.
    output : str, optional
        What the tool answered.
    error : str, optional
        What went wrong instead.
    **named
        The arguments by name.

    Examples
    --------
    >>> mcp_call("docs", "search", query="tides", output="3 pages").done["arguments"]
    '{"query":"tides"}'
    """
    text = arguments_text(None, named)
    item = {"id": None, "type": "mcp_call", "name": tool, "server_label": server}
    kind = "response.mcp_call"
    outcome = "completed" if error is None else "failed"
    failure = None if error is None else {"type": "mcp_tool_execution_error", "content": error}
    blank = {"approval_request_id": None, "error": None, "output": None}
    return Part(
        "mcp",
        added={**item, **blank, "status": "in_progress", "arguments": ""},
        done={
            **item,
            **blank,
            "status": outcome,
            "arguments": text,
            "error": failure,
            "output": output,
        },
        timed_events=(
            TimedEvent({"type": f"{kind}.in_progress"}),
            TimedEvent({"type": f"{kind}_arguments.delta", "delta": text}, 1),
            TimedEvent({"type": f"{kind}_arguments.done", "arguments": text}),
            TimedEvent({"type": f"{kind}.{outcome}"}, seconds=WORK),
        ),
    )


def mcp_approval(server: str, tool: str, /, **named: Any) -> Part:
    """The provider asks whether it may call a tool of a remote MCP server.

    Parameters
    ----------
    server, tool : str
        The server's label and the tool's name.
    **named
        The arguments by name.

    Examples
    --------
    >>> mcp_approval("docs", "delete", page=7).done["arguments"]
    '{"page":7}'
    """
    item = {
        "id": None,
        "type": "mcp_approval_request",
        "arguments": arguments_text(None, named),
        "name": tool,
        "server_label": server,
    }
    return Part("mcpr", added=item, done=item)


def search_tools(*paths: str, tools: Iterable[Mapping[str, Any]] | None = None) -> tuple[Part, ...]:
    """The provider looks deferred tools up: a tool search call and its output.

    Parameters
    ----------
    *paths : str
        Names of the tools or namespaces to load.
    tools : list of dict, optional
        The definitions found.

    Examples
    --------
    >>> [part.done["type"] for part in search_tools("crm")]
    ['tool_search_call', 'tool_search_output']
    """
    head = {"id": None, "call_id": None, "execution": "server"}
    search_call = {**head, "type": "tool_search_call", "arguments": {"paths": list(paths)}}
    search_output = {
        **head,
        "type": "tool_search_output",
        "tools": [dict(tool) for tool in tools or ()],
    }
    return tuple(
        Part(
            prefix,
            added={**item, "status": "in_progress"},
            done={**item, "status": "completed"},
        )
        for prefix, item in (("tsc", search_call), ("tso", search_output))
    )


def item(fields: Mapping[str, Any], *, prefix: str = "item") -> Part:
    """Any other output item, as the API has it; it arrives in one piece.

    Parameters
    ----------
    fields : dict
        The item. Without an `id` it gets one.
    prefix : str
        What a made id starts with.

    Examples
    --------
    >>> item({"type": "compaction", "encrypted_content": "..."}, prefix="cmp").prefix
    'cmp'
    """
    whole = {"id": None, **json.loads(json.dumps(dict(fields)))}
    return Part(prefix, added=whole, done=whole)
