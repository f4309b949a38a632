// Many rows: shows the HTML that the kernel has escaped, and a button that stops them.

function render({ model, el }) {
  const body = document.createElement("div");
  const stop = document.createElement("button");
  el.classList.add("as-run", "as-rows");
  stop.type = "button";
  stop.className = "as-rows-stop";
  stop.textContent = "Stop";
  stop.addEventListener("click", () => {
    stop.disabled = true;
    stop.textContent = "Stopping …";
    model.send({ kind: "stop" });
  });
  el.append(body);

  // A row's run, by its key; none closes it.
  body.addEventListener("click", (event) => {
    const row = event.target.closest("[data-row]");
    if (row) model.send({ kind: "watch", row: row.dataset.row });
  });

  const place = () => {
    // An open or closed list of errors stays so.
    const details = body.querySelector("details");
    const open = details ? details.open : undefined;
    const held = body.contains(document.activeElement) && document.activeElement.dataset.row;
    body.innerHTML = model.get("html");
    if (!model.get("is_live")) {
      stop.remove();
    } else if (!stop.isConnected) {
      stop.disabled = false;
      stop.textContent = "Stop";
      el.append(stop);
    }
    const next = body.querySelector("details");
    if (next && open !== undefined) next.open = open;
    if (typeof held === "string") body.querySelector(`[data-row="${held}"]`)?.focus();
  };
  place();
  model.on("change:html", place);
  return () => model.off("change:html", place);
}

export default { render };
