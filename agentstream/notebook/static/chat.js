// The page's side of a conversation: around the turns, which view.js shows, the box to write in.
//
// The kernel says in `state` whether the agent can be asked. A message it cannot take comes back,
// with the reason. `board` is what view.js exports.

/** Drafts outlive their view: a cell that is scrolled away and back is rendered anew. */
const drafts = new WeakMap();

const SAYS = {
  ready: () => "",
  running: (who) => `${who} is answering`,
  waiting: () => "A call waits for your approval",
  closed: () => "This conversation is closed: run its cell again for a new one",
};

/** Whether a key sends what is written; not while a word is being composed. */
export function sends(event) {
  return event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229;
}

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

class Form {
  constructor(model, parent) {
    this.model = model;
    this.note = "";
    // Each widget has this module for itself, so that a count would begin anew with each.
    const id = `as-ask-${Math.random().toString(36).slice(2)}`;
    this.label = make("label", { for: id });
    this.box = make("textarea", { id, rows: "1", "aria-describedby": `${id}-hint`, dir: "auto" });
    this.sendButton = make("button", { type: "submit", class: "as-send" }, "Send");
    this.stopButton = make("button", { type: "button", class: "as-stop" }, "Stop");
    this.status = make("span", { role: "status" });
    const hint = make("span", { id: `${id}-hint` }, "Enter sends, Shift+Enter begins a new line");
    this.element = make(
      "form",
      { class: "as-ask", "data-lm-suppress-shortcuts": "true" },
      this.label,
      make("div", { class: "as-write" }, this.box, this.sendButton, this.stopButton),
      make("div", { class: "as-foot" }, this.status, hint),
    );
    parent.append(this.element);
    this.box.value = drafts.get(model) ?? "";
    this.listen();
    this.refresh();
    this.grow();
  }

  listen() {
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      this.say();
    });
    // Notebooks have shortcuts of their own for these keys; what is written here is none.
    this.element.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.target === this.box && sends(event)) {
        event.preventDefault();
        this.say();
      }
    });
    this.box.addEventListener("input", () => {
      drafts.set(this.model, this.box.value);
      this.tell("");
      this.grow();
    });
    this.stopButton.addEventListener("click", () => {
      this.stopButton.disabled = true;
      this.model.send({ kind: "stop" });
      this.box.focus();
    });
  }

  /** Send what is written; while the agent cannot be asked it stays in the box. */
  say() {
    const text = this.box.value.trim();
    const state = this.model.get("state");
    if (!text || state === "closed") return;
    if (state !== "ready") {
      this.tell(`${SAYS[state](this.model.get("speaker"))}: wait for the end, or press Stop`);
      return;
    }
    this.model.send({ kind: "say", text });
    this.write("");
    this.tell("Sent");
    this.box.focus();
  }

  hear(message) {
    if (message?.refused === undefined) return;
    if (!this.box.value) this.write(message.refused);
    this.tell(message.why, "as-is-refused");
  }

  write(text) {
    this.box.value = text;
    drafts.set(this.model, text);
    this.grow();
  }

  tell(note, look = "") {
    this.note = note;
    this.status.className = look;
    this.refresh();
  }

  refresh() {
    const state = this.model.get("state");
    const who = this.model.get("speaker") || "the agent";
    const busy = state === "running" || state === "waiting";
    this.label.textContent = `Message to ${who}`;
    this.box.disabled = state === "closed";
    this.sendButton.disabled = state === "closed";
    this.sendButton.hidden = busy;
    this.stopButton.hidden = !busy;
    if (!busy) this.stopButton.disabled = false;
    const says = this.note || SAYS[state](who);
    if (this.status.textContent !== says) this.status.textContent = says;
  }

  /** The kernel has answered: what was noted here is past. */
  turn() {
    this.note = "";
    this.status.className = "";
    this.refresh();
  }

  /** The kernel is gone, and nobody hears what is written here. */
  lose() {
    this.box.disabled = this.sendButton.disabled = true;
    this.sendButton.hidden = false;
    this.stopButton.hidden = true;
    this.status.className = "as-is-refused";
    this.status.textContent = "The kernel has stopped: run the cells again";
  }

  grow() {
    this.box.style.height = "auto";
    if (this.box.scrollHeight) this.box.style.height = `${this.box.scrollHeight + 2}px`;
  }
}

/** Keep the end in sight while it grows, unless a person has scrolled away from it. */
function stickToEnd(talk) {
  let stuck = true;
  let due = 0;
  const toEnd = () => {
    due = 0;
    if (stuck) talk.scrollTop = talk.scrollHeight;
  };
  talk.addEventListener("scroll", () => {
    stuck = talk.scrollHeight - talk.clientHeight - talk.scrollTop < 32;
  });
  const soon = () => {
    if (!due) due = requestAnimationFrame(toEnd);
  };
  const watcher = new MutationObserver(soon);
  watcher.observe(talk, { childList: true, characterData: true, subtree: true });
  soon();
  return () => watcher.disconnect();
}

/** Hide the still picture of this conversation as long as this element is on the page. */
function hideStill(root, id) {
  const still = `.as-still-${CSS.escape(id)}`;
  const output = `.jp-OutputArea-child:has(${still})`;
  root.append(make("style", {}, `${still} { display: none; } ${output} { display: none; }`));
}

export default {
  initialize: board.initialize,

  render({ model, el }) {
    const talk = make("div", { class: "as-talk", role: "region", tabindex: "0" });
    const root = make("div", { class: "as-run as-chat" }, talk);
    el.append(root);
    hideStill(root, model.get("chat_id"));
    const closeBoard = board.render({ model, el: talk });
    const form = new Form(model, root);
    const letGo = stickToEnd(talk);
    const hear = (message) => form.hear(message);
    const turn = () => form.turn();
    talk.addEventListener("as-lost", () => form.lose());
    talk.addEventListener("as-found", turn);
    const name = () => {
      talk.setAttribute("aria-label", `Conversation with ${model.get("speaker")}`);
      form.refresh();
    };
    name();
    model.on("msg:custom", hear);
    model.on("change:state", turn);
    model.on("change:speaker", name);
    return () => {
      model.off("msg:custom", hear);
      model.off("change:state", turn);
      model.off("change:speaker", name);
      letGo();
      closeBoard();
    };
  },
};
