// The page's side of a run: it places what the kernel gives, and sends back what is pressed.
//
// The kernel sends frames, each a list of operations on named nodes (agentstream/notebook/live/dom.py
// has their table). Frames are numbered: a page that misses one asks for a keyframe, the whole page.
// All HTML was escaped or sanitised in the kernel; nothing here makes HTML of text. growth.js, which
// stands before this text, lets new text come into sight evenly.

/** A page without anything on it. */
export function emptyPage() {
  return { n: -1, nodes: new Map(), roots: [] };
}

/** Apply one operation to a page; pure data, no DOM. Unknown nodes are left alone. */
export function applyOp(page, op) {
  const [kind, id] = op;
  const node = page.nodes.get(id);
  if (kind === "+") {
    const [, , parent, tag, attributes, html] = op;
    if (node) removeNode(page, id);
    page.nodes.set(id, { id, parent, tag, attributes, html, tail: "", children: [] });
    (parent ? page.nodes.get(parent)?.children : page.roots)?.push(id);
  } else if (!node) {
    return;
  } else if (kind === "=") {
    node.html = op[2];
    node.tail = "";
  } else if (kind === "~") {
    const [, , start, end, html] = op;
    // `start` and `end` are how much stays at either end.
    node.html = node.html.slice(0, start) + html + node.html.slice(node.html.length - end);
    node.tail = "";
  } else if (kind === "t") {
    node.tail += op[2];
  } else if (kind === "@") {
    node.attributes = op[2];
  } else if (kind === "-") {
    removeNode(page, id);
  }
}

function removeNode(page, id) {
  const node = page.nodes.get(id);
  if (!node) return;
  const siblings = node.parent ? page.nodes.get(node.parent)?.children : page.roots;
  const at = siblings ? siblings.indexOf(id) : -1;
  if (at >= 0) siblings.splice(at, 1);
  for (const child of [...node.children]) removeNode(page, child);
  page.nodes.delete(id);
}

/**
 * Take a frame or a keyframe into the page.
 *
 * Returns "applied", "rebuilt" after a keyframe, "old" for one the page has already, or "gap" when
 * frames are missing in between: then a keyframe has to be asked for.
 */
export function applyFrame(page, frame) {
  if (frame.key) {
    if (frame.n < page.n) return "old";
    page.nodes.clear();
    page.roots.length = 0;
  } else if (frame.n <= page.n) {
    return "old";
  } else if (frame.n !== page.n + 1) {
    return "gap";
  }
  page.n = frame.n;
  for (const op of frame.ops) applyOp(page, op);
  return frame.key ? "rebuilt" : "applied";
}

/** Seconds that still run, as the kernel writes them when they have ended, but only to the tenth. */
export function formatSeconds(seconds) {
  if (!(seconds > 0)) return "0.0 s";
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.floor(seconds + 0.05);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

const BUSY_AFTER = 2000; // milliseconds
const FIRST_PATIENCE = 1000;
const HIDDEN_AFTER = 500; // a view that is scrolled past, or rendered anew, is no news
const NEARLY_IN_SIGHT = "200px";
const NO_KERNEL = new Set(["dead", "autorestarting", "restarting"]);
const SNAPSHOT_WITHIN = 10000;

/** The classes of what goes on or waits. */
const OPEN = ["running", "in_progress", "paused", "awaiting_approval"].map((one) => `as-is-${one}`);

/**
 * The page's data of each run, shared by all views of it.
 *
 * By the run's name and not by the model: anywidget hands each call another proxy of one model.
 */
const stores = new Map();

/** Whether an element is of a text, which comes into sight evenly; a card has its place at once. */
function isProse(element) {
  return Boolean(element?.parentElement?.matches(".as-text, .as-reasoning-body"));
}

class Store {
  constructor(model) {
    this.model = model;
    this.page = emptyPage();
    this.images = new Map();
    this.views = new Set();
    this.asked = 0;
    this.patience = FIRST_PATIENCE;
    this.again = undefined;
    this.runTime = 0;
    this.heardAt = performance.now();
    this.id = Math.random().toString(36).slice(2);
    this.isVisible = undefined;
    this.hiding = undefined;
    this.look = () => this.tellWhetherVisible();
    this.leave = () => this.tell(false);
    this.end = () => {
      if (model.get("live")) return;
      for (const view of this.views) {
        view.growth.finish();
        view.keepOpen();
      }
    };
    this.takeKeyframe = () => this.take({ ...model.get("keyframe"), key: true });
    this.hear = (message) => message?.ops && this.take(message);
    model.on("change:keyframe", this.takeKeyframe);
    model.on("msg:custom", this.hear);
    model.on("change:live", this.end);
    document.addEventListener("visibilitychange", this.look);
    window.addEventListener("pagehide", this.leave);
    window.addEventListener("pageshow", this.look);
    // Jupyter's widget manager has let go of the kernel; one that is there after all answers.
    this.loseKernel = () => {
      for (const view of this.views) view.lose();
      this.ask();
    };
    model.on("comm_live_update", this.loseKernel);
    this.takeKeyframe();
    this.ask();
    this.look();
  }

  take(frame) {
    if (!Array.isArray(frame.ops)) return;
    for (const [name, source] of Object.entries(frame.images ?? {})) this.images.set(name, source);
    if (frame.key) this.stopAsking();
    for (const view of this.views) if (view.isLost) view.find();
    if (frame.key && frame.n <= this.page.n && this.page.n >= 0) return;
    if (typeof frame.t === "number") {
      this.runTime = frame.t;
      this.heardAt = performance.now();
    }
    const outcome = applyFrame(this.page, frame);
    if (outcome === "gap") this.ask();
    else if (outcome === "rebuilt") for (const view of this.views) view.rebuild();
    else if (outcome === "applied") for (const view of this.views) view.apply(frame.ops);
  }

  /** Ask for a keyframe, at most twice a second, and ever more rarely until one comes. */
  ask() {
    const now = performance.now();
    if (this.asked && now - this.asked < 500) return;
    this.asked = now;
    this.model.send({ kind: "keyframe", page: this.id });
    clearTimeout(this.again);
    // An answer may be long in coming: a kernel that works hears nothing before its cell ends.
    this.again = setTimeout(() => this.ask(), this.patience);
    this.patience *= 2;
  }

  stopAsking() {
    clearTimeout(this.again);
    this.patience = FIRST_PATIENCE;
  }

  /** Tell the kernel at once that a view is in sight, and a little later that none is any more. */
  tellWhetherVisible() {
    clearTimeout(this.hiding);
    // A page behind another has no frames of the display: what grows would wait for them.
    if (document.hidden) for (const view of this.views) view.growth.finish();
    const visible = !document.hidden && [...this.views].some((view) => view.isInSight);
    if (visible) this.tell(true);
    else this.hiding = setTimeout(() => this.tell(false), HIDDEN_AFTER);
  }

  tell(visible) {
    clearTimeout(this.hiding);
    if (visible === this.isVisible) return;
    this.isVisible = visible;
    this.model.send({ kind: "visible", page: this.id, visible });
  }

  close() {
    this.stopAsking();
    clearTimeout(this.hiding);
    document.removeEventListener("visibilitychange", this.look);
    window.removeEventListener("pagehide", this.leave);
    window.removeEventListener("pageshow", this.look);
    this.model.off("change:keyframe", this.takeKeyframe);
    this.model.off("msg:custom", this.hear);
    this.model.off("change:live", this.end);
    this.model.off("comm_live_update", this.loseKernel);
  }

  /** Whether the kernel's process has ended, or begins anew, as far as the front end says. */
  hasNoKernel() {
    const manager = this.model.widget_manager;
    if (!manager || !("kernel" in manager)) return false;
    return !manager.kernel || NO_KERNEL.has(manager.kernel.status);
  }

  /** Seconds since the start of the run, as the kernel's clock has it. */
  now() {
    return this.runTime + (performance.now() - this.heardAt) / 1000;
  }
}

class View {
  constructor(store, el) {
    this.store = store;
    this.root = document.createElement("div");
    this.root.className = "as-run as-live";
    el.appendChild(this.root);
    this.elements = new Map();
    this.growth = new Growth();
    this.isInSight = true;
    this.observer = new IntersectionObserver((seen) => {
      this.isInSight = seen[seen.length - 1].isIntersecting;
      store.look();
    }, { rootMargin: NEARLY_IN_SIGHT, scrollMargin: NEARLY_IN_SIGHT });
    this.observer.observe(this.root);
    this.press = (event) => this.onPress(event);
    this.root.addEventListener("click", this.press);
    // What is written into a field is no shortcut of the notebook's.
    this.root.addEventListener("keydown", (event) => {
      if (event.target.closest?.(".as-reason")) event.stopPropagation();
    });
    this.rebuild();
    this.clock = setInterval(() => this.tick(), 200);
  }

  rebuild() {
    this.growth.finish();
    const open = openDetails(this.root);
    this.elements.clear();
    this.root.replaceChildren();
    for (const id of this.store.page.roots) this.add(id);
    restoreDetails(this.root, open);
  }

  /**
   * Make a node's element as the page has the node now; returns nothing if it has no place.
   *
   * `made` collects what was made: the operations that follow in its frame are in it already.
   */
  add(id, made) {
    const node = this.store.page.nodes.get(id);
    const parent = node.parent ? this.elements.get(node.parent) : this.root;
    if (!parent) return;
    const element = document.createElement(node.tag);
    element.dataset.node = id;
    dress(element, node.attributes);
    this.elements.set(id, element);
    this.fill(element, node);
    parent.appendChild(element);
    made?.add(id);
    for (const child of node.children) this.add(child, made);
  }

  /** Take a frame that the page has taken already: each element becomes what its node is now. */
  apply(ops) {
    const made = new Set();
    this.growth.begin();
    for (const [kind, id, more] of ops) {
      const node = this.store.page.nodes.get(id);
      const element = this.elements.get(id);
      if (kind === "-") {
        if (element) this.drop(element);
        made.delete(id);
      } else if (!node || made.has(id)) {
        continue;
      } else if (kind === "+") {
        if (element) this.drop(element);
        this.add(id, made);
        const added = this.elements.get(id);
        if (isProse(added)) this.growth.add(added, added.textContent.length);
      } else if (!element) {
        continue;
      } else if (kind === "=" || kind === "~") {
        const open = openDetails(element);
        const grows = isProse(element);
        const before = grows ? element.textContent.length : 0;
        this.fill(element, node);
        if (grows) this.growth.add(element, element.textContent.length - before);
        restoreDetails(element, open);
        made.add(id);
      } else if (kind === "t") {
        this.write(element, node, more);
        this.growth.add(element, more.length);
      } else if (kind === "@") {
        dress(element, node.attributes);
      }
    }
    this.growth.start();
  }

  /** Put a node's HTML and text into its element, before the nodes that are in it. */
  fill(element, node) {
    const inner = node.children.map((id) => this.elements.get(id)).filter(Boolean);
    const made = inner.length || !element.firstChild ? element : element.cloneNode(false);
    made.innerHTML = node.html;
    for (const image of made.querySelectorAll("img[data-image]")) {
      // A picture's bytes come once, and by its name from then on.
      image.src = this.store.images.get(image.dataset.image) ?? "";
    }
    for (const details of made.querySelectorAll("details")) details.asMade = details.open;
    if (node.tail) this.write(made, node, node.tail);
    if (made === element) element.append(...inner);
    else patch(element, made);
  }

  write(element, node, text) {
    const first = this.elements.get(node.children[0]);
    const inner = first?.parentNode === element ? first : null;
    const tail = [...element.querySelectorAll(".as-tail")].find(
      (one) => one.closest("[data-node]") === element,
    );
    const last = tail ? tail.lastChild : inner ? inner.previousSibling : element.lastChild;
    // Many short text nodes lay out cheaper than one long one, and one for each token is too many.
    if (last?.nodeType === Node.TEXT_NODE && last.length < 512) last.appendData(text);
    else (tail ?? element).insertBefore(document.createTextNode(text), tail ? null : inner);
  }

  drop(element) {
    for (const inner of element.querySelectorAll("[data-node]")) {
      this.elements.delete(inner.dataset.node);
    }
    this.elements.delete(element.dataset.node);
    element.remove();
  }

  /** Open in the snapshot, which takes this view's place, what a person has opened here. */
  keepOpen() {
    const open = openDetails(this.root);
    const place = this.root.closest(".jp-OutputArea-child");
    if (!place || open.every((one) => one === null)) return;
    const area = place.parentElement;
    const at = [...area.children].indexOf(place);
    const watcher = new MutationObserver(() => {
      const snapshot = area.children[at]?.querySelector(".as-snapshot");
      if (!snapshot) return;
      watcher.disconnect();
      restoreDetails(snapshot, open);
    });
    watcher.observe(area, { childList: true, subtree: true });
    setTimeout(() => watcher.disconnect(), SNAPSHOT_WITHIN);
  }

  /** Say that the run goes on no more: its kernel is gone, and nobody else will say so. */
  lose() {
    this.isLost = true;
    for (const clock of this.root.querySelectorAll("[data-since]")) clock.removeAttribute("data-since");
    for (const one of this.root.querySelectorAll(".as-stop, .as-approval")) one.remove();
    for (const one of this.root.querySelectorAll(OPEN.map((name) => `.${name}`).join())) {
      one.classList.remove(...OPEN);
      one.classList.add("as-is-cancelled");
      const state = one.querySelector(".as-state");
      if (state) state.textContent = "kernel stopped";
    }
    this.root.dispatchEvent(new CustomEvent("as-lost", { bubbles: true }));
  }

  /** The kernel is there after all. */
  find() {
    this.isLost = false;
    this.rebuild();
    this.root.dispatchEvent(new CustomEvent("as-found", { bubbles: true }));
  }

  onPress(event) {
    const details = event.target.closest?.("summary")?.parentElement;
    if (details) details.byReader = true;
    const button = event.target.closest?.("button");
    if (!button || !this.root.contains(button)) return;
    const names = ["stop", "approve", "always", "reject"];
    const kind = names.find((name) => button.classList.contains(`as-${name}`));
    if (!kind) return;
    const group = kind === "stop" ? [button] : button.parentElement.querySelectorAll("button");
    for (const one of group) one.disabled = true;
    const reason = kind === "reject" ? button.parentElement.querySelector(".as-reason")?.value : "";
    const approval = button.dataset.approval ?? null;
    this.store.model.send({ kind, approval_id: approval, reason: reason || null });
    if (kind === "stop") setTimeout(() => this.sayBusy(button), BUSY_AFTER);
  }

  /** A kernel that is busy hears no widget before its cell ends; it does hear the interrupt. */
  sayBusy(button) {
    if (!button.isConnected || !this.store.model.get("live")) return;
    button.textContent = "Kernel is busy: interrupt it";
    button.title = "The kernel hears this button when its cell has ended. Its interrupt stops the run.";
  }

  tick() {
    if (!this.isLost && this.store.hasNoKernel()) this.lose();
    if (!this.store.model.get("live") || !this.root.isConnected) return;
    const now = this.store.now();
    for (const clock of this.root.querySelectorAll(".as-clock[data-since]")) {
      const shown = formatSeconds(now - Number(clock.dataset.since));
      if (clock.textContent !== shown) clock.textContent = shown;
    }
  }

  close() {
    clearInterval(this.clock);
    this.observer.disconnect();
    this.growth.finish();
    this.root.removeEventListener("click", this.press);
    this.root.remove();
  }
}

/** Make an element's inside that of `made`. What is the same stays, and a selection in it. */
function patch(element, made) {
  let old = element.firstChild;
  for (let next, one = made.firstChild; one; one = next) {
    next = one.nextSibling;
    if (!old) {
      element.append(one);
    } else if (old.isEqualNode(one)) {
      old = old.nextSibling;
    } else if (old.nodeType === Node.TEXT_NODE && one.nodeType === Node.TEXT_NODE) {
      const stays = commonStart(old.data, one.data);
      old.replaceData(stays, old.length - stays, one.data.slice(stays));
      old = old.nextSibling;
    } else if (old.firstChild && old.cloneNode(false).isEqualNode(one.cloneNode(false))) {
      patch(old, one);
      old = old.nextSibling;
    } else {
      old.replaceWith(one);
      old = one.nextSibling;
    }
  }
  for (let next; old; old = next) {
    next = old.nextSibling;
    old.remove();
  }
}

function commonStart(a, b) {
  if (b.startsWith(a)) return a.length;
  let at = 0;
  while (at < a.length && a[at] === b[at]) at += 1;
  return at;
}

function dress(element, attributes) {
  for (const { name } of [...element.attributes]) {
    if (name !== "data-node" && !(name in attributes) && name !== "open") element.removeAttribute(name);
  }
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
}

/** Which blocks a person opened or closed, by their order; the kernel's own choice is not kept. */
function openDetails(element) {
  const all = [...element.querySelectorAll("details")];
  return all.map((one) => (one.byReader || ("asMade" in one && one.open !== one.asMade) ? one.open : null));
}

function restoreDetails(element, open) {
  [...element.querySelectorAll("details")].forEach((one, at) => {
    if (open[at] === null || open[at] === undefined) return;
    one.open = open[at];
    one.byReader = true;
  });
}

export default {
  initialize({ model }) {
    // Here and not in render: messages come before the first view is there.
    const store = new Store(model);
    stores.set(model.get("run_id"), store);
    return () => {
      store.close();
      stores.delete(model.get("run_id"));
    };
  },

  render({ model, el }) {
    const store = stores.get(model.get("run_id"));
    const view = new View(store, el);
    store.views.add(view);
    return () => {
      store.views.delete(view);
      view.close();
      store.look();
    };
  },
};
