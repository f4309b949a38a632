// Text that grows evenly: what a frame brought comes into sight word by word until the next frame.
//
// The page holds all of its text at once. What is not to be seen yet is painted transparent, by a
// highlight (CSS Custom Highlight API): a selection, the search, the scroll position and a screen
// reader have the whole text, and nothing can be lost here. Where a browser has no highlights, and
// for people who prefer reduced motion, text shows as it comes.

const GROWING = "as-growing";
const LONGEST_HOLD = 250; // milliseconds: between frames of a view, where many share a kernel
const SILENCE = 1000; // milliseconds: what comes after it is waited for
const DISPLAY_FRAME = 1000 / 60;
const MOST = 2000; // characters: what is more than anybody reads between two frames shows at once
const LONGEST_WORD = 24;

/** How many of `count` new characters show `elapsed` milliseconds after they came. */
export function shownOf(count, elapsed, interval) {
  // By the time that it is painted, another frame of the display has passed.
  const part = (elapsed + DISPLAY_FRAME) / interval;
  return part < 1 ? Math.ceil(count * part) : count;
}

/** Where the word ends that stands at `at`, so that no part of a word shows alone. */
export function wordEnd(text, at) {
  let end = at;
  // Han, Kana and Hangul have no spaces: each character may stand alone, with its marks.
  while (end < text.length && /[^\s\u2e80-\ud7ff]|\p{M}/u.test(text[end])) end += 1;
  if (end - at <= LONGEST_WORD) return end;
  const isPair = /[\udc00-\udfff]/.test(text[at]);
  return isPair ? at + 1 : at;
}

function isWanted() {
  return (
    typeof Highlight === "function" &&
    Boolean(CSS.highlights) &&
    !document.hidden &&
    !matchMedia("(prefers-reduced-motion: reduce)").matches
  );
}

/** The document's one highlight; each widget has this module for itself. */
function growing() {
  if (!CSS.highlights.has(GROWING)) CSS.highlights.set(GROWING, new Highlight());
  return CSS.highlights.get(GROWING);
}

/** Where the last `count` characters of an element begin: a text node and an offset in it. */
function startOfLast(element, count, isBegun) {
  const walk = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  let node = element;
  while (node.lastChild) node = node.lastChild;
  walk.currentNode = node;
  if (node.nodeType !== Node.TEXT_NODE) node = walk.previousNode();
  for (; node; node = walk.previousNode()) {
    const at = node.length - count;
    if (at >= 0) return [node, isBegun ? wordEnd(node.data, at) : at];
    count = -at;
  }
  return null;
}

export class Growth {
  constructor() {
    this.pieces = [];
    this.ranges = [];
    this.count = 0;
    this.began = -Infinity;
    this.interval = 0;
    this.next = 0;
  }

  /** A frame begins: what the one before it brought is in sight now. */
  begin() {
    this.finish();
    const now = performance.now();
    const gap = now - this.began;
    this.interval = gap < SILENCE ? Math.min(gap, LONGEST_HOLD) : 0;
    this.began = now;
  }

  /** The last `count` characters of `element` are new. */
  add(element, count) {
    if (count <= 0) return;
    this.pieces.push({ element, count });
    this.count += count;
  }

  /** The frame is in the page: its text comes into sight from now on. */
  start() {
    if (!this.count || this.count > MOST || !isWanted()) {
      this.finish();
    } else {
      this.step(this.began);
    }
  }

  step(now) {
    this.next = 0;
    let shown = shownOf(this.count, Math.max(0, now - this.began), this.interval);
    this.clear();
    if (shown >= this.count) {
      this.finish();
      return;
    }
    for (const { element, count } of this.pieces) {
      const start = shown < count && startOfLast(element, count - shown, shown > 0);
      if (start) this.hide(element, start);
      shown = Math.max(0, shown - count);
    }
    if (this.ranges.length) this.next = requestAnimationFrame((at) => this.step(at));
    else this.finish();
  }

  hide(element, [node, offset]) {
    const range = document.createRange();
    range.setStart(node, offset);
    range.setEnd(element, element.childNodes.length);
    if (!range.toString().trim()) return;
    this.ranges.push(range);
    growing().add(range);
  }

  clear() {
    for (const range of this.ranges) growing().delete(range);
    this.ranges.length = 0;
  }

  /** All text is in sight. */
  finish() {
    cancelAnimationFrame(this.next);
    this.next = 0;
    if (this.ranges.length) this.clear();
    this.pieces.length = 0;
    this.count = 0;
  }
}
