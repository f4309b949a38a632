"""What the markup of a run may consist of, and parts of every kind for the tests of cards."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from html.parser import HTMLParser
from typing import Any

from agentstream.trace.parts import Approval, Part, Turn
from agentstream.trace.text import Text
from agentstream.trace.trace import Trace
from tests.notebook.hostile import MATHML, PROSE, VOID

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(31)).decode()
PNG_URI = "data:image/png;base64," + PNG

OURS = PROSE | MATHML | {"button", "input", "progress"}
BLOCKS = frozenset("blockquote details div h1 h2 h3 li ol p pre summary td th tr ul".split())
STATUSES = (
    "in_progress|running|awaiting_approval|completed|incomplete|failed|cancelled|rejected|paused"
)
RULES: dict[str, str] = {
    "class": r"(as-[a-z_-]+|output|highlight|[a-z][a-z0-9]{0,2})( as-[a-z_-]+| tex2jax_ignore| mathjax_ignore)*",
    "data-status": STATUSES,
    "data-since": r"\d+\.\d{3}",
    "data-approval": r"[\s\S]*",
    "data-language": r"[A-Za-z0-9_+#./-]{1,32}",
    "aria-label": r"[\s\S]*",
    "role": "status|alert|group|note|region|timer",
    "tabindex": "0",
    "dir": "auto|ltr|rtl",
    "open": "|open",
    "href": r"(https?://|mailto:)[^/\s][^\s]*",
    "target": "_blank",
    "rel": "noopener noreferrer nofollow",
    "src": r"data:image/(png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/=]+",
    "alt": r"[\s\S]*",
    "title": r"[\s\S]*",
    "type": "button|text",
    "placeholder": "Reason, if rejected",
    "value": r"\d+",
    "max": "100",
    "align": "left|right|center",
    "start": r"\d+",
    "colspan": r"\d+",
    "rowspan": r"\d+",
}


class Audit(HTMLParser):
    """Reads HTML and notes what is not ours."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[str] = []
        self.tags: Counter[str] = Counter()
        self.links: list[str] = []
        self.text = ""
        self._stack: list[str] = []
        self.feed(html)
        self.close()
        if self._stack:
            self.faults.append(f"left open: {self._stack}")
        if unfit := re.search(
            "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", html
        ):
            self.faults.append(f"character {unfit.group()!r}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        if tag in BLOCKS:
            self.text += " "
        if tag not in OURS:
            self.faults.append(f"<{tag}>")
        if tag not in VOID | {"input"}:
            self._stack.append(tag)
        if len(dict(attrs)) != len(attrs):
            self.faults.append(f"{tag} has an attribute twice")
        for name, value in attrs:
            rule = RULES.get(name) if tag not in MATHML else r"[\s\S]*"
            if rule is None or not re.fullmatch(rule, value or "", re.IGNORECASE):
                self.faults.append(f"{tag} {name}={value!r}")
            if tag in MATHML and name.startswith(("on", "href", "xlink", "style")):
                self.faults.append(f"{tag} {name}={value!r}")
            if name == "href":
                self.links.append(value or "")
                if dict(attrs).get("rel") != RULES["rel"]:
                    self.faults.append("a link without rel")
            if name == "src" and tag != "img":
                self.faults.append(f"{tag} {name}")

    def handle_endtag(self, tag: str) -> None:
        if not self._stack or self._stack.pop() != tag:
            self.faults.append(f"unbalanced </{tag}>")

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.faults.append(f"comment {data!r}")

    def handle_decl(self, decl: str) -> None:
        self.faults.append(f"declaration {decl!r}")

    unknown_decl = handle_pi = handle_decl


def text_of(html: str) -> str:
    """Return what a reader sees, in one line."""
    return " ".join(Audit(html).text.split())


def part(kind: str, item_type: str | None = None, **fields: Any) -> Part:
    """Return a finished part; ``text`` and ``arguments`` may be given as strings."""
    body, given = fields.pop("text", ""), fields.pop("arguments", "")
    made = Part(0, kind, item_type or kind, 1, "Guide", 1.0)  # type: ignore[arg-type]
    made.status, made.called, made.ended = "completed", 1.5, 3.5
    made.body, made.input = Text(body), Text(given)
    for name, value in fields.items():
        setattr(made, name, value)
    made.has_output = made.output is not None or bool(made.display)
    return made


def tool(output: Any = None, **fields: Any) -> Part:
    """Return a finished call of a function."""
    return part(
        "tool", "function_call", **{"name": "look", "call_id": "c1", "output": output} | fields
    )


def every_kind(text: str, *, url: str | None = None) -> dict[str, Part]:
    """Return a part of each kind, with `text` in each place where others may write."""
    url = text if url is None else url
    action = {"type": "search", "queries": [text, text], "sources": [{"url": url}]}
    note = {"type": "url_citation", "url": url, "title": text}
    file_note = {"type": "file_citation", "filename": text}
    asked = {"approve": Approval(1.0, 2.0, True), "waits": Approval(1.0, id=text)}
    mcp_tool = {"name": text, "description": text}
    outputs = [{"type": "logs", "logs": text}, {"type": "image", "url": url}]
    return {
        "text": part("text", "message", text=text, annotations=[note, file_note]),
        "refusal": part("refusal", "message", text=text),
        "reasoning": part("reasoning", text=text),
        "tool": tool(text, name=text, arguments=text, call_id=text, error=text),
        "tool, JSON": tool({text: [text]}, arguments=f'{{"{len(text)}": {quoted(text)}}}'),
        "tool, records": tool([{text: text}, {text: 1}]),
        "tool, parts": tool(
            [
                {"type": "text", "text": text},
                {"type": "image", "image_url": url},
                {"type": "file", "filename": text},
                {"type": "image", "file_id": text},
            ]
        ),
        "tool, displayed": tool(
            display=hostile_blocks(text, url), model_output=hostile_told(text, url)
        ),
        "tool, writing": tool(arguments=text, status="in_progress", called=None, ended=None),
        "tool, waiting": tool(
            name=text, approval=asked["waits"], status="awaiting_approval", ended=None
        ),
        "tool, progress": tool(status="running", ended=None, progress=(text, 0.3)),
        "tool, approved": tool(text, approval=asked["approve"]),
        "custom tool": part("tool", "custom_tool_call", name=text, arguments=text, output=text),
        "handoff": part("handoff", "function_call", name=text, target=text, arguments=text),
        "handoff, plain": part("handoff", "function_call", name=text, target=text),
        "web_search": part("web_search", item={"action": action}, stage=text),
        "web_search, opened": part(
            "web_search", item={"action": {"type": "open_page", "url": url}}
        ),
        "file_search": part(
            "file_search",
            item={"queries": [text], "results": [{"filename": text, "text": text, "score": 0.5}]},
        ),
        "code_interpreter": part("code_interpreter", arguments=text, item={"outputs": outputs}),
        "image_generation": part(
            "image_generation", item={"result": text, "revised_prompt": text}, image=text
        ),
        "mcp_call": part(
            "mcp_call", name=text, arguments=text, output=text, item={"server_label": text}
        ),
        "mcp_list_tools": part("mcp_list_tools", name=text, item={"tools": [mcp_tool]}),
        "mcp_approval": part(
            "mcp_approval", name=text, item_id=text, status="awaiting_approval", ended=None
        ),
        "tool_search": part("tool_search", item={"arguments": {text: text}, "tools": [mcp_tool]}),
        "computer": part(
            "computer",
            item={"action": {"type": text}, "pending_safety_checks": [{"message": text}]},
            output={"type": "computer_screenshot", "image_url": url},
        ),
        "shell": part(
            "shell",
            item={"action": {"commands": [text, text]}},
            output=[{"stdout": text, "stderr": text}],
        ),
        "apply_patch": part(
            "apply_patch",
            item={"operation": {"type": text, "path": text, "diff": text}},
            output=text,
        ),
        "compaction": part("compaction", item={"encrypted_content": text}),
        "custom": part("custom", "new_call", name=text, item={"type": "new_call", text: text}),
    }


def hostile_blocks(text: str, url: str) -> list[Any]:
    """Return a block of each kind, with `text` in each place."""
    return [
        {"type": "text", "text": text},
        {"type": "markdown", "text": text},
        {"type": "html", "html": text, "text": text},
        {"type": "svg", "svg": text, "text": text},
        {"type": "svg", "svg": f"<svg><title>{text}</title></svg>", "text": text},
        {"type": "image", "url": url, "text": text},
        {"type": "image", "url": PNG_URI, "text": text},
        {"type": "part", "part": {"type": "input_image", "image_url": url}},
        {"type": text, "text": text},
        {
            "type": "table",
            "columns": [text],
            "rows": [[text], text, [1.5]],
            "rows_in_all": 9,
            "columns_in_all": 1,
        },
        text,
    ]


def hostile_told(text: str, url: str) -> list[Any]:
    """Return what a model may have been told, with `text` in each place."""
    return [
        {"type": "input_text", "text": text},
        {"type": "input_image", "image_url": url},
        {"type": "input_file", "filename": text},
        text,
    ]


def quoted(text: str) -> str:
    """Return `text` as JSON, with surrogates as they are."""
    return json.dumps(text)


def trace_of(*parts: Part, agents: tuple[str, ...] = ("Guide",), **fields: Any) -> Trace:
    """Return a completed run that consists of `parts`."""
    trace = Trace()
    for name in agents:
        trace.set_agent(name)
    for index, one in enumerate(parts):
        one.index = index
        trace.parts.append(one)
        if one.is_open:
            trace.go_on(one, one.status)
    usage = {"input": 1200, "cached": 200, "output": 100, "reasoning": 0, "total": 1300}
    trace.turns.append(Turn(1, agents[-1], 0.0, "gpt-5", None, 1.0, 3.0, "completed"))
    trace.set_usage(trace.turns[0], usage)
    trace.now, trace.ended, trace.status = 4.0, 4.0, "completed"
    for name, value in fields.items():
        setattr(trace, name, value)
    return trace
