// What of a conversation's code needs no DOM. It is read together with view.js, as the kernel sends
// it (agentstream/notebook/chat/widget.py).

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";

const folder = new URL("../../agentstream/notebook/static/", import.meta.url);
const read = (name) => readFile(new URL(name, folder), "utf8");
const [growth, board, form] = await Promise.all(["growth.js", "view.js", "chat.js"].map(read));
const view = `${growth}\n${board}`;
const source = `${view.replace("export default ", "const board = ")}\n${form}`;
const chat = await import(`data:text/javascript,${encodeURIComponent(source)}`);

const key = (name, more = {}) => ({ key: name, shiftKey: false, isComposing: false, ...more });

test("together they are one widget", () => {
  assert.deepEqual(Object.keys(chat.default).sort(), ["initialize", "render"]);
});

test("Enter sends, and Shift+Enter begins a new line", () => {
  assert.equal(chat.sends(key("Enter")), true);
  assert.equal(chat.sends(key("Enter", { shiftKey: true })), false);
  assert.equal(chat.sends(key("a")), false);
});

test("Enter that ends the composing of a word sends nothing", () => {
  assert.equal(chat.sends(key("Enter", { isComposing: true })), false);
  assert.equal(chat.sends(key("Enter", { keyCode: 229 })), false);
});
