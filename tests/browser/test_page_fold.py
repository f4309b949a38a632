"""The page in a browser: frame by frame it is the page that one keyframe makes.

What is not in sight yet (growth.js) is in the page all the same: it is only painted later.
"""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from agentstream.notebook.live.dom import TAIL, VirtualDom
from agentstream.notebook.live.widget import script
from agentstream.notebook.markdown.stream import MarkdownStream
from tests.browser.test_js import a_life

# Renders the messages as a notebook does: a model that hears, and an element that is filled.
PLAY = """async ([source, frames]) => {
    const view = (await import("data:text/javascript," + encodeURIComponent(source))).default;
    const state = {run_id: "one", keyframe: {}, live: true};
    let hear;
    const model = {
        get: name => state[name], send() {}, off() {},
        on: (name, heard) => { if (name === "msg:custom") hear = heard; },
    };
    const end = view.initialize({model});
    const el = document.createElement("div");
    const close = view.render({model, el});
    for (const frame of frames) hear(frame);
    el.normalize();
    const shown = el.innerHTML;
    close();
    end();
    return shown;
}"""


def play(page: Any, frames: list[dict[str, Any]]) -> str:
    return str(page.evaluate(PLAY, [script(), frames]))


@pytest.mark.parametrize("seed", range(40))
def test_a_browser_shows_after_all_frames_what_one_keyframe_shows(page: Any, seed: int) -> None:
    board = VirtualDom()
    told = a_life(board, random.Random(seed), 30)
    by_frames = play(page, [{"n": n, "ops": ops} for n, ops in enumerate(told)])
    by_keyframe = play(page, [{"n": 29, "key": True, "ops": board.keyframe()}])
    assert by_frames == by_keyframe


def test_a_node_that_is_made_and_written_to_in_one_frame_is_written_once(page: Any) -> None:
    board = VirtualDom()
    board.put("card", "div", f"<pre>{TAIL}</pre>")
    board.write("card", '{"city":"Lis')
    shown = play(page, [{"n": 0, "ops": board.frame()}])
    assert shown.count("city") == 1


# As PLAY, in time: at each frame of the display, how much text is there, and how much in sight.
GROW = """async ([source, frames, interval]) => {
    const view = (await import("data:text/javascript," + encodeURIComponent(source))).default;
    const state = {run_id: "grow", keyframe: {}, live: true};
    const hear = {};
    const model = {
        get: name => state[name], send() {}, off() {},
        on: (name, heard) => { (hear[name] ??= []).push(heard); },
    };
    const end = view.initialize({model});
    const el = document.body.appendChild(document.createElement("div"));
    const close = view.render({model, el});
    const looks = [];
    let over = false;
    const ranges = () => [...(CSS.highlights.get("as-growing") ?? [])];
    const look = () => {
        const all = el.textContent;
        const hidden = ranges().map(range => range.toString()).join("");
        looks.push([performance.now(), all, all.slice(0, all.length - hidden.length), hidden]);
        if (!over) requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
    const wait = time => new Promise(done => setTimeout(done, time));
    const came = [];
    for (const frame of frames) {
        hear["msg:custom"].forEach(heard => heard(frame));
        came.push([performance.now(), el.textContent.length]);
        if (frame !== frames.at(-1)) await wait(interval);
    }
    const pending = ranges().length;
    state.live = false;
    hear["change:live"].forEach(heard => heard());
    const left = ranges().length;
    over = true;
    await wait(50);
    close();
    end();
    el.remove();
    return {looks, came, pending, left};
}"""


def growing(words: list[str], *, per_frame: int = 10) -> list[dict[str, Any]]:
    """The frames of a view whose text gets so many words with each."""
    stream, board = MarkdownStream(), VirtualDom()
    board.put("text", "div", attributes={"class": "as-text"})
    board.put("text.0", "div", parent="text")
    frames, revision, sent = [], -1, 0
    for at in range(0, len(words), per_frame):
        stream.feed("".join(words[at : at + per_frame]))
        end = stream.open
        if end.revision != revision:
            board.put("text.0", "div", "".join(stream.finished) + end.html)
            revision, sent = end.revision, 0
        board.write("text.0", end.tail[sent:])
        sent = len(end.tail)
        frames.append({"n": len(frames), "ops": board.frame()})
    return frames


def grow(page: Any, words: list[str], interval: int, **how: Any) -> dict[str, Any]:
    page.goto("about:blank")
    return dict(page.evaluate(GROW, [script(), growing(words, **how), interval]))


PLAIN = [f"word{number} " for number in range(200)]
MARKED = [f"*word{number}* " if number % 3 else f"`word{number}` " for number in range(200)]


@pytest.mark.parametrize("words", [PLAIN, MARKED], ids=["words", "Markdown"])
def test_text_comes_into_sight_evenly_between_frames(page: Any, words: list[str]) -> None:
    seen = grow(page, words, 150)
    looks = seen["looks"][20:]
    # Frames come seven times a second; what is in sight changes far more often.
    changes = sum(a[2] != b[2] for a, b in itertools.pairwise(looks))
    assert changes > 2.5 * len(seen["came"])
    assert any(hidden for _, _, _, hidden in looks)
    # It only grows, and by whole words: nothing that was in sight goes away again.
    for (_, _, before, _), (_, _, now, _) in itertools.pairwise(looks):
        assert now.startswith(before.rstrip())
        assert now.split() == "".join(words).translate(PLAIN_TEXT).split()[: len(now.split())]


PLAIN_TEXT = str.maketrans("", "", "*`")


@pytest.mark.parametrize("interval", [33, 150])
def test_nothing_is_held_back_longer_than_the_interval_between_frames(
    page: Any, interval: int
) -> None:
    seen = grow(page, PLAIN, interval)
    for came, length in seen["came"][:-1]:
        later = [now for when, _, now, _ in seen["looks"] if when > came + interval + 20]
        assert not later or len(later[0]) >= length


def test_at_the_end_all_text_is_in_sight_at_once(page: Any) -> None:
    seen = grow(page, PLAIN, 100)
    assert seen["pending"] > 0
    assert seen["left"] == 0


def test_people_who_prefer_reduced_motion_get_text_as_it_comes(page: Any) -> None:
    page.emulate_media(reduced_motion="reduce")
    seen = grow(page, PLAIN, 100)
    assert not any(hidden for _, _, _, hidden in seen["looks"])
    page.emulate_media(reduced_motion="no-preference")


def test_a_selection_and_what_is_typed_stay_while_the_text_around_them_grows(page: Any) -> None:
    page.goto("about:blank")
    frames = growing(MARKED)
    one, two = frames[:5], frames[5:]
    stays = page.evaluate(KEEP, [script(), one, two])
    assert stays == {"selected": "word1 word2", "typed": "because", "place": 40}


# Selects, types and scrolls after the first frames, and says what is left of it after the others.
KEEP = """async ([source, one, two]) => {
    const view = (await import("data:text/javascript," + encodeURIComponent(source))).default;
    let hear;
    const model = {
        get: name => ({run_id: "keep", keyframe: {}, live: true})[name], send() {}, off() {},
        on: (name, heard) => { if (name === "msg:custom") hear = heard; },
    };
    view.initialize({model});
    const el = document.body.appendChild(document.createElement("div"));
    el.style = "height: 60px; width: 200px; overflow: auto";
    view.render({model, el});
    one.forEach(hear);
    const n = one.at(-1).n;
    const card = text => `<p>${text}</p><input class="as-reason">`;
    hear({n: n + 1, ops: [["+", "card", "", "div", {}, card("waits")]]});
    const words = el.querySelectorAll("em");
    getSelection().setBaseAndExtent(words[0].firstChild, 0, words[1].firstChild, 5);
    el.querySelector("input").value = "because";
    el.scrollTop = 40;
    two.forEach((frame, at) => hear({...frame, n: n + 2 + at}));
    hear({n: n + 2 + two.length, ops: [["=", "card", card("waits for you")]]});
    return {
        selected: getSelection().toString(), typed: el.querySelector("input").value,
        place: el.scrollTop,
    };
}"""


def test_a_page_says_when_it_shows_the_view_and_when_no_more(page: Any) -> None:
    page.goto("about:blank")
    said = page.evaluate(SCROLL, [script(), growing(PLAIN)])
    assert said[0] == "keyframe"
    assert [one for one in said if one != "keyframe"] == [True, False, True, False]


# In sight, scrolled away, and back; then the page is left.
SCROLL = """async ([source, frames]) => {
    const view = (await import("data:text/javascript," + encodeURIComponent(source))).default;
    const sent = [];
    const model = {
        get: name => ({run_id: "scroll", keyframe: {}, live: true})[name], off() {}, on() {},
        send: message => sent.push(message),
    };
    const wait = time => new Promise(done => setTimeout(done, time));
    view.initialize({model});
    const el = document.body.appendChild(document.createElement("div"));
    document.body.append(Object.assign(document.createElement("p"), {style: "height: 9000px"}));
    view.render({model, el});
    await wait(100);
    scrollTo(0, 5000);
    await wait(100);
    scrollTo(0, 0);  // only past it
    await wait(800);
    scrollTo(0, 5000);
    await wait(800);
    scrollTo(0, 0);
    await wait(100);
    dispatchEvent(new PageTransitionEvent("pagehide"));
    const pages = new Set(sent.map(one => one.page));
    if (pages.size !== 1) throw new Error("a page has one name");
    return sent.map(one => one.visible ?? one.kind);
}"""


# A page goes behind another in the middle of a frame: from then on the display has no frames.
HIDE = """async ([source, frames]) => {
    const view = (await import("data:text/javascript," + encodeURIComponent(source))).default;
    let hear;
    const model = {
        get: name => ({run_id: "hide", keyframe: {}, live: true})[name], send() {}, off() {},
        on: (name, heard) => { if (name === "msg:custom") hear = heard; },
    };
    view.initialize({model});
    const el = document.body.appendChild(document.createElement("div"));
    view.render({model, el});
    const wait = time => new Promise(done => setTimeout(done, time));
    const hidden = () => [...(CSS.highlights.get("as-growing") ?? [])].length;
    for (const frame of frames.slice(0, 3)) { hear(frame); await wait(200); }
    window.requestAnimationFrame = () => 0;
    hear(frames[3]);
    const before = hidden();
    Object.defineProperty(document, "hidden", {get: () => true});
    document.dispatchEvent(new Event("visibilitychange"));
    const after = hidden();
    hear(frames[4]);
    return [before, after, hidden(), el.textContent];
}"""


def test_a_page_behind_another_has_all_its_text(page: Any) -> None:
    page.goto("about:blank")
    frames = growing(PLAIN)
    before, after, later, text = page.evaluate(HIDE, [script(), frames])
    assert before > 0
    assert after == later == 0
    assert text.split() == "".join(PLAIN[:50]).split()
