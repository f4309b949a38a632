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
  el.append(body, stop);

  const place = () => {
    // An open or closed list of errors stays so.
    const details = body.querySelector("details");
    const open = details ? details.open : undefined;
    body.innerHTML = model.get("html");
    const next = body.querySelector("details");
    if (next && open !== undefined) next.open = open;
  };
  place();
  model.on("change:html", place);
  return () => model.off("change:html", place);
}

export default { render };
