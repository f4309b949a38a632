"""The page as data: nodes in order, and the few operations that bring a front end up to date.

Frames, like video. A *keyframe* is the whole page; a *frame* holds what changed since the frame
before it. The front end applies them in ``static/view.js``; both sides know these operations:

===========================================  =======================================================
``["+", id, parent, tag, attributes, html]``  a new node at the end of its parent
``["=", id, html]``                           another inside for a node, without a tail
``["~", id, start, end, html]``               the same; how much stays at both ends
``["t", id, text]``                           more plain text at the node's tail
``["@", id, attributes]``                     other attributes for a node
``["-", id]``                                 the node goes, with all that is in it
===========================================  =======================================================

All bytes together stay linear in what is shown: a node's HTML is sent when it changes, text that
only grows is sent once, and a keyframe is made when the page has grown fourfold. An embedded image
is sent once, beside the operations: HTML names it by its digest, ``<img data-image="...">``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..markdown.stream import difference

_EMBEDDED = re.compile(r'<img src="(data:image/[a-z+]+;base64,[A-Za-z0-9+/=]{2000,})"')

Op: TypeAlias = list[Any]

_OVERHEAD = 24
"""Characters that a change costs beside what it inserts."""

TAIL = '<span class="as-tail"></span>'
"""Where a node's growing text goes: inside this span if the node has one, else at its end."""


@dataclass(slots=True)
class Node:
    """An element of the page."""

    id: str
    parent: str
    tag: str
    attributes: dict[str, str]
    html: str = ""
    tail: list[str] = field(default_factory=list)
    children: dict[str, None] = field(default_factory=dict)
    known: str | None = None
    """The HTML that the front end has; None while it does not know the node."""
    sent_len: int = 0
    """How many pieces of the tail the front end has."""
    attributes_changed: bool = False
    """Its attributes changed."""
    content_changed: bool = False
    """Its inside changed, or its tail was taken away."""

    def create_ops(self) -> Iterator[Op]:
        """The operations that make the node as it is."""
        yield ["+", self.id, self.parent, self.tag, self.attributes, self.html]
        if self.tail:
            yield ["t", self.id, "".join(self.tail)]


class VirtualDom:
    """What a front end shows, and what of it the front end has not been told.

    Attributes
    ----------
    size : int
        Characters of HTML and text on the page.
    """

    def __init__(self) -> None:
        self.size = 0
        self.images: dict[str, str] = {}
        """The embedded images by their names."""
        self._unsent: list[str] = []
        self._nodes: dict[str, Node] = {}
        self._roots: dict[str, None] = {}
        self._dirty: dict[str, None] = {}
        self._removed: list[str] = []

    def __contains__(self, id: str) -> bool:
        return id in self._nodes

    def put(
        self,
        id: str,
        tag: str,
        html: str = "",
        *,
        parent: str = "",
        attributes: dict[str, str] | None = None,
    ) -> None:
        """Show `html` in the node `id`, which is made at the end of `parent` if it is not there.

        `html` is safe HTML, made by `escape` and `sanitise`. Attributes are left as they are where
        None; `tag` counts only when the node is made; without a `parent` it is made in the page
        itself.
        """
        if "data:image/" in html:
            html = _EMBEDDED.sub(self._named, html)
        node = self._nodes.get(id)
        if node is None:
            node = self._nodes[id] = Node(id, parent, tag, attributes or {}, html)
            (self._nodes[parent].children if parent else self._roots)[id] = None
            self.size += len(html)
            self._dirty[id] = None
            return
        if attributes is not None and attributes != node.attributes:
            node.attributes, node.attributes_changed = attributes, True
            self._dirty[id] = None
        if html != node.html or node.tail:
            self.size += len(html) - len(node.html) - sum(map(len, node.tail))
            node.html, node.tail, node.sent_len, node.content_changed = html, [], 0, True
            self._dirty[id] = None

    def _named(self, match: re.Match[str]) -> str:
        """Name an embedded image in its place."""
        source = match[1]
        name = hashlib.sha256(source.encode()).hexdigest()[:24]
        if name not in self.images:
            self.images[name] = source
            self._unsent.append(name)
            self.size += len(source)
        return f'<img data-image="{name}"'

    def new_images(self) -> dict[str, str]:
        """The images that no frame has had yet, by their names."""
        names, self._unsent = self._unsent, []
        return {name: self.images[name] for name in names}

    def write(self, id: str, text: str) -> None:
        """Append plain text to the node's tail."""
        if text:
            self._nodes[id].tail.append(text)
            self.size += len(text)
            self._dirty[id] = None

    def remove(self, id: str) -> None:
        """Take the node away, with all that is in it; nothing happens if it is not there."""
        node = self._nodes.pop(id, None)
        if node is None:
            return
        (self._nodes[node.parent].children if node.parent else self._roots).pop(id, None)
        if node.known is not None:
            self._removed.append(id)
        self._forget(node)

    def _forget(self, node: Node) -> None:
        self.size -= len(node.html) + sum(map(len, node.tail))
        self._dirty.pop(node.id, None)
        for child in node.children:
            self._forget(self._nodes.pop(child))

    def frame(self) -> list[Op]:
        """What changed since the last frame; empty when nothing did."""
        ops: list[Op] = [["-", id] for id in self._removed]
        for id in self._dirty:
            ops += self._changes(self._nodes[id])
        self._removed.clear()
        self._dirty.clear()
        return ops

    def _changes(self, node: Node) -> Iterator[Op]:
        if node.known is None:
            yield from node.create_ops()
        else:
            if node.attributes_changed:
                yield ["@", node.id, node.attributes]
            if node.content_changed:
                yield _change(node.id, node.known, node.html)
            if node.sent_len < len(node.tail):
                yield ["t", node.id, "".join(node.tail[node.sent_len :])]
        node.known, node.attributes_changed, node.content_changed = node.html, False, False
        node.tail = ["".join(node.tail)] if node.tail else []
        node.sent_len = len(node.tail)

    def keyframe(self) -> list[Op]:
        """All nodes, each as a new one."""
        return [op for id in self._roots for op in self._whole(self._nodes[id])]

    def _whole(self, node: Node) -> Iterator[Op]:
        yield from node.create_ops()
        for child in node.children:
            yield from self._whole(self._nodes[child])


def _change(id: str, old: str, new: str) -> Op:
    """The shorter way to say that a node's inside is another."""
    start, end, insert = difference(old, new)
    if len(insert) + _OVERHEAD < len(new):
        return ["~", id, start, end, insert]
    return ["=", id, new]
