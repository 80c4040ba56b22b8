/* Cards: one row each, with content, styles and results side by side. */
"use strict";

(() => {
  const tile = (kind, label, pictures) =>
    uso.el(
      "figure",
      { class: `tile ${kind} of-${Math.min(pictures.length, 4)}` },
      uso.el("div", { class: "frame" }, pictures),
      uso.el("figcaption", {}, label),
    );

  const nothing = (text) => [uso.el("span", { class: "nothing" }, text)];

  const thumbnailsNote = () =>
    uso.boot.thumbnails === null ? "no thumbnail" : `no thumbnail: more than ${uso.count(uso.boot.thumbnails)} rows in`;

  const references = (all, what) =>
    all.length
      ? all.map((one) => uso.picture([one.thumb], `${what}: ${one.name}`, one.why ?? thumbnailsNote()))
      : nothing(`no ${what}`);

  const failure = (error) => [
    uso.el(
      "span",
      { class: "failure" },
      uso.el("strong", {}, error.code),
      uso.el("bdi", {}, error.message),
    ),
  ];

  const generated = (images, error, what) => {
    if (error) return failure(error);
    return images.length
      ? images.slice(0, 4).map((one) => uso.picture([one.thumb, one.full], what, one.why ?? one.uri))
      : nothing("no image");
  };

  /** The pictures of a row: content, styles, results. */
  uso.strip = (row) => {
    const tiles = [
      tile("content", "content", references(row.content ? [row.content] : [], "content image")),
      tile("style", row.styles.length > 1 ? `${row.styles.length} styles` : "style", references(row.styles, "style image")),
      tile("result", uso.boot.against ? "here" : "result", generated(row.images, row.error, `result of ${row.id}`)),
    ];
    if (uso.boot.against) {
      const there = row.against
        ? generated(row.against.images, row.against.error, `the other result of ${row.id}`)
        : nothing("no such row");
      const distances = (row.against?.distances ?? []).slice(0, 4).map(uso.distance);
      tiles.push(tile("result", ["there", ...distances.filter(Boolean)].join(" · "), there));
    }
    return uso.el("div", { class: `strip tiles-${tiles.length}` }, tiles);
  };

  const facts = (row) => {
    const parts = row.flags ? ["flagged"] : [];
    if (row.images.length && row.width) parts.push(`${row.width} × ${row.height}`);
    if (row.images.length > 1) parts.push(`${row.images.length} images`);
    if (row.seed !== undefined) parts.push(`seed ${row.seed}`);
    for (const { name } of uso.boot.numbers.slice(0, 2))
      if (typeof row.own[name] === "number") parts.push(`${name} ${uso.number(row.own[name])}`);
    return parts.join(" · ");
  };

  /** A card; its only button covers all of it and opens the row. */
  uso.card = (row, open) =>
    uso.el(
      "li",
      { class: row.error ? "card is-failed" : "card" },
      uso.strip(row),
      uso.el(
        "div",
        { class: "about" },
        uso.el(
          "h3",
          {},
          uso.el("button", { type: "button", class: "open", onclick: open, "data-row": row.number }, uso.el("bdi", {}, row.id)),
        ),
        row.prompt
          ? uso.el("p", { class: "prompt", dir: "auto" }, row.prompt)
          : uso.el("p", { class: "prompt none" }, "no prompt"),
        uso.el("p", { class: "facts", dir: "auto" }, facts(row)),
      ),
    );
})();
