/* Marks: the rows that someone has selected, starred or rejected; kept in this browser only. */
"use strict";

(() => {
  // Reports on one disk share their storage, so each has a key of its own.
  const KEY = `uso-report/${uso.boot.key}`;
  const MARKS = ["selected", "starred", "rejected"];
  const sets = Object.fromEntries(MARKS.map((mark) => [mark, new Set()])); // ids
  const listeners = [];

  const read = () => {
    let kept = {};
    try {
      kept = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    } catch {
      // Storage is switched off, or its content is not ours: the marks begin anew.
    }
    for (const mark of MARKS) {
      const ids = Array.isArray(kept?.[mark]) ? kept[mark] : [];
      sets[mark] = new Set(ids.filter((id) => typeof id === "string"));
    }
  };

  const write = () => {
    const kept = Object.fromEntries(MARKS.map((mark) => [mark, [...sets[mark]]]));
    try {
      localStorage.setItem(KEY, JSON.stringify(kept));
      uso.marks.isKept = true;
    } catch {
      uso.marks.isKept = false; // the page says so
    }
  };

  const changed = () => {
    write();
    for (const listener of listeners) listener();
  };

  const put = (mark, id, on) => {
    if (on) sets[mark].add(id);
    else sets[mark].delete(id);
    // A row is starred or rejected, never both.
    if (on && mark !== "selected") sets[mark === "starred" ? "rejected" : "starred"].delete(id);
  };

  uso.marks = {
    isKept: true,
    names: MARKS,
    has: (mark, id) => sets[mark].has(id),
    count: (mark) => sets[mark].size,
    ids: (mark) => [...sets[mark]],
    /** Marks the rows with these ids, or takes the mark from them. */
    set: (mark, ids, on) => {
      for (const id of ids) put(mark, id, on);
      changed();
    },
    /** Takes all marks from the rows with these ids. */
    free: (ids) => {
      for (const mark of MARKS) for (const id of ids) sets[mark].delete(id);
      changed();
    },
    /** Takes all marks from all rows, or only one of the marks. */
    clear: (marks = MARKS) => {
      for (const mark of marks) sets[mark].clear();
      changed();
    },
    /** Marks the rows, or takes the mark from them if all have it. */
    toggle: (mark, ids) => uso.marks.set(mark, ids, !ids.every((id) => sets[mark].has(id))),
    listen: (listener) => listeners.push(listener),
    /** A function that tells whether a row, given by its number, has the mark; `unmarked`: no star, no rejection. */
    test: async (name) => {
      const rows = new Uint8Array(uso.boot.rows);
      const fits =
        name === "unmarked"
          ? (id) => !sets.starred.has(id) && !sets.rejected.has(id)
          : (id) => sets[name].has(id);
      await uso.ids((id, row) => (rows[row] = fits(id) ? 1 : 0));
      return (row) => rows[row] === 1;
    },
  };

  read();
  // Another tab has changed them.
  addEventListener("storage", (event) => {
    if (event.key !== KEY) return;
    read();
    for (const listener of listeners) listener();
  });
})();
