// Apply a run's frames, read from standard input, as the page does; print what the page then holds.

import { readFileSync } from "node:fs";

const folder = new URL("../../agentstream/notebook/static/", import.meta.url);
const parts = ["growth.js", "view.js"].map((name) => readFileSync(new URL(name, folder), "utf8"));
const source = encodeURIComponent(parts.join("\n"));
const { applyFrame, emptyPage } = await import(`data:text/javascript,${source}`);

const page = emptyPage();
const outcomes = JSON.parse(readFileSync(0, "utf8")).map((frame) => applyFrame(page, frame));

function whole(id) {
  const { tag, attributes, html, tail, children } = page.nodes.get(id);
  return { id, tag, attributes, html, tail, children: children.map(whole) };
}

process.stdout.write(JSON.stringify({ outcomes, roots: page.roots.map(whole) }));
