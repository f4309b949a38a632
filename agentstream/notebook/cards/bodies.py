"""What each kind of part shows inside its card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...displays import displayed
from ...trace import content
from ...trace.parts import Part, get, parse_arguments, to_jsonable
from ..markdown.sanitise import escape
from .displays import (
    display_brief,
    display_html,
    is_image_or_table,
    model_output_html,
    printed_html,
)
from .prose import source_links
from .shell import Body
from .values import (
    LIMIT,
    as_data_uri,
    code,
    image_html,
    is_unfolded,
    json_html,
    more,
    one_line,
    parse_json,
    preformatted,
    pretty,
    value_brief,
    value_html,
)

__all__ = ["body_of", "generic"]

_LONGEST_LIST = 50


def body_of(part: Part, limit: int = LIMIT) -> Body:
    """Return the body of a part's card.

    The part is not running text; `limit` is in characters of one value.
    """
    if part.kind == "tool" and part.item_type not in ("function_call", "custom_tool_call"):
        return generic(part, limit)
    try:
        return _BODIES.get(part.kind, generic)(part, limit)
    # An item that is not as the API describes it is shown as it is.
    except (TypeError, ValueError, AttributeError, KeyError, RecursionError):
        return generic(part, limit)


def generic(part: Part, limit: int = LIMIT) -> Body:
    """Show any item: its fields as JSON, and what came back."""
    fields = to_jsonable(part.item)
    if isinstance(fields, dict):
        hidden = ("type", "id", "status", "encrypted_content")
        fields = {key: value for key, value in fields.items() if key not in hidden}
    html = json_html(fields, limit) if fields else ""
    if part.has_output and part.item is None:
        html += output(part, limit)
    return Body(html)


# -- the pieces --


def labelled(label: str, html: str, kind: str) -> str:
    """Put a heading over a piece of a card; empty if there is no piece."""
    if not html:
        return ""
    head = f'<strong class="as-label">{label}</strong>'
    return f'<div class="as-piece" role="group" aria-label="{label}">{head}{_in(kind, html)}</div>'


def _in(kind: str, html: str) -> str:
    return f'<div class="as-{kind}">{html}</div>'


def listed(items: list[str], kind: str, tag: str = "ul") -> str:
    """Show HTML items as a list of at most 50; empty if there are none."""
    if not items:
        return ""
    html = "".join(f'<li dir="auto">{item}</li>' for item in items[:_LONGEST_LIST])
    return f'<{tag} class="as-{kind}">{html}</{tag}>{more(len(items) - _LONGEST_LIST, "item")}'


def arguments(part: Part, limit: int, label: str = "Arguments") -> str:
    """Show a call's arguments: as text while they stream, as JSON when they are whole."""
    if part.status == "in_progress" and part.called is None:
        if not part.input:
            return ""
        return (
            '<pre class="as-arguments" dir="auto"><code>'
            f"{escape(part.arguments[:limit])}</code></pre>"
        )
    text = part.arguments
    if not text.strip() or text.strip() == "{}":
        return ""
    parsed = parse_arguments(text) if len(text) < 10 * limit else None
    if parsed is None:
        return labelled(label, preformatted(text, limit, label=label), "arguments")
    return labelled(label, _fields(parsed, limit), "arguments")


def _fields(fields: dict[str, Any], limit: int) -> str:
    """JSON, but for texts of several lines, which JSON makes unreadable."""
    long = {key: text for key, text in fields.items() if isinstance(text, str) and "\n" in text}
    rest = {key: value for key, value in fields.items() if key not in long}
    html = json_html(rest, limit) if rest else ""
    left = limit
    for key, text in list(long.items())[:5]:
        html += f'<div class="as-key"><code>{escape(one_line(key, 60))}</code></div>'
        html += preformatted(text, max(left, 200), label="Argument")
        left -= len(text)
    return html + more(len(long) - 5, "argument")


def arguments_brief(fields: dict[str, Any] | None, text: str) -> str:
    """Return arguments in a few words: ``city="Lisbon", days=3``."""
    if fields is None:
        return one_line(text, 80)
    parts = (f"{key}={one_line(pretty(value, indent=None), 40)}" for key, value in fields.items())
    return one_line(", ".join(parts), 80)


def output(part: Part, limit: int, *, label: str = "Output") -> str:
    """Show what a call returned."""
    if not part.has_output or (part.output is None and not part.display):
        return ""
    if blocks := _blocks(part):
        html = display_html(blocks, limit)
        return labelled(label, html + model_output_html(part.model_output, limit), "output")
    html = value_html(part.output, limit)
    return labelled(label, html or '<p class="as-more">Nothing</p>', "output")


def _input_and_output(part: Part, fields: dict[str, Any] | None) -> tuple[str, str]:
    brief = arguments_brief(fields, part.arguments[:1_000]) if part.called is not None else ""
    ended = part.has_output and not part.is_open and part.output is not None
    if not ended:
        return brief, ""
    blocks = _blocks(part)
    return brief, display_brief(blocks) if blocks else value_brief(part.output)


def _is_unfolded(part: Part) -> bool:
    blocks = _blocks(part)
    return is_image_or_table(blocks) if blocks else is_unfolded(part.output)


def _displays(part: Part) -> bool:
    """Whether an image or a table is among what the tool printed."""
    return is_image_or_table([one for one in part.printed if one.get("type") != "stream"])


def _blocks(part: Part) -> list[dict[str, Any]]:
    """What is shown of a figure or a frame; of a run of the SDK it is drawn when looked at."""
    if part.display is None:
        display = displayed(part.output)
        part.display = [] if display is None else display.blocks
    return part.display


# -- one function a kind --


def _tool(part: Part, limit: int) -> Body:
    free = part.item_type == "custom_tool_call"
    fields = None if free else parse_arguments(part.arguments[: 10 * limit])
    html = arguments(part, limit, "Input" if free else "Arguments")
    unfold = (part.has_output and _is_unfolded(part)) or _displays(part)
    html += labelled("Printed", printed_html(part.printed, limit), "output")
    return Body(html + output(part, limit), *_input_and_output(part, fields), unfold)


def _handoff(part: Part, limit: int) -> Body:
    return Body(arguments(part, limit))


def _web_search(part: Part, limit: int) -> Body:
    action = get(part.item, "action")
    search_queries = content.queries(part)
    results = content.sources(part)
    kind = str(get(action, "type", "search"))
    items = [escape(one_line(query, 300)) for query in search_queries]
    html = labelled("Looked for", listed(items, "queries"), "input") if len(items) > 1 else ""
    if results:
        label = "Opened" if kind in ("open_page", "find_in_page", "find") else "Sources"
        html += labelled(label, source_links(results), "output")
    brief = " · ".join(search_queries[:3]) or (results[0]["url"] if results else "")
    has_results = len(results) > 1 or (results and search_queries and kind == "search")
    return Body(html, brief, _count(results, "source") if has_results else "")


def _count(values: Sequence[Any], what: str) -> str:
    return f"{len(values):,} {what}{'s' * (len(values) != 1)}"


def _file_search(part: Part, limit: int) -> Body:
    search_queries = content.queries(part)
    results = content.results(part)
    items = []
    left = limit
    for one in results[:20]:
        text = str(one.get("text") or "")
        score = one.get("score")
        grade = f" <small>{score:.2f}</small>" if isinstance(score, (int, float)) else ""
        name = one_line(str(one.get("filename") or one.get("file_id") or "file"), 120)
        head = f"<strong>{escape(name)}</strong>{grade}"
        items.append(head + _quote(text, max(min(left, 1_500), 0)))
        left -= len(text)
    html = labelled(
        "Looked for", listed([escape(one_line(q, 300)) for q in search_queries], "queries"), "input"
    )
    html = html if len(search_queries) > 1 else ""
    html += labelled("Results", listed(items, "results", "ol"), "output")
    html += more(len(results) - 20, "result")
    has_results = get(part.item, "results") is not None
    return Body(
        html, " · ".join(search_queries[:3]), _count(results, "result") if has_results else ""
    )


def _quote(text: str, limit: int) -> str:
    if not text:
        return ""
    cut = escape(text[:limit]) + ("…" if len(text) > limit else "")
    return f'<blockquote dir="auto">{cut}</blockquote>'


def _code_interpreter(part: Part, limit: int) -> Body:
    if part.status == "in_progress" and part.called is None and not part.stage:
        return Body(arguments(part, limit))
    html = labelled("Code", code(part.arguments, "python", limit), "arguments")
    logs = content.logs(part)
    if logs.strip():
        html += labelled("Output", preformatted(logs, limit, label="Output"), "output")
    images = [image_html(as_data_uri(one), "Plot") for one in content.images(part)[:20]]
    html += labelled("Images", "".join(images), "output")
    first = next((one for one in part.arguments[:2_000].splitlines() if one.strip()), "")
    brief = one_line(first, 60)
    brief_output = "image" if images else one_line(logs.strip(), 40)
    return Body(html, brief, brief_output, bool(images))


def _image_generation(part: Part, limit: int) -> Body:
    images = content.images(part)
    prompt = get(part.item, "revised_prompt")
    whole = get(part.item, "result") is not None
    alt = "Generated image" if whole else "Image, still being made"
    html = "".join(image_html(as_data_uri(str(one)), alt) for one in images)
    html = _in("output" if whole else "output as-partial", html) if html else ""
    if prompt:
        html += labelled("Prompt", preformatted(str(prompt), limit, label="Prompt"), "input")
    return Body(html, one_line(str(prompt or ""), 80), "", bool(images))


def _mcp_call(part: Part, limit: int) -> Body:
    server = get(part.item, "server_label")
    fields = parse_arguments(part.arguments[: 10 * limit])
    html = arguments(part, limit) + output(part, limit)
    brief, brief_output = _input_and_output(part, fields)
    brief = _on(server, brief)
    return Body(html, brief, brief_output, part.has_output and _is_unfolded(part))


def _on(server: Any, brief: str) -> str:
    if not server:
        return brief
    where = f"on {one_line(str(server), 60)}"
    return f"{where}: {brief}" if brief else where


def _mcp_list_tools(part: Part, limit: int) -> Body:
    tools = get(part.item, "tools", [])
    items = []
    for one in tools[:200]:
        name, about = str(get(one, "name", "")), str(get(one, "description", "") or "")
        about_html = f" {escape(one_line(about, 200))}" if about else ""
        items.append(f"<code>{escape(one_line(name, 80))}</code>{about_html}")
    return Body(listed(items, "tools"), "" if part.is_open else _count(tools, "tool"))


def _mcp_approval(part: Part, limit: int) -> Body:
    server = get(part.item, "server_label")
    fields = parse_arguments(part.arguments[: 10 * limit])
    return Body(arguments(part, limit), _on(server, arguments_brief(fields, "") if fields else ""))


def _tool_search(part: Part, limit: int) -> Body:
    fields = content.arguments(part)
    names = content.tools(part)
    if not names and isinstance(part.output, list):
        names = [str(get(one, "name", get(one, "type", ""))) for one in part.output]
    items = [f"<code>{escape(one_line(name, 80))}</code>" for name in names]
    html = labelled("Asked", json_html(fields, limit), "arguments") if fields else ""
    html += labelled("Found", listed(items, "tools"), "output")
    tool_names = ", ".join(names[:4]) + (" …" if len(names) > 4 else "")
    brief = arguments_brief(fields, "") if fields else ""
    return Body(html, brief, tool_names)


def _computer(part: Part, limit: int) -> Body:
    actions = get(part.item, "actions") or [get(part.item, "action")]
    done = [to_jsonable(one) for one in actions if one is not None]
    html = labelled("Action", json_html(done[0] if len(done) == 1 else done, limit), "arguments")
    checks = get(part.item, "pending_safety_checks", [])
    items = [escape(one_line(str(get(one, "message") or get(one, "code")), 300)) for one in checks]
    html += labelled("Safety checks", listed(items, "checks"), "input")
    html += output(part, limit, label="Screen")
    brief = ", ".join(str(get(one, "type", "")) for one in done[:4])
    return Body(html if done else output(part, limit), brief, "", _is_unfolded(part))


def _shell(part: Part, limit: int) -> Body:
    action = get(part.item, "action")
    commands = get(action, "commands") or get(action, "command") or []
    # A local shell takes one command as a list of words, a hosted one a list of commands.
    command_list = commands if isinstance(commands, list) else [commands]
    lines = (
        [" ".join(map(str, command_list))]
        if get(action, "command")
        else [str(one) for one in command_list]
    )
    html = labelled("Commands", code("\n".join(lines), "bash", limit), "arguments") if lines else ""
    results = part.output if part.has_output else None
    results = parse_json(results) or results if isinstance(results, str) else to_jsonable(results)
    if isinstance(results, list) and all(get(one, "stdout") is not None for one in results):
        texts = []
        for one in results[:50]:
            texts += [str(get(one, "stdout", "")), str(get(one, "stderr", ""))]
        text = "\n".join(one.rstrip("\n") for one in texts if one)
        html += labelled("Output", preformatted(text, limit, label="Output"), "output")
    elif results is not None:
        html += output(part, limit)
    return Body(html, one_line(" ; ".join(lines), 80))


def _apply_patch(part: Part, limit: int) -> Body:
    operation = get(part.item, "operation")
    path, kind = str(get(operation, "path", "")), str(get(operation, "type", ""))
    diff = get(operation, "diff")
    html = labelled("Change", code(str(diff), "diff", limit), "arguments") if diff else ""
    return Body(html + output(part, limit), f"{kind.replace('_', ' ')} {path}".strip())


_BODIES: dict[str, Callable[[Part, int], Body]] = {
    "tool": _tool,
    "handoff": _handoff,
    "web_search": _web_search,
    "file_search": _file_search,
    "code_interpreter": _code_interpreter,
    "image_generation": _image_generation,
    "mcp_call": _mcp_call,
    "mcp_list_tools": _mcp_list_tools,
    "mcp_approval": _mcp_approval,
    "tool_search": _tool_search,
    "computer": _computer,
    "shell": _shell,
    "apply_patch": _apply_patch,
    "custom": generic,
}
