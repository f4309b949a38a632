"""The page's code without a browser: its own tests, and its agreement with the kernel's side."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from agentstream.notebook.live.dom import TAIL, VirtualDom
from agentstream.notebook.markdown.sanitise import escape

NODE = shutil.which("node")
JS = Path(__file__).parents[1] / "js"
pytestmark = pytest.mark.skipif(NODE is None, reason="no Node.js on this machine")


def node(*arguments: str, given: str = "") -> str:
    done = subprocess.run(
        [str(NODE), *arguments], input=given, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["view", "chat"])
def test_the_pages_code_passes_its_own_tests(name: str) -> None:
    told = node("--test", str(JS / f"{name}.test.mjs"))
    assert "fail 0" in told
    assert "pass 0" not in told


def shown(nodes: list[dict[str, Any]]) -> list[Any]:
    """What a page shows: each node with its tail where a page puts it."""
    found = []
    for one in nodes:
        tail = escape(one["tail"])
        inside = one["html"] + tail
        if tail and TAIL in one["html"]:
            inside = one["html"].replace(TAIL, f'<span class="as-tail">{tail}</span>')
        found.append([one["id"], one["tag"], one["attributes"], inside, shown(one["children"])])
    return found


def replay(frames: list[dict[str, Any]]) -> tuple[list[str], list[Any]]:
    page = json.loads(node(str(JS / "replay.mjs"), given=json.dumps(frames)))
    return page["outcomes"], shown(page["roots"])


def a_life(board: VirtualDom, chance: random.Random, frames: int) -> list[list[Any]]:
    """Frames of a board on which everything happens in any order."""
    names = [f"n{number}" for number in range(12)]
    told = []
    for _ in range(frames):
        for _ in range(chance.randrange(1, 9)):
            name = chance.choice(names)
            if name not in board:
                # Parents have lower numbers: no node is inside itself.
                lower = [one for one in names[: int(name[1:])] if one in board]
                parent = chance.choice(["", *lower])
                html = chance.choice(["", "<p>a</p>", f"<p>b {TAIL}</p>"])
                board.put(name, "div", html, parent=parent, attributes={"class": "as-x"})
            elif chance.random() < 0.5:
                board.write(name, chance.choice(["word ", "<&>", "é\n"]))
            elif chance.random() < 0.5:
                board.put(name, "div", f"<i>{chance.random():.3f}</i>", attributes={"dir": "auto"})
            else:
                board.remove(name)
        told.append(board.frame())
    return told


@pytest.mark.parametrize("seed", range(4))
def test_all_frames_make_the_page_that_one_keyframe_makes(seed: int) -> None:
    board = VirtualDom()
    told = a_life(board, random.Random(seed), 60)
    frames = [{"n": number, "ops": ops} for number, ops in enumerate(told)]
    outcomes, by_frames = replay(frames)
    assert set(outcomes) == {"applied"}
    keyframe = {"n": 59, "key": True, "ops": board.keyframe()}
    outcomes, by_keyframe = replay([keyframe])
    assert outcomes == ["rebuilt"]
    assert by_frames == by_keyframe
    assert by_frames


def test_a_page_that_missed_frames_is_whole_after_a_keyframe_and_goes_on() -> None:
    board = VirtualDom()
    chance = random.Random(7)
    early = a_life(board, chance, 20)
    keyframe = {"n": 19, "key": True, "ops": board.keyframe()}
    late = [{"n": 20 + number, "ops": ops} for number, ops in enumerate(a_life(board, chance, 20))]
    frames = [{"n": 0, "ops": early[0]}, {"n": 19, "ops": early[19]}, keyframe, *late]
    outcomes, page = replay(frames)
    assert outcomes[:3] == ["applied", "gap", "rebuilt"]
    assert set(outcomes[3:]) == {"applied"}
    assert page == replay([{"n": 39, "key": True, "ops": board.keyframe()}])[1]
