/* Makes elements from plain values. Text stays text: nothing here parses HTML. */
"use strict";

var uso = {};

/** An element with properties and children; strings become text, missing children are dropped. */
uso.el = (tag, properties = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || (value === false && !name.startsWith("aria-"))) continue;
    if (name === "class") element.className = value;
    else if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true && !name.startsWith("aria-") ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== undefined && child !== null && child !== false));
  return element;
};

/** A button with a text, or with a symbol and a name for it. */
uso.button = (text, onclick, properties = {}) =>
  uso.el("button", { type: "button", class: "plain", onclick, ...properties }, text);

/** A field of a form under its name. */
uso.field = (name, control, kind) => uso.el("label", { class: kind }, uso.el("bdi", {}, name), control);

/** A list to choose from; `options` are pairs of a value and its text. */
uso.select = (name, options, properties = {}) =>
  uso.el("select", { name, ...properties }, options.map(([value, text]) => uso.el("option", { value }, text)));

/** True if a key press belongs to a field or to the browser, and not to the page. */
uso.isTyping = (event) =>
  event.ctrlKey || event.metaKey || event.altKey ||
  (event.target.closest("input, select, textarea") !== null && event.target.type !== "checkbox");

uso.byId = (id) => document.getElementById(id);

uso.count = (value) => value.toLocaleString("en");

uso.number = (value) =>
  Number.isInteger(value) ? uso.count(value) : Number(value.toPrecision(4)).toString();

/** A link that opens in a new tab; plain text if it is not an http(s) URL. */
uso.link = (href, text) =>
  href && /^https?:\/\//i.test(href)
    ? uso.el("a", { href, target: "_blank", rel: "noopener noreferrer", dir: "auto" }, text)
    : uso.el("bdi", {}, text);

/** A button to the previous or next item; a phone shows only its arrow. */
uso.stepButton = (arrow, word, onclick, enabled, key) => {
  const shown = uso.el("span", { class: "word" }, word);
  const spread = arrow === "←" ? [`${arrow} `, shown] : [shown, ` ${arrow}`];
  return uso.el(
    "button",
    { type: "button", class: "plain", "aria-label": word, "aria-keyshortcuts": key, disabled: !enabled, onclick },
    spread,
  );
};

/** Buttons to the previous and the next page, and a field for any page. */
uso.pager = (nav, page, count, go) => {
  nav.hidden = count < 2;
  const jump = (event) => {
    const wanted = parseInt(event.target.value, 10);
    if (wanted >= 1 && wanted <= count) go(wanted - 1);
    else event.target.value = page + 1;
  };
  const to = (arrow, word, target) =>
    uso.stepButton(arrow, word, () => go(target), target >= 0 && target < count);
  nav.replaceChildren(
    to("←", "Previous", page - 1),
    uso.el(
      "label",
      {},
      "Page ",
      uso.el("input", { type: "number", min: 1, max: count, value: page + 1, onchange: jump }),
      ` of ${uso.count(count)}`,
    ),
    to("→", "Next", page + 1),
  );
};

/** Pictures made while `wait` is true are not loaded before `uso.startPictures`. */
uso.pictures = { wait: false, waiting: new Map() }; // image → its first source

/** Loads the pictures that wait, unless they have left the page. */
uso.startPictures = () => {
  for (const [image, source] of uso.pictures.waiting) if (image.isConnected) image.src = source;
  uso.pictures.waiting.clear();
};

/**
 * A picture from the first of `sources` that loads.
 * If none loads, the text `why` takes its place.
 */
uso.picture = (sources, alt, why, lazy = true) => {
  const left = sources.filter(Boolean);
  const missing = () => uso.el("span", { class: "missing", title: why }, why || "no picture");
  if (!left.length) return missing();
  const image = uso.el("img", { alt, loading: lazy ? "lazy" : "eager", decoding: "async" });
  image.addEventListener("error", () => {
    left.shift();
    if (left.length) image.src = left[0];
    else image.replaceWith(missing());
  });
  if (lazy && uso.pictures.wait) uso.pictures.waiting.set(image, left[0]);
  else image.src = left[0];
  return image;
};
