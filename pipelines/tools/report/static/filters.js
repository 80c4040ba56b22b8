/* Filters: in the address, so that a view can be linked to; in the form; and applied to the rows. */
"use strict";

(() => {
  const COMPARISONS = ["same", "different", "only_this", "only_other", "neither", "absent"];
  const PLAIN = ["q", "status", "style", "compare", "marks", "order", "show"];
  const OF_A_COLUMN = /^(pick|text|min|max):/;
  const isFilter = (name) => PLAIN.includes(name) || OF_A_COLUMN.test(name);

  /** What to show. `values` has the filters by name: `q`, …, `pick:COLUMN`, `text:COLUMN`, `min:COLUMN`, `max:COLUMN`. */
  uso.stateOf = (entries, page, open) => {
    const values = new Map();
    for (const [name, value] of entries) if (isFilter(name) && value) values.set(name, value);
    const show = ["results", "both", "inputs"].includes(values.get("show")) ? values.get("show") : uso.defaultShow;
    return { values, page, open, show, order: values.get("order") ?? "", get: (name) => values.get(name) ?? "" };
  };

  uso.defaultShow = uso.boot.against ? "both" : "results";

  /** Reads the filters from the address. */
  uso.readAddress = () => {
    const asked = new URLSearchParams(location.hash.startsWith("#?") ? location.hash.slice(2) : "");
    const page = Math.max(0, (parseInt(asked.get("page"), 10) || 1) - 1);
    return uso.stateOf(asked, page, asked.has("row") ? parseInt(asked.get("row"), 10) - 1 : undefined);
  };

  /** Writes the filters to the address, without an entry in the browser's history. */
  uso.writeAddress = (state) => {
    const asked = new URLSearchParams([...state.values]);
    if (state.show === uso.defaultShow) asked.delete("show");
    if (state.page) asked.set("page", state.page + 1);
    if (state.open !== undefined) asked.set("row", state.open + 1);
    const text = asked.toString();
    const address = text ? `#?${text}` : location.pathname + location.search;
    if (text || location.hash) history.replaceState(null, "", address);
  };

  /** Writes the filters to the form. */
  uso.writeForm = (form, state) => {
    for (const control of form.elements)
      if (isFilter(control.name)) control.value = control.name === "show" ? state.show : state.get(control.name);
  };

  /** Reads the filters from the form. */
  uso.readForm = (form) => uso.stateOf(new FormData(form), 0);

  const ranges = async (state) => {
    const tests = [];
    for (const [index, { name }] of uso.boot.numbers.entries()) {
      const [min, max] = [state.get(`min:${name}`), state.get(`max:${name}`)];
      if (!min && !max) continue;
      const values = await uso.numbers(index);
      const least = min ? Number(min) : -Infinity;
      const most = max ? Number(max) : Infinity;
      tests.push((row) => values[row] >= least && values[row] <= most);
    }
    return tests;
  };

  const picks = async (state, facets) => {
    const tests = [];
    for (const [index, { name, values }] of facets.picks.entries()) {
      const wanted = state.get(`pick:${name}`);
      if (!wanted) continue;
      const code = await uso.numbersOf(`pick-${index}`);
      const number = wanted === "none" ? 0 : values.findIndex((one) => `=${one.text}` === wanted) + 1 || -1;
      tests.push((row) => code[row] === number);
    }
    return tests;
  };

  const words = (text) => text.toLowerCase().split(/\s+/).filter(Boolean);

  /** Tests of texts, each of which reads the texts of all rows. */
  const texts = async (state, progress, isStale) => {
    const own = uso.boot.texts.map((name, index) => [(...all) => uso.ownTexts(index, ...all), state.get(`text:${name}`)]);
    const tests = [];
    for (const [read, asked] of [[uso.searched, state.get("q")], ...own]) {
      const wanted = words(asked);
      if (!wanted.length) continue;
      const found = new Uint8Array(uso.boot.rows);
      const look = (text, row) => {
        if (wanted.every((word) => text.includes(word))) found[row] = 1;
      };
      await read(look, progress, isStale);
      tests.push((row) => found[row] === 1);
    }
    return tests;
  };

  const ofStatus = async (status, facets) => {
    if (status === "flagged") {
      const flagged = facets.flagged && (await uso.numbersOf("flagged"));
      return (row) => Boolean(flagged && flagged[row]);
    }
    const codes = await uso.numbersOf("code");
    if (status === "completed") return (row) => codes[row] === 0;
    if (status === "failed") return (row) => codes[row] !== 0;
    const wanted = facets.codes.indexOf(status);
    return (row) => codes[row] === wanted;
  };

  const plain = async (state, facets) => {
    const tests = [];
    if (state.get("status")) tests.push(await ofStatus(state.get("status"), facets));
    if (state.get("style")) {
      const style = facets.styles.findIndex((one) => one.uri === state.get("style"));
      const having = (await uso.styleSets()).map((set) => set.has(style));
      const sets = await uso.numbersOf("set");
      tests.push((row) => having[sets[row]]);
    }
    if (state.get("compare") && uso.boot.against) {
      const wanted = COMPARISONS.indexOf(state.get("compare"));
      const comparisons = await uso.numbersOf("comparison");
      tests.push((row) => comparisons[row] === wanted);
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
    if (![...state.values.keys()].some((name) => name !== "show")) return null;
    const facets = await uso.facets();
    const tests = [...(await plain(state, facets)), ...(await picks(state, facets)), ...(await ranges(state))];
    const marks = state.get("marks");
    if (marks === "unmarked" || uso.marks.names.includes(marks)) tests.push(await uso.marks.test(marks));
    tests.push(...(await texts(state, progress, isStale)));
    const rows = [];
    for (let row = 0; row < uso.boot.rows; row += 1) if (tests.every((test) => test(row))) rows.push(row);
    return ordered(rows, state.order);
  };
})();
