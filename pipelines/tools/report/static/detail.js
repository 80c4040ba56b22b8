/* The row details: one row, large, with its whole record. */
"use strict";

(() => {
  const term = (name, value, meaning) => [uso.el("dt", { title: meaning }, uso.el("bdi", {}, name)), uso.el("dd", {}, value)];

  const text = (value) => uso.el("bdi", {}, typeof value === "number" ? String(value) : `${value}`);

  let mode = ""; // name of the comparison, kept from row to row
  let viewers = [];

  const sources = (image) => [image.full, image.thumb];

  const distance = (value) =>
    uso.el("p", { class: "note distance" }, `PSNR: ${uso.distance(value) ?? "not measured"}`);

  /** The pictures under which a result can lie, by the name of the comparison. */
  const others = (row, index) => {
    const found = new Map();
    const other = row.against?.images?.[index];
    if (other && (other.full || other.thumb))
      found.set("other run", { label: "there", sources: sources(other), alt: `result of ${row.id}, there`, why: other.why ?? other.uri });
    if (row.content?.thumb)
      found.set("content", { label: "content", sources: [row.content.thumb], alt: `content image: ${row.content.name}`, why: row.content.why });
    return found;
  };

  /** The comparisons of a row, in the order of the key `c`. */
  const comparisonsOf = (row) => {
    const names = new Set(row.images.flatMap((_, index) => [...others(row, index).keys()]));
    const all = ["other run", "content"].filter((name) => names.has(name));
    return row.images.length ? (uso.boot.against ? [...all, "result"] : ["result", ...all]) : [];
  };

  const results = (row, comparison) =>
    row.images.flatMap((image, index) => {
      const alt = `result of ${row.id}`;
      const picture = { label: comparison === "other run" ? "here" : "result", sources: sources(image), alt, why: image.why ?? image.uri };
      const other = others(row, index).get(comparison);
      const viewer = comparison === "other run" && other ? uso.viewer(other, picture) : uso.viewer(picture, other);
      viewers.push(viewer);
      const link = image.full && uso.el("a", { href: image.full, class: "whole", target: "_blank", rel: "noopener" }, "Open the file");
      const apart = comparison === "other run" ? distance(row.against.distances[index]) : undefined;
      return [viewer, uso.el("div", { class: "below" }, apart, link)];
    });

  const onlyThere = (row) =>
    row.images.length
      ? []
      : (row.against?.images ?? []).map((image) =>
          uso.el("figure", { class: "there" }, uso.picture(sources(image), `the other result of ${row.id}`, image.why ?? image.uri, false), uso.el("figcaption", {}, "there")),
        );

  const reference = (one, label) =>
    uso.el(
      "figure",
      {},
      uso.picture([one.thumb], `${label}: ${one.name}`, one.why ?? "no thumbnail"),
      uso.el("figcaption", {}, `${label}: `, uso.link(one.link, one.name)),
    );

  const styleLabel = (row, index) => {
    const weight = row.style_weights?.[index] ?? 1;
    return weight === 1 ? "style" : `style × ${uso.number(weight)}`;
  };

  const failure = (error, where) =>
    error &&
    uso.el(
      "div",
      { class: "error" },
      uso.el("strong", {}, error.code),
      uso.el("span", { class: "note" }, ` ${where}${error.stage ? `in ${error.stage}` : ""}${error.retryable ? ", retried by the next run" : ""}`),
      uso.el("p", { dir: "auto" }, error.message),
    );

  const facts = (row) => {
    const known = uso.boot.facts.filter(([name]) => row[name] !== undefined);
    const terms = known.flatMap(([name, title]) => term(title, text(row[name])));
    const times = Object.entries(row.timings ?? {}).map(([stage, ms]) => ms < 1000 ? `${stage} ${Math.round(ms)} ms` : `${stage} ${uso.number(ms / 1000)} s`);
    if (times.length) terms.push(...term("time", times.join(", ")));
    const flagged = (row.flags ?? []).flatMap((flag, index) => (flag ? [`image ${index + 1}`] : []));
    if (flagged.length) terms.push(...term("flagged", flagged.join(", ")));
    for (const image of row.images) terms.push(...term("image", text(image.uri)));
    return uso.el("dl", { class: "facts" }, terms);
  };

  const listed = (title, entries) =>
    entries.length > 0 &&
    uso.el("section", {}, uso.el("h3", {}, title), uso.el("dl", { class: "facts" }, entries.flatMap(([name, value, meaning]) => term(name, text(value), meaning))));

  /** Scores under their titles; a score that no row has is not listed. */
  const scores = (row) => {
    const columns = uso.boot.numbers.filter((column) => column.kind === "score" && row.scores);
    return columns.map((column) => [column.name, typeof row.scores[column.of] === "number" ? uso.number(row.scores[column.of]) : "none", column.meaning]);
  };

  const comparisonIn = (all) => (all.includes(mode) ? mode : all[0]);

  const LABELS = { result: "result", content: "content ↔ result", "other run": "here ↔ there" };

  /** Buttons for the comparisons that the row allows. */
  const modes = (all, choose) =>
    all.length > 1 &&
    uso.el(
      "div",
      { class: "modes", role: "group", "aria-label": "Compare" },
      all.map((name) =>
        uso.button(LABELS[name], () => choose(name), { "aria-pressed": name === comparisonIn(all) }),
      ),
    );

  const side = (row) =>
    uso.el(
      "div",
      { class: "side" },
      row.prompt && uso.el("p", { class: "prompt", dir: "auto" }, row.prompt),
      uso.el(
        "div",
        { class: "references" },
        row.content && reference(row.content, "content"),
        row.styles.map((style, index) => reference(style, styleLabel(row, index))),
      ),
      listed("Scores", scores(row)),
      listed("Your columns", Object.entries(row.own)),
      facts(row),
    );

  const bar = (dialog, row, steps) =>
    uso.el(
      "div",
      { class: "bar" },
      uso.el("h2", { id: "detail-title", tabindex: -1 }, uso.el("bdi", {}, row.id)),
      uso.markButtons(row),
      uso.stepButton("←", "Previous", steps.previous, steps.previous, "ArrowLeft"),
      uso.stepButton("→", "Next", steps.next, steps.next, "ArrowRight"),
      uso.button("Close", () => dialog.close(), { "aria-keyshortcuts": "Escape" }),
    );

  const KEYS = {
    ArrowLeft: (row, steps) => steps.previous?.(),
    ArrowRight: (row, steps) => steps.next?.(),
    " ": (row) => uso.marks.toggle("selected", [row.key]),
    s: (row) => uso.marks.toggle("starred", [row.key]),
    x: (row) => uso.marks.toggle("rejected", [row.key]),
    u: (row) => uso.marks.free([row.key]),
    c: (row, steps, choose) => choose(),
    z: () => viewers.forEach((viewer) => viewer.toggleZoom()),
    "+": () => viewers.forEach((viewer) => viewer.zoomBy(1)),
    "=": () => viewers.forEach((viewer) => viewer.zoomBy(1)),
    "-": () => viewers.forEach((viewer) => viewer.zoomBy(-1)),
  };

  let shown; // the row in the dialog

  /**
   * Shows a row in the dialog.
   * `steps` has functions that show the previous and the next row, if there are such rows.
   */
  uso.showDetail = (row, steps) => {
    const dialog = uso.byId("detail");
    const all = comparisonsOf(row);
    const large = uso.el("div", { class: "large" });
    const show = () => {
      viewers = [];
      large.replaceChildren(
        ...[modes(all, choose), results(row, comparisonIn(all)), onlyThere(row), failure(row.error, ""), failure(row.against?.error, "there, ")].flat().filter(Boolean),
      );
    };
    /** Shows a comparison by its name, or the next one. */
    const choose = (name = all[(all.indexOf(comparisonIn(all)) + 1) % all.length]) => {
      mode = name ?? mode;
      show();
      if (!dialog.contains(document.activeElement)) uso.byId("detail-title").focus(); // its button is gone
    };
    shown = row;
    dialog.replaceChildren(bar(dialog, row, steps), uso.el("div", { class: "detail" }, large, side(row)));
    show();
    uso.showMarks(dialog, row.key);
    dialog.onkeydown = (event) => {
      if (uso.isTyping(event) || (event.key === " " && event.target.closest("button, a"))) return;
      if (!Object.hasOwn(KEYS, event.key)) return;
      event.preventDefault();
      KEYS[event.key](row, steps, choose);
    };
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    uso.byId("detail-title").focus();
  };

  uso.marks.listen(() => {
    if (shown) uso.showMarks(uso.byId("detail"), shown.key);
  });
})();
