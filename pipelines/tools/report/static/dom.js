/* Elements from plain values. Text only ever becomes text: nothing here parses HTML. */
"use strict";

var uso = {};

/** An element with properties and children; a string child is text, a missing one is left out. */
uso.el = (tag, properties = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") element.className = value;
    else if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== undefined && child !== null));
  return element;
};

uso.byId = (id) => document.getElementById(id);

uso.count = (value) => value.toLocaleString("en");

uso.number = (value) =>
  Number.isInteger(value) ? uso.count(value) : Number(value.toPrecision(4)).toString();

/** A link to the web, in a tab of its own; text where it is none. */
uso.link = (href, text) =>
  href && /^https?:\/\//i.test(href)
    ? uso.el("a", { href, target: "_blank", rel: "noopener noreferrer", dir: "auto" }, text)
    : uso.el("bdi", {}, text);

/** A button to what comes before or after; a phone shows its arrow only. */
uso.stepButton = (arrow, word, onclick, enabled, key) => {
  const shown = uso.el("span", { class: "word" }, word);
  const spread = arrow === "←" ? [`${arrow} `, shown] : [shown, ` ${arrow}`];
  return uso.el(
    "button",
    { type: "button", class: "plain", "aria-label": word, "aria-keyshortcuts": key, disabled: !enabled, onclick },
    spread,
  );
};

/**
 * A picture, whole or small, with what else to try if it is not there.
 * `sources` are tried in their order; without any, `why` is shown.
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
  image.src = left[0];
  return image;
};
