/* Cards: one row each, its results or its results beside their inputs. */
"use strict";

(() => {
  const SYMBOLS = { selected: ["✓", "Select"], starred: ["★", "Star"], rejected: ["✕", "Reject"] };

  const nothing = (text) => [uso.el("span", { class: "nothing" }, text)];

  const thumbnailsNote = () =>
    uso.boot.thumbnails === null ? "no thumbnail" : `no thumbnail: more than ${uso.count(uso.boot.thumbnails)} rows in`;

  const references = (all, what) =>
    all.length
      ? all.slice(0, 4).map((one) => uso.picture([one.thumb], `${what}: ${one.name}`, one.why ?? thumbnailsNote()))
      : nothing(`no ${what}`);

  const failure = (error) => [
    uso.el("span", { class: "failure" }, uso.el("strong", {}, error.code), uso.el("bdi", {}, error.message)),
  ];

  const generated = (images, error, what) => {
    if (error) return failure(error);
    return images.length
      ? images.slice(0, 4).map((one) => uso.picture([one.thumb, one.full], what, one.why ?? one.uri))
      : nothing("no image");
  };

  const results = (row) => generated(row.images, row.error, `result of ${row.id}`);

  const there = (row) =>
    row.against
      ? generated(row.against.images, row.against.error, `the other result of ${row.id}`)
      : nothing("no such row there");

  /** The tiles of a card, by the value of `show`: kind, label and pictures of each. */
  const TILES = {
    results: (row) => [["result", "", results(row)]],
    both: (row) => [["result", "here", results(row)], ["result", thereLabel(row), there(row)]],
    inputs: (row) => [
      ["content", "content", references(row.content ? [row.content] : [], "content image")],
      ["style", row.styles.length > 1 ? `${row.styles.length} styles` : "style", references(row.styles, "style image")],
      ...(uso.boot.against ? TILES.both(row) : [["result", "result", results(row)]]),
    ],
  };

  const thereLabel = (row) =>
    ["there", ...(row.against?.distances ?? []).slice(0, 4).map(uso.distance).filter(Boolean)].join(" · ");

  /** The number of tiles in a card. */
  uso.tilesOf = (show) => ({ both: 2, inputs: uso.boot.against ? 4 : 3 })[show] ?? 1;

  const tile = ([kind, label, pictures]) =>
    uso.el(
      "span",
      { class: `tile ${kind} of-${Math.min(pictures.length, 4)}` },
      uso.el("span", { class: "frame" }, pictures),
      label && uso.el("span", { class: "label" }, label),
    );

  /** A file's name without the ending of an image. */
  uso.stem = (name) => name.replace(/\.(png|jpe?g|webp|gif|tiff?|bmp|avif|heic)$/i, "") || name;

  /** The names of a row's content and styles; its prompt if it has none of them. */
  uso.namesOf = (row) => {
    const names = [row.content && uso.stem(row.content.name), row.styles.map((style) => uso.stem(style.name)).join(" + ")];
    return names.filter(Boolean).join(" × ") || row.prompt || "no prompt";
  };

  /** The number that orders the rows, or the first score. */
  const figure = (row, order) => {
    const column = uso.boot.numbers[parseInt(order, 10)] ?? uso.boot.numbers.find((one) => one.kind === "score");
    const value = column && uso.valueOf(row, column);
    return typeof value === "number" ? `${column.name} ${uso.number(value)}` : "";
  };

  /** A row's number in a column of numbers; undefined if it has none. */
  uso.valueOf = (row, column) => {
    if (column.kind === "score") return row.scores?.[column.of];
    if (column.kind === "own") return row.own[column.of];
    if (column.kind === "time") {
      const times = Object.values(row.timings ?? {});
      return times.length ? times.reduce((one, other) => one + other) / 1000 : undefined;
    }
    return row.against?.distances?.find((one) => typeof one === "number");
  };

  /** Three buttons that mark a row; they show its marks, too. */
  uso.markButtons = (row) => {
    const box = uso.el("div", { class: "marks" });
    for (const mark of uso.marks.names) {
      const [symbol, word] = SYMBOLS[mark];
      const toggle = () => uso.marks.toggle(mark, [row.key]);
      box.append(uso.el("button", { type: "button", class: `mark ${mark}`, tabindex: -1, "aria-label": `${word} ${row.id}`, title: word, onclick: toggle }, symbol));
    }
    return box;
  };

  /** Shows the marks of a row on its card or in its details. */
  uso.showMarks = (element, key) => {
    for (const mark of uso.marks.names) {
      const on = uso.marks.has(mark, key);
      element.classList.toggle(`is-${mark}`, on);
      element.querySelector(`.mark.${mark}`)?.setAttribute("aria-pressed", on);
    }
  };

  /** Fills a card; its button `.open` covers all of it but the marks. */
  uso.fillCard = (card, row, state, open) => {
    const prompt = row.prompt && uso.namesOf(row) !== row.prompt ? `\n${row.prompt}` : "";
    card.classList.toggle("is-failed", Boolean(row.error));
    card.title = `${row.id}\n${uso.namesOf(row)}${prompt}`;
    card.replaceChildren(
      uso.el("div", { class: "tiles" }, TILES[state.show](row).map(tile)),
      uso.el(
        "div",
        { class: "caption" },
        uso.el(
          "span",
          { class: "line" },
          uso.el("bdi", { class: "names" }, uso.namesOf(row)),
          uso.el("span", { class: "figure" }, row.flags ? "flagged" : figure(row, state.order)),
        ),
        uso.el("button", { type: "button", class: "open", tabindex: -1, onclick: open, "data-row": row.number }, uso.el("bdi", {}, row.id)),
      ),
      uso.markButtons(row),
    );
    uso.showMarks(card, row.key);
  };
})();
