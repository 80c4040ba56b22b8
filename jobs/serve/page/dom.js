/* Makes elements from plain values. Text stays text: nothing here parses HTML. */

export const byId = (id) => document.getElementById(id);

/** An element with properties and children; strings become text, missing children are dropped. */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") element.className = value;
    else if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== undefined && child !== null));
  return element;
}

/** Show a message in its place, or hide the place. */
export function notice(id, text) {
  const place = byId(id);
  place.textContent = text ?? "";
  place.hidden = !text;
}

/** Tell people who use a screen reader. */
export function announce(text) {
  byId("announced").textContent = text;
}
