// A blind vote: shows the HTML that the kernel has escaped; keys and buttons choose.

const KEYS = {
  ArrowLeft: "left",
  1: "left",
  ArrowRight: "right",
  2: "right",
  ArrowDown: "equal",
  0: "equal",
  Backspace: "back",
  Escape: "done",
};

function render({ model, el }) {
  el.classList.add("as-run", "as-rows", "as-vote");
  el.tabIndex = 0;
  el.setAttribute("role", "group");
  el.setAttribute("aria-label", "Blind vote");
  // JupyterLab's own keys, which would move between cells.
  el.dataset.lmSuppressShortcuts = "true";

  const choose = (choice) => {
    const at = el.querySelector("[data-at]");
    if (at) model.send({ kind: "vote", choice, at: at.dataset.at });
  };
  const pressed = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const choice = KEYS[event.key];
    if (!choice) return;
    event.preventDefault();
    event.stopPropagation();
    choose(choice);
  };
  const clicked = (event) => {
    const button = event.target.closest("button[data-choice]");
    if (button) choose(button.dataset.choice);
  };
  const place = () => {
    const had = el.contains(document.activeElement);
    el.innerHTML = model.get("html");
    if (had) el.focus();
  };
  place();
  el.addEventListener("keydown", pressed);
  el.addEventListener("click", clicked);
  model.on("change:html", place);
  // Where nothing else is being written, the keys work at once.
  requestAnimationFrame(() => el.focus({ preventScroll: true }));
  return () => {
    model.off("change:html", place);
    el.removeEventListener("keydown", pressed);
    el.removeEventListener("click", clicked);
  };
}

export default { render };
