/* The keys of the page. */
"use strict";

(() => {
  const dialog = uso.byId("help");
  const KEYS = [
    ["In the grid", [
      ["← → ↑ ↓", "move"],
      ["Enter", "open"],
      ["Space", "select; Shift with arrows or a click selects a range"],
      ["s", "star"],
      ["x", "reject"],
      ["u", "take all marks from the picture"],
      ["d", "deselect everything"],
      ["v", "survey: only the selected pictures, as large as they fit; again: back"],
      ["+ −", "larger, smaller"],
      ["e", "your choice: save ids, copy commands"],
      ["/", "search"],
      ["f", "filters"],
      ["[ ]", "turn pages, if there are several"],
    ]],
    ["In a picture", [
      ["← →", "the picture before, the next one"],
      ["c", "the result alone, or under its content image or the other run's picture, with a slider"],
      ["z", "fit, or large; a double click does the same"],
      ["+ −", "zoom in, zoom out"],
      ["Space s x u", "select, star, reject, take all marks away"],
      ["Esc", "back to the grid"],
    ]],
  ];

  const table = ([title, keys]) => [
    uso.el("h3", {}, title),
    uso.el("dl", { class: "keys" }, keys.flatMap(([key, what]) => [uso.el("dt", {}, key.split(" ").map((one) => uso.el("kbd", {}, one))), uso.el("dd", {}, what)])),
  ];

  uso.showHelp = () => {
    dialog.replaceChildren(
      uso.el("div", { class: "bar" }, uso.el("h2", { id: "help-title", tabindex: -1 }, "Keys"), uso.button("Close", () => dialog.close())),
      ...KEYS.flatMap(table),
    );
    if (!dialog.open) dialog.showModal();
    uso.byId("help-title").focus();
  };

  uso.byId("help-open").addEventListener("click", uso.showHelp);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "?" || uso.isTyping(event)) return;
    if (dialog.open) dialog.close();
    else if (!document.querySelector("dialog[open]") || uso.byId("detail").open) uso.showHelp();
  });
})();
