"""Embedded pictures are sent once, however often what is around them changes."""

from __future__ import annotations

import json
from typing import Any

from agentstream.notebook.live.dom import VirtualDom
from agentstream.notebook.live.trace_renderer import TraceRenderer
from agentstream.trace import Trace
from agentstream.trace.lifecycle import ToolDisplayed, ToolFinished, ToolStarted

SOURCE = "data:image/png;base64," + "QUJD" * 2_000


def test_a_picture_is_sent_once_and_every_keyframe_has_it() -> None:
    board = VirtualDom()
    for at in range(5):
        board.put("card", "div", f'<b>{at}</b><img src="{SOURCE}" alt="">{at}')
        frame = json.dumps(board.frame())
        images = board.new_images()
        assert SOURCE not in frame
        assert list(images.values()) == ([SOURCE] if at == 0 else [])
    (name,) = board.images
    assert f'<img data-image="{name}" alt="">' in json.dumps(board.keyframe()).replace('\\"', '"')
    assert board.size > len(SOURCE)


def test_small_pictures_stay_where_they_are() -> None:
    board = VirtualDom()
    board.put("card", "div", '<img src="data:image/png;base64,QUJD" alt="">')
    assert board.images == {}


def test_a_tool_that_displays_and_goes_on_sends_its_picture_once() -> None:
    trace, board, sent = Trace(), VirtualDom(), 0
    scene = TraceRenderer(trace, board)
    block = {
        "type": "image",
        "url": SOURCE.replace("QUJD", "iVBORw0KGgoAAAAA", 1),
        "text": "Figure",
    }
    marks: list[Any] = [ToolStarted("c", "draw"), ToolDisplayed("c", [block])]
    marks += [
        ToolDisplayed("c", [{"type": "stream", "name": "stdout", "text": f"{at}\\n"}])
        for at in range(9)
    ]
    marks += [ToolFinished("c", None, "done")]
    for at, mark in enumerate(marks):
        trace.add(mark, float(at))
        scene.update()
        sent += len(json.dumps(board.frame())) + len(json.dumps(board.new_images()))
    assert len(block["url"]) < sent < 2 * len(block["url"])
