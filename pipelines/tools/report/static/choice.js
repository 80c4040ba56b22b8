/* The choice: how many rows have which mark, and their ids as a file and in commands. */
"use strict";

(() => {
  const dialog = uso.byId("choice");
  const LABELS = { starred: "★ Starred", selected: "✓ Selected", rejected: "✕ Rejected", shown: "Shown now" };
  const SHORT = { starred: "★", rejected: "✕", selected: "✓" };
  let chosen = "starred";

  /** Ids as a CSV file with the column `id`. Quotes keep commas, spaces and line ends in ids. */
  const csv = (ids) => `id\r\n${ids.map((id) => `"${id.replaceAll('"', '""')}"\r\n`).join("")}`;

  const fileName = () => {
    const safe = uso.boot.name.replace(/[^\p{L}\p{N}._-]+/gu, "-").replace(/^[-.]+/, "").slice(0, 60).replace(/-+$/, "");
    return `${safe || "run"}-${chosen}.csv`;
  };

  const idsOf = async (set) => (set === "shown" ? uso.shownKeys() : uso.marks.ids(set));

  const download = async () => {
    const url = URL.createObjectURL(new Blob([csv(await idsOf(chosen))], { type: "text/csv" }));
    const link = uso.el("a", { href: url, download: fileName() });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  };

  /** Copies text; also where a page has no access to the clipboard, as on a plain http server. */
  const copy = async (text, button) => {
    let done = true;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = uso.el("textarea", { class: "visually-hidden", "aria-hidden": "true" });
      area.value = text;
      dialog.append(area);
      area.select();
      done = document.execCommand("copy");
      area.remove();
      button.focus();
    }
    const label = button.textContent;
    button.textContent = done ? "Copied" : "Select and copy it";
    setTimeout(() => (button.textContent = label), 1500);
  };

  /** A name in quotes, if a shell needs them. */
  const quoted = (name) => (/^[\w.-]+$/.test(name) ? name : `'${name.replaceAll("'", "")}'`);

  const commands = () => {
    const { config, pack_options: options } = uso.boot.commands;
    const file = quoted(fileName());
    const folder = quoted(fileName().replace(/\.csv$/, ""));
    const pack = ["uso pack", uso.boot.outputArgument, "--layout folder --ids", file, "--to", folder, options];
    return [
      ["Draw them again, with other seeds", `uso manifest again.parquet --chosen ${config} --ids ${file} --new-seeds`],
      ["Draw them alone, for example with other settings", `uso run ${config} --ids ${file}`],
      ["Pack them", pack.filter(Boolean).join(" ")],
    ];
  };

  const count = (set) => (set === "shown" ? uso.shownCount() : uso.marks.count(set));

  const render = () => {
    const sets = Object.entries(LABELS).map(([set, label]) =>
      uso.el(
        "label",
        { class: "set" },
        uso.el("input", { type: "radio", name: "set", value: set, checked: set === chosen, onchange: () => { chosen = set; render(); } }),
        ` ${label} `,
        uso.el("strong", {}, uso.count(count(set))),
      ),
    );
    const nothing = count(chosen) === 0;
    const clear = () => {
      if (chosen !== "shown") uso.marks.clear([chosen]);
      render();
    };
    dialog.replaceChildren(
      uso.el("div", { class: "bar" }, uso.el("h2", { id: "choice-title", tabindex: -1 }, "Your choice"), uso.button("Close", () => dialog.close())),
      uso.el("p", { class: "note" }, uso.marks.isKept ? "Marks are kept in this browser only. Take them along as a file of ids." : "This browser keeps nothing: the marks are lost when the page is closed. Save them as a file."),
      uso.el("fieldset", { class: "sets" }, uso.el("legend", { class: "visually-hidden" }, "Rows"), sets),
      uso.el(
        "p",
        { class: "actions" },
        uso.button(`Save ${fileName()}`, download, { disabled: nothing, class: "plain main", id: "save-ids" }),
        uso.button("Copy ids", async (event) => copy((await idsOf(chosen)).join("\n"), event.target), { disabled: nothing }),
        uso.button("Take the marks away", clear, { disabled: nothing || chosen === "shown" }),
      ),
      ...commands().map(([what, command]) =>
        uso.el("div", { class: "command" }, uso.el("p", { class: "note" }, what), uso.el("code", {}, command), uso.button("Copy", (event) => copy(command, event.target), { "aria-label": `Copy: ${what}` })),
      ),
      uso.el("p", { class: "note" }, uso.boot.commands.notes.join(" ")),
    );
  };

  /** Opens the dialog of the choice. */
  uso.showChoice = () => {
    if (!count(chosen)) chosen = ["starred", "selected", "rejected"].find((set) => count(set)) ?? chosen;
    render();
    if (!dialog.open) dialog.showModal();
    uso.byId("choice-title").focus();
  };

  const tell = () => {
    const marks = Object.entries(SHORT).map(([set, symbol]) => (uso.marks.count(set) ? `${symbol} ${uso.count(uso.marks.count(set))}` : ""));
    uso.byId("choice-open").textContent = marks.filter(Boolean).join("  ") || "Choice";
  };

  uso.byId("choice-open").addEventListener("click", uso.showChoice);
  uso.marks.listen(tell);
  tell();
})();
