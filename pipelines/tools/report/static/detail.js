/* The row details: one row, large, with its whole record. */
"use strict";

(() => {
  const term = (name, value) => [uso.el("dt", {}, uso.el("bdi", {}, name)), uso.el("dd", {}, value)];

  const text = (value) => uso.el("bdi", {}, typeof value === "number" ? String(value) : `${value}`);

  const whole = (image, alt) => uso.picture([image.full, image.thumb], alt, image.why ?? image.uri, false);

  const sources = (image) => [image.full, image.thumb];

  const distance = (value) =>
    uso.el("p", { class: "note distance" }, `PSNR: ${uso.distance(value) ?? "not measured"}`);

  const results = (row) => {
    const there = row.against?.images ?? [];
    return row.images.flatMap((image, index) => {
      const alt = `result of ${row.id}`;
      const other = there[index];
      const comparable = other && (other.full || other.thumb) && (image.full || image.thumb);
      if (comparable) return [uso.slider(sources(image), sources(other), alt), distance(row.against.distances[index])];
      const picture = whole(image, alt);
      return image.full ? uso.el("a", { href: image.full, class: "whole", target: "_blank", rel: "noopener" }, picture) : picture;
    });
  };

  const onlyThere = (row) =>
    row.images.length
      ? []
      : (row.against?.images ?? []).map((image) =>
          uso.el("figure", { class: "there" }, whole(image, `the other result of ${row.id}`), uso.el("figcaption", {}, "there")),
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

  const own = (row) => {
    const entries = Object.entries(row.own);
    if (!entries.length) return undefined;
    return uso.el("section", {}, uso.el("h3", {}, "Your columns"), uso.el("dl", { class: "facts" }, entries.flatMap(([name, value]) => term(name, text(value)))));
  };

  /**
   * Shows a row in the dialog.
   * `steps` has functions that show the previous and the next row, if there are such rows.
   */
  uso.showDetail = (row, steps) => {
    const dialog = uso.byId("detail");
    const bar = uso.el(
      "div",
      { class: "bar" },
      uso.el("h2", { id: "detail-title", tabindex: -1 }, uso.el("bdi", {}, row.id)),
      uso.stepButton("←", "Previous", steps.previous, steps.previous, "ArrowLeft"),
      uso.stepButton("→", "Next", steps.next, steps.next, "ArrowRight"),
      uso.el("button", { type: "button", class: "plain", onclick: () => dialog.close(), "aria-keyshortcuts": "Escape" }, "Close"),
    );
    const body = uso.el(
      "div",
      { class: "detail" },
      uso.el("div", { class: "large" }, results(row), onlyThere(row), failure(row.error, ""), failure(row.against?.error, "there, ")),
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
        own(row),
        facts(row),
      ),
    );
    dialog.replaceChildren(bar, body);
    dialog.onkeydown = (event) => {
      if (event.target.matches("input") || event.ctrlKey || event.metaKey || event.altKey) return;
      const step = { ArrowLeft: steps.previous, ArrowRight: steps.next }[event.key];
      if (step) {
        event.preventDefault();
        step();
      }
    };
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    uso.byId("detail-title").focus();
  };
})();
