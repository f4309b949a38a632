// The pure part of the page's code: pages as data, frames, times. Run by `node --test`, and by
// pytest through tests/browser/test_js.py. What it does to the DOM is tested in a real JupyterLab.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";

const folder = new URL("../../agentstream/notebook/static/", import.meta.url);
// By its text: an older Node takes a .js file without a package.json for CommonJS.
const names = ["growth.js", "view.js"];
const parts = await Promise.all(names.map((name) => readFile(new URL(name, folder), "utf8")));
const source = encodeURIComponent(parts.join("\n"));
const view = await import(`data:text/javascript,${source}`);
const { applyFrame, applyOp, emptyPage, formatSeconds } = view;

const add = (id, parent = "", html = "") => ["+", id, parent, "div", {}, html];

/** A page after these frames, numbered from 0. */
function pageOf(...frames) {
  const page = emptyPage();
  frames.forEach((ops, n) => assert.equal(applyFrame(page, { n, ops }), "applied"));
  return page;
}

test("the module is a widget: it can be initialised and rendered", () => {
  assert.deepEqual(Object.keys(view.default).sort(), ["initialize", "render"]);
});

test("an empty page shows nothing and has seen no frame", () => {
  const page = emptyPage();
  assert.deepEqual([page.n, page.nodes.size, page.roots], [-1, 0, []]);
});

test("nodes keep the order in which they came, each within its parent", () => {
  const page = pageOf([add("a"), add("b"), add("a1", "a")], [add("a2", "a"), add("c")]);
  assert.deepEqual(page.roots, ["a", "b", "c"]);
  assert.deepEqual(page.nodes.get("a").children, ["a1", "a2"]);
  assert.equal(page.nodes.get("a2").parent, "a");
});

test("growing text goes to the tail, and new HTML takes the place of both", () => {
  const page = pageOf([add("a", "", "<p>x</p>")], [["t", "a", "one "], ["t", "a", "two"]]);
  assert.equal(page.nodes.get("a").tail, "one two");
  applyOp(page, ["=", "a", "<p>y</p>"]);
  assert.deepEqual([page.nodes.get("a").html, page.nodes.get("a").tail], ["<p>y</p>", ""]);
});

test("attributes are replaced", () => {
  const page = pageOf([["+", "a", "", "div", { class: "x" }, ""]], [["@", "a", { class: "y" }]]);
  assert.deepEqual(page.nodes.get("a").attributes, { class: "y" });
});

test("a node goes with all that is in it, and leaves no trace in its parent", () => {
  const page = pageOf([add("a"), add("b", "a"), add("c", "b"), add("d", "a")], [["-", "b"]]);
  assert.deepEqual([...page.nodes.keys()], ["a", "d"]);
  assert.deepEqual(page.nodes.get("a").children, ["d"]);
  applyOp(page, ["-", "a"]);
  assert.deepEqual([page.nodes.size, page.roots], [0, []]);
});

test("a node that is added again begins anew, at the end", () => {
  const page = pageOf([add("a", "", "old"), add("a1", "a"), add("b")], [add("a", "", "new")]);
  assert.deepEqual(page.roots, ["b", "a"]);
  assert.deepEqual([page.nodes.get("a").html, page.nodes.has("a1")], ["new", false]);
});

test("what is said of a node that is not there changes nothing", () => {
  const page = pageOf([add("a", "", "x")]);
  for (const op of [["=", "z", "y"], ["t", "z", "y"], ["@", "z", {}], ["-", "z"], ["?", "a"]]) {
    applyOp(page, op);
  }
  assert.deepEqual([...page.nodes.keys()], ["a"]);
  assert.equal(page.nodes.get("a").html, "x");
});

test("a frame that came twice, or late, is left out", () => {
  const page = pageOf([add("a")], [["t", "a", "1"]]);
  assert.equal(applyFrame(page, { n: 1, ops: [["t", "a", "1"]] }), "old");
  assert.equal(applyFrame(page, { n: 0, ops: [add("a")] }), "old");
  assert.equal(page.nodes.get("a").tail, "1");
});

test("a missing frame is noticed, and nothing after it is applied", () => {
  const page = pageOf([add("a")]);
  assert.equal(applyFrame(page, { n: 2, ops: [["t", "a", "3"]] }), "gap");
  assert.deepEqual([page.n, page.nodes.get("a").tail], [0, ""]);
});

test("a keyframe heals a gap, and the frames after it follow on", () => {
  const page = pageOf([add("a")]);
  applyFrame(page, { n: 5, ops: [] });
  assert.equal(applyFrame(page, { n: 5, key: true, ops: [add("b", "", "12345")] }), "rebuilt");
  assert.deepEqual([page.n, page.roots], [5, ["b"]]);
  assert.equal(applyFrame(page, { n: 6, ops: [["t", "b", "6"]] }), "applied");
});

test("a keyframe of long ago is left out", () => {
  const page = pageOf([add("a")], [["t", "a", "1"]]);
  assert.equal(applyFrame(page, { n: 0, key: true, ops: [add("a")] }), "old");
  assert.equal(page.nodes.get("a").tail, "1");
});

test("names of nodes are names, whatever they are", () => {
  const page = pageOf([add("__proto__"), add("constructor", "__proto__", "x")]);
  assert.deepEqual([...page.nodes.keys()], ["__proto__", "constructor"]);
  assert.equal({}.html, undefined);
});

test("seconds read as people write them", () => {
  const cases = [[0, "0.0 s"], [-3, "0.0 s"], [NaN, "0.0 s"], [1.26, "1.3 s"], [60, "1 min 0 s"]];
  for (const [seconds, text] of [...cases, [125.9, "2 min 5 s"], [3725, "1 h 2 min"]]) {
    assert.equal(formatSeconds(seconds), text);
  }
});

test("a minute is never written as sixty seconds", () => {
  assert.equal(formatSeconds(59.94), "59.9 s");
  assert.notEqual(formatSeconds(59.97), "60.0 s");
});

test("new text comes into sight evenly, all of it one frame of the display before the next", () => {
  const at = (elapsed) => view.shownOf(30, elapsed, 100);
  assert.deepEqual([2, 22, 42, 62, 80, 84, 1000].map(at), [6, 12, 18, 24, 29, 30, 30]);
});

test("nothing is held back longer than the interval between frames, whatever it is", () => {
  for (const interval of [0, 5, 16, 33, 50, 250]) {
    for (const count of [1, 7, 2000]) {
      assert.equal(view.shownOf(count, interval, interval), count);
      for (let elapsed = 0; elapsed < interval; elapsed += 1) {
        assert.ok(view.shownOf(count, elapsed, interval) >= 1);
        assert.ok(view.shownOf(count, elapsed, interval) <= view.shownOf(count, elapsed + 1, interval));
      }
    }
  }
});

test("words come whole, and no character is cut in two", () => {
  const rest = (text, at) => text.slice(view.wordEnd(text, at));
  assert.equal(rest("one two three", 5), " three");
  assert.equal(rest("one two three", 3), " two three");
  assert.equal(rest("一二三四", 2), "三四");
  assert.equal(rest("か\u3099く", 1), "く");
  assert.equal(rest(`${"x".repeat(100)} y`, 40), `${"x".repeat(60)} y`);
  const clefs = "\u{1d11e}".repeat(60);
  assert.ok([0, 1].every((at) => /^[\ud800-\udbff]/.test(rest(clefs, at + 20))));
});
