/* Filters: in the address, so that a view can be linked to; in the form; and applied to the rows. */
"use strict";

(() => {
  const COMPARISONS = ["same", "different", "only_this", "only_other", "neither", "absent"];
  const NAMES = ["q", "status", "style", "compare", "number", "min", "max", "order", "size"];
  const DEFAULTS = { number: "0", size: "24" };

  const plain = (name) => DEFAULTS[name] ?? "";

  /** Reads the filters from the address. */
  uso.readAddress = () => {
    const asked = new URLSearchParams(location.hash.startsWith("#?") ? location.hash.slice(2) : "");
    const state = { page: Math.max(0, (parseInt(asked.get("page"), 10) || 1) - 1) };
    for (const name of NAMES) state[name] = asked.get(name) ?? plain(name);
    if (!["12", "24", "48", "96"].includes(state.size)) state.size = DEFAULTS.size;
    state.open = asked.has("row") ? parseInt(asked.get("row"), 10) - 1 : undefined;
    return state;
  };

  /** Writes the filters to the address, without an entry in the browser's history. */
  uso.writeAddress = (state) => {
    const asked = new URLSearchParams();
    for (const name of NAMES) if (state[name] !== plain(name)) asked.set(name, state[name]);
    if (state.page) asked.set("page", state.page + 1);
    if (state.open !== undefined) asked.set("row", state.open + 1);
    const text = asked.toString();
    const address = text ? `#?${text}` : location.pathname + location.search;
    if (text || location.hash.startsWith("#?")) history.replaceState(null, "", address);
  };

  /** Writes the filters to the form. */
  uso.writeForm = (form, state) => {
    for (const name of NAMES) if (form.elements[name]) form.elements[name].value = state[name];
  };

  /** Reads the filters from the form. */
  uso.readForm = (form) => {
    const state = { page: 0 };
    for (const name of NAMES) state[name] = form.elements[name]?.value ?? plain(name);
    return state;
  };

  const conditions = async (state) => {
    const facets = await uso.facets();
    const tests = [];
    if (state.status === "completed") tests.push((row) => facets.code[row] === 0);
    else if (state.status === "failed") tests.push((row) => facets.code[row] !== 0);
    else if (state.status === "flagged") tests.push((row) => Boolean(facets.flagged?.[row]));
    else if (state.status) {
      const code = facets.codes.indexOf(state.status);
      tests.push((row) => facets.code[row] === code);
    }
    if (state.style) {
      const style = facets.styles.findIndex((one) => one.uri === state.style);
      const having = facets.sets.map((set) => set.has(style));
      tests.push((row) => having[facets.set[row]]);
    }
    if (state.compare && facets.comparison) {
      const wanted = COMPARISONS.indexOf(state.compare);
      tests.push((row) => facets.comparison[row] === wanted);
    }
    if ((state.min || state.max) && uso.boot.numbers[state.number]) {
      const values = await uso.numbers(Number(state.number));
      const least = state.min === "" ? -Infinity : Number(state.min);
      const most = state.max === "" ? Infinity : Number(state.max);
      tests.push((row) => values[row] >= least && values[row] <= most);
    }
    return tests;
  };

  const ordered = async (rows, order) => {
    const index = parseInt(order, 10);
    if (!uso.boot.numbers[index]) return rows;
    const values = await uso.numbers(index);
    const sign = order.endsWith("d") ? -1 : 1;
    // Rows without a number are last in both orders.
    const key = (row) => (Number.isNaN(values[row]) ? Infinity : sign * values[row]);
    return rows.sort((one, other) => key(one) - key(other) || one - other);
  };

  /**
   * The numbers of the matching rows, in order; null for all rows, by id.
   * `progress` gets the searched share; `isStale` returns true if the answer is no longer needed.
   */
  uso.matching = async (state, progress, isStale) => {
    const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
    const facetted = state.status || state.style || state.compare || state.min || state.max;
    if (!words.length && !facetted && !state.order) return null;
    const tests = await conditions(state);
    const fits = (row) => tests.every((test) => test(row));
    let rows = [];
    if (words.length) {
      const look = (text, row) => {
        if (words.every((word) => text.includes(word)) && fits(row)) rows.push(row);
      };
      await uso.texts(look, progress, isStale);
    } else for (let row = 0; row < uso.boot.rows; row += 1) if (fits(row)) rows.push(row);
    if (state.order) rows = await ordered(rows, state.order);
    return rows;
  };

  /** Adds the styles to the form, when they are known. */
  uso.offerStyles = async (form, state) => {
    const { styles } = await uso.facets();
    const select = form.elements.style;
    const names = new Map();
    for (const { name } of styles) names.set(name, (names.get(name) ?? 0) + 1);
    const options = styles.map((style) => {
      const label = names.get(style.name) > 1 ? style.uri : style.name;
      return uso.el("option", { value: style.uri }, `${label} (${uso.count(style.rows)})`);
    });
    select.append(...options);
    select.value = state.style;
    uso.byId("style-label").hidden = !styles.length;
  };
})();
