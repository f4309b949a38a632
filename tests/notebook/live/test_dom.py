"""The board: frames and keyframes always give the same page."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agentstream.notebook.live.dom import TAIL, VirtualDom
from agentstream.notebook.markdown.sanitise import escape


class Page:
    """What view.js does, in Python: the same operations on the same nodes."""

    def __init__(self) -> None:
        self.nodes: dict[str, dict[str, Any]] = {}
        self.roots: list[str] = []

    def apply(self, ops: list[list[Any]]) -> None:
        for kind, id, *rest in ops:
            if kind == "+":
                parent, tag, attributes, html = rest
                assert id not in self.nodes, "a node is made once"
                self.nodes[id] = {
                    "parent": parent, "tag": tag, "attributes": attributes,
                    "html": html, "tail": "", "children": [],
                }  # fmt: skip
                siblings = self.nodes[parent]["children"] if parent else self.roots
                siblings.append(id)
            elif kind == "=":
                self.nodes[id]["html"] = rest[0]
                self.nodes[id]["tail"] = ""
            elif kind == "~":
                start, end, html = rest
                old = self.nodes[id]["html"].encode("utf-16-le")
                new = old[: 2 * start] + html.encode("utf-16-le") + old[len(old) - 2 * end :]
                self.nodes[id]["html"] = new.decode("utf-16-le")
                self.nodes[id]["tail"] = ""
            elif kind == "@":
                self.nodes[id]["attributes"] = rest[0]
            elif kind == "t":
                self.nodes[id]["tail"] += rest[0]
            else:
                self.remove(id)

    def remove(self, id: str) -> None:
        node = self.nodes.pop(id)
        siblings = self.nodes[node["parent"]]["children"] if node["parent"] else self.roots
        siblings.remove(id)
        for child in list(node["children"]):
            self.nodes[child]["parent"] = ""
            self.roots.append(child)
            self.remove(child)

    def html(self, id: str = "") -> str:
        children = self.nodes[id]["children"] if id else self.roots
        inside = written(self.nodes[id]["html"], self.nodes[id]["tail"]) if id else ""
        return f"<{id}>{inside}{''.join(self.html(child) for child in children)}</{id}>"


def written(html: str, text: str) -> str:
    """`text` at the tail of `html`, as the page writes it."""
    if TAIL in html:
        return html.replace(TAIL, TAIL.replace("><", f">{escape(text)}<"))
    return html + escape(text)


def pages_after(board: VirtualDom, *frames: list[list[Any]]) -> tuple[str, str]:
    """The page that got all frames, and the one that got only a keyframe."""
    followed, late = Page(), Page()
    for frame in frames:
        followed.apply(frame)
    late.apply(board.keyframe())
    return followed.html(), late.html()


def test_a_node_is_told_once() -> None:
    board = VirtualDom()
    board.put("a", "div", "<p>x</p>", attributes={"class": "c"})
    assert board.frame() == [["+", "a", "", "div", {"class": "c"}, "<p>x</p>"]]
    assert board.frame() == []
    board.put("a", "div", "<p>x</p>")
    assert board.frame() == []


def test_text_that_grows_is_told_by_what_is_new() -> None:
    board = VirtualDom()
    board.put("a", "div", f"<p>one{TAIL}</p>")
    board.frame()
    board.write("a", " two")
    board.write("a", " <three>")
    assert board.frame() == [["t", "a", " two <three>"]]
    made = ["+", "a", "", "div", {}, f"<p>one{TAIL}</p>"]
    assert board.keyframe() == [made, ["t", "a", " two <three>"]]


def test_a_change_is_told_by_what_differs() -> None:
    board = VirtualDom()
    board.put("a", "div", f"<p>{'x' * 100} 😀 </p>")
    board.frame()
    board.put("a", "div", f"<p>{'x' * 100} 😀 y</p>")
    assert board.frame() == [["~", "a", 107, 4, "y"]]


def test_what_came_and_went_between_two_frames_is_not_told() -> None:
    board = VirtualDom()
    board.put("a", "div")
    board.put("b", "p", parent="a")
    board.remove("b")
    assert [op[1] for op in board.frame()] == ["a"]
    board.remove("a")
    assert board.frame() == [["-", "a"]]
    assert board.keyframe() == []
    assert board.size == 0


def test_attributes_change_without_the_inside() -> None:
    board = VirtualDom()
    board.put("a", "div", "x", attributes={"class": "c"})
    board.frame()
    board.put("a", "div", "x", attributes={"class": "d"})
    assert board.frame() == [["@", "a", {"class": "d"}]]


IDS = st.sampled_from(["a", "b", "c", "d"])
HTML = st.sampled_from(["", "<p>x</p>", f"<p>y{TAIL}</p>", "plain"])
STEPS = st.one_of(
    st.tuples(st.just("put"), IDS, HTML, st.sampled_from(["", "a", "b"])),
    st.tuples(st.just("write"), IDS, st.sampled_from(["t", "<i>", "&"]), st.just("")),
    st.tuples(st.just("remove"), IDS, st.just(""), st.just("")),
    st.tuples(st.just("frame"), st.just("a"), st.just(""), st.just("")),
)


@given(st.lists(STEPS, max_size=30))
def test_frames_and_a_keyframe_give_the_same_page(steps: list[tuple[str, str, str, str]]) -> None:
    board, frames = VirtualDom(), []
    for what, id, text, parent in steps:
        if what == "put" and (not parent or parent in board):
            if parent != id:
                board.put(id, "div", text, parent=parent)
        elif what == "write" and id in board:
            board.write(id, text)
        elif what == "remove":
            board.remove(id)
        elif what == "frame":
            frames.append(board.frame())
    frames.append(board.frame())
    followed, late = pages_after(board, *frames)
    assert followed == late
