/* The list of this browser's tasks. */
import { localUrl } from "./api.js";
import { byId, el } from "./dom.js";
import { hasEnded } from "./tasks.js";
import { imagesOf, stateOf } from "./words.js";

const entries = new Map(); // id → { item, signature }

/** Show the tasks in order; entries that stay keep the focus. */
export function showHistory(tasks, selected, select) {
  byId("history-empty").hidden = tasks.length > 0;
  const items = tasks.map((task) => itemOf(task, task.id === selected?.id, select));
  const list = byId("history");
  for (const [id, { item }] of entries)
    if (!items.includes(item)) {
      item.remove();
      entries.delete(id);
    }
  items.forEach((item, place) => {
    if (list.children[place] !== item) list.insertBefore(item, list.children[place] ?? null);
  });
}

function itemOf(task, isSelected, select) {
  const signature = `${stateOf(task)} ${imagesOf(task).map((image) => image.uri)}`;
  let entry = entries.get(task.id);
  if (!entry) {
    const button = el("button", { type: "button", onclick: () => select(task.id) });
    entry = { item: el("li", {}, button), signature: "" };
    entries.set(task.id, entry);
  }
  const button = entry.item.firstChild;
  button.setAttribute("aria-current", isSelected ? "true" : "false");
  if (entry.signature !== signature) {
    entry.signature = signature;
    button.replaceChildren(...contentOf(task));
  }
  return entry.item;
}

function contentOf(task) {
  const [image] = imagesOf(task);
  const source = image && localUrl(image.uri);
  const mark = hasEnded(task) ? "×" : "…";
  return [
    source
      ? el("img", { src: source, alt: "", loading: "lazy" })
      : el("span", { class: "blank", "aria-hidden": "true" }, mark),
    el("span", { class: "prompt", dir: "auto" }, task.input.prompt || "no prompt"),
    el("span", { class: "soft" }, stateOf(task)),
  ];
}
