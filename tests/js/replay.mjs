// Apply a run's frames, read from standard input, as the page does; print what the page then holds.

import { readFileSync } from "node:fs";

const path = new URL("../../agentstream/notebook/static/view.js", import.meta.url);
const source = encodeURIComponent(readFileSync(path, "utf8"));
const { applyFrame, emptyPage } = await import(`data:text/javascript,${source}`);

const page = emptyPage();
const outcomes = JSON.parse(readFileSync(0, "utf8")).map((frame) => applyFrame(page, frame));

function whole(id) {
  const { tag, attributes, html, tail, children } = page.nodes.get(id);
  return { id, tag, attributes, html, tail, children: children.map(whole) };
}

process.stdout.write(JSON.stringify({ outcomes, roots: page.roots.map(whole) }));
