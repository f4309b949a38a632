"""What each kind of part shows inside its card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...displays import displayed
from ...trace import content
from ...trace.parts import Part, get, parse_arguments, plain
from ..markdown.sanitise import escape
from .displays import (
    display_brief,
    display_html,
    is_picture_or_table,
    printed_html,
    told_html,
)
from .prose import source_links
from .shell import Body
from .values import (
    LIMIT,
    as_data_uri,
    code,
    is_shown_open,
    json_html,
    more,
    one_line,
    parse_json,
    picture,
    preformatted,
    pretty,
    value_brief,
    value_html,
)

__all__ = ["body_of", "generic"]

_LONGEST_LIST = 50


def body_of(part: Part, limit: int = LIMIT) -> Body:
    """Return the body of a part's card.

    Parameters
    ----------
    part : Part
        Any part that is not running text.
    limit : int
        Characters of one value that are shown.
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
    fields = plain(part.item)
    if isinstance(fields, dict):
        hidden = ("type", "id", "status", "encrypted_content")
        fields = {key: value for key, value in fields.items() if key not in hidden}
    shown = json_html(fields, limit) if fields else ""
    if part.has_output and part.item is None:
        shown += output(part, limit)
    return Body(shown)


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
    shown = "".join(f'<li dir="auto">{item}</li>' for item in items[:_LONGEST_LIST])
    return f'<{tag} class="as-{kind}">{shown}</{tag}>{more(len(items) - _LONGEST_LIST, "item")}'


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


def _fields(given: dict[str, Any], limit: int) -> str:
    """JSON, but for texts of several lines, which JSON makes unreadable."""
    long = {key: text for key, text in given.items() if isinstance(text, str) and "\n" in text}
    rest = {key: value for key, value in given.items() if key not in long}
    shown = json_html(rest, limit) if rest else ""
    left = limit
    for key, text in list(long.items())[:5]:
        shown += f'<div class="as-key"><code>{escape(one_line(key, 60))}</code></div>'
        shown += preformatted(text, max(left, 200), label="Argument")
        left -= len(text)
    return shown + more(len(long) - 5, "argument")


def arguments_brief(given: dict[str, Any] | None, text: str) -> str:
    """Return arguments in a few words: ``city="Lisbon", days=3``."""
    if given is None:
        return one_line(text, 80)
    parts = (f"{key}={one_line(pretty(value, indent=None), 40)}" for key, value in given.items())
    return one_line(", ".join(parts), 80)


def output(part: Part, limit: int, *, label: str = "Output") -> str:
    """Show what a call returned."""
    if not part.has_output or (part.output is None and not part.display):
        return ""
    if blocks := _blocks(part):
        html = display_html(blocks, limit)
        return labelled(label, html + told_html(part.told, limit), "output")
    html = value_html(part.output, limit)
    return labelled(label, html or '<p class="as-more">Nothing</p>', "output")


def _asked_and_got(part: Part, given: dict[str, Any] | None) -> tuple[str, str]:
    asked = arguments_brief(given, part.arguments[:1_000]) if part.called is not None else ""
    ended = part.has_output and not part.is_open and part.output is not None
    if not ended:
        return asked, ""
    blocks = _blocks(part)
    return asked, display_brief(blocks) if blocks else value_brief(part.output)


def _is_shown_open(part: Part) -> bool:
    blocks = _blocks(part)
    return is_picture_or_table(blocks) if blocks else is_shown_open(part.output)


def _displays(part: Part) -> bool:
    """Whether a picture or a table is among what the tool printed."""
    return is_picture_or_table([one for one in part.printed if one.get("type") != "stream"])


def _blocks(part: Part) -> list[dict[str, Any]]:
    """What is shown of a figure or a frame; of a run of the SDK it is drawn when looked at."""
    if part.display is None:
        shown = displayed(part.output)
        part.display = [] if shown is None else shown.blocks
    return part.display


# -- one function a kind --


def _tool(part: Part, limit: int) -> Body:
    free = part.item_type == "custom_tool_call"
    given = None if free else parse_arguments(part.arguments[: 10 * limit])
    shown = arguments(part, limit, "Input" if free else "Arguments")
    unfold = (part.has_output and _is_shown_open(part)) or _displays(part)
    shown += labelled("Printed", printed_html(part.printed, limit), "output")
    return Body(shown + output(part, limit), *_asked_and_got(part, given), unfold)


def _handoff(part: Part, limit: int) -> Body:
    return Body(arguments(part, limit))


def _web_search(part: Part, limit: int) -> Body:
    action = get(part.item, "action")
    asked = content.queries(part)
    found = content.sources(part)
    kind = str(get(action, "type", "search"))
    items = [escape(one_line(query, 300)) for query in asked]
    shown = labelled("Looked for", listed(items, "queries"), "input") if len(items) > 1 else ""
    if found:
        label = "Opened" if kind in ("open_page", "find_in_page", "find") else "Sources"
        shown += labelled(label, source_links(found), "output")
    brief = " · ".join(asked[:3]) or (found[0]["url"] if found else "")
    told = len(found) > 1 or (found and asked and kind == "search")
    return Body(shown, brief, _count(found, "source") if told else "")


def _count(found: Sequence[Any], what: str) -> str:
    return f"{len(found):,} {what}{'s' * (len(found) != 1)}"


def _file_search(part: Part, limit: int) -> Body:
    asked = content.queries(part)
    found = content.results(part)
    items = []
    left = limit
    for one in found[:20]:
        text = str(one.get("text") or "")
        score = one.get("score")
        grade = f" <small>{score:.2f}</small>" if isinstance(score, (int, float)) else ""
        name = one_line(str(one.get("filename") or one.get("file_id") or "file"), 120)
        head = f"<strong>{escape(name)}</strong>{grade}"
        items.append(head + _quote(text, max(min(left, 1_500), 0)))
        left -= len(text)
    shown = labelled(
        "Looked for", listed([escape(one_line(q, 300)) for q in asked], "queries"), "input"
    )
    shown = shown if len(asked) > 1 else ""
    shown += labelled("Results", listed(items, "results", "ol"), "output")
    shown += more(len(found) - 20, "result")
    told = get(part.item, "results") is not None
    return Body(shown, " · ".join(asked[:3]), _count(found, "result") if told else "")


def _quote(text: str, limit: int) -> str:
    if not text:
        return ""
    cut = escape(text[:limit]) + ("…" if len(text) > limit else "")
    return f'<blockquote dir="auto">{cut}</blockquote>'


def _code_interpreter(part: Part, limit: int) -> Body:
    if part.status == "in_progress" and part.called is None and not part.stage:
        return Body(arguments(part, limit))
    shown = labelled("Code", code(part.arguments, "python", limit), "arguments")
    logs = content.logs(part)
    if logs.strip():
        shown += labelled("Output", preformatted(logs, limit, label="Output"), "output")
    pictures = [picture(as_data_uri(one), "Plot") for one in content.images(part)[:20]]
    shown += labelled("Images", "".join(pictures), "output")
    first = next((one for one in part.arguments[:2_000].splitlines() if one.strip()), "")
    brief = one_line(first, 60)
    got = "image" if pictures else one_line(logs.strip(), 40)
    return Body(shown, brief, got, bool(pictures))


def _image_generation(part: Part, limit: int) -> Body:
    pictures = content.images(part)
    prompt = get(part.item, "revised_prompt")
    whole = get(part.item, "result") is not None
    alt = "Generated image" if whole else "Image, still being made"
    shown = "".join(picture(as_data_uri(str(one)), alt) for one in pictures)
    shown = _in("output" if whole else "output as-partial", shown) if shown else ""
    if prompt:
        shown += labelled("Prompt", preformatted(str(prompt), limit, label="Prompt"), "input")
    return Body(shown, one_line(str(prompt or ""), 80), "", bool(pictures))


def _mcp_call(part: Part, limit: int) -> Body:
    server = get(part.item, "server_label")
    given = parse_arguments(part.arguments[: 10 * limit])
    shown = arguments(part, limit) + output(part, limit)
    asked, got = _asked_and_got(part, given)
    asked = _on(server, asked)
    return Body(shown, asked, got, part.has_output and _is_shown_open(part))


def _on(server: Any, asked: str) -> str:
    if not server:
        return asked
    where = f"on {one_line(str(server), 60)}"
    return f"{where}: {asked}" if asked else where


def _mcp_list_tools(part: Part, limit: int) -> Body:
    tools = get(part.item, "tools", [])
    items = []
    for one in tools[:200]:
        name, about = str(get(one, "name", "")), str(get(one, "description", "") or "")
        said = f" {escape(one_line(about, 200))}" if about else ""
        items.append(f"<code>{escape(one_line(name, 80))}</code>{said}")
    return Body(listed(items, "tools"), "" if part.is_open else _count(tools, "tool"))


def _mcp_approval(part: Part, limit: int) -> Body:
    server = get(part.item, "server_label")
    given = parse_arguments(part.arguments[: 10 * limit])
    return Body(arguments(part, limit), _on(server, arguments_brief(given, "") if given else ""))


def _tool_search(part: Part, limit: int) -> Body:
    given = content.arguments(part)
    names = content.tools(part)
    if not names and isinstance(part.output, list):
        names = [str(get(one, "name", get(one, "type", ""))) for one in part.output]
    items = [f"<code>{escape(one_line(name, 80))}</code>" for name in names]
    shown = labelled("Asked", json_html(given, limit), "arguments") if given else ""
    shown += labelled("Found", listed(items, "tools"), "output")
    found = ", ".join(names[:4]) + (" …" if len(names) > 4 else "")
    brief = arguments_brief(given, "") if given else ""
    return Body(shown, brief, found)


def _computer(part: Part, limit: int) -> Body:
    actions = get(part.item, "actions") or [get(part.item, "action")]
    done = [plain(one) for one in actions if one is not None]
    shown = labelled("Action", json_html(done[0] if len(done) == 1 else done, limit), "arguments")
    checks = get(part.item, "pending_safety_checks", [])
    items = [escape(one_line(str(get(one, "message") or get(one, "code")), 300)) for one in checks]
    shown += labelled("Safety checks", listed(items, "checks"), "input")
    shown += output(part, limit, label="Screen")
    brief = ", ".join(str(get(one, "type", "")) for one in done[:4])
    return Body(shown if done else output(part, limit), brief, "", _is_shown_open(part))


def _shell(part: Part, limit: int) -> Body:
    action = get(part.item, "action")
    given = get(action, "commands") or get(action, "command") or []
    # A local shell takes one command as a list of words, a hosted one a list of commands.
    words = given if isinstance(given, list) else [given]
    lines = [" ".join(map(str, words))] if get(action, "command") else [str(one) for one in words]
    shown = (
        labelled("Commands", code("\n".join(lines), "bash", limit), "arguments") if lines else ""
    )
    results = part.output if part.has_output else None
    results = parse_json(results) or results if isinstance(results, str) else plain(results)
    if isinstance(results, list) and all(get(one, "stdout") is not None for one in results):
        texts = []
        for one in results[:50]:
            texts += [str(get(one, "stdout", "")), str(get(one, "stderr", ""))]
        text = "\n".join(one.rstrip("\n") for one in texts if one)
        shown += labelled("Output", preformatted(text, limit, label="Output"), "output")
    elif results is not None:
        shown += output(part, limit)
    return Body(shown, one_line(" ; ".join(lines), 80))


def _apply_patch(part: Part, limit: int) -> Body:
    operation = get(part.item, "operation")
    path, kind = str(get(operation, "path", "")), str(get(operation, "type", ""))
    diff = get(operation, "diff")
    shown = labelled("Change", code(str(diff), "diff", limit), "arguments") if diff else ""
    return Body(shown + output(part, limit), f"{kind.replace('_', ' ')} {path}".strip())


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
