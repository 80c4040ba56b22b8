/* Loads the data files; they are scripts, because a page on disk cannot load anything else. */
"use strict";

uso.boot = JSON.parse(uso.byId("boot").textContent);

(() => {
  const waiting = new Map(); // name → callback for the value of its script
  const loaded = new Map(); // name → promise of its value
  const recent = []; // names of row files, the last used one at the end
  const MOST_ROW_FILES = 60;
  const AT_A_TIME = 6;

  /** Called by each data file. */
  uso.take = (name, value) => {
    const resolve = waiting.get(name);
    waiting.delete(name);
    if (resolve) resolve(value);
  };

  const load = (name) => {
    if (!loaded.has(name)) {
      loaded.set(
        name,
        new Promise((resolve, reject) => {
          waiting.set(name, resolve);
          const script = uso.el("script", { src: `${uso.boot.data}/${name}.js` });
          script.addEventListener("load", () => script.remove());
          script.addEventListener("error", () => {
            script.remove();
            loaded.delete(name);
            reject(new Error(`${name}.js is missing; make the report again, or reload this page`));
          });
          document.head.append(script);
        }),
      );
    }
    return loaded.get(name);
  };

  const rowFiles = new Map(); // name → value of a row file that is here
  const rowFile = (name) => {
    const known = recent.indexOf(name);
    if (known >= 0) recent.splice(known, 1);
    recent.push(name);
    if (recent.length > MOST_ROW_FILES) {
      rowFiles.delete(recent[0]);
      loaded.delete(recent.shift());
    }
    const file = load(name);
    if (!rowFiles.has(name)) file.then((value) => rowFiles.set(name, value), () => {});
    return file;
  };

  const nameOf = (number) => `rows-${Math.floor(number / uso.boot.rowsPerFile)}`;

  const rowIn = (file, number) => {
    const row = file.rows[number % uso.boot.rowsPerFile];
    const styles = row.styles.map((index) => file.refs[index]);
    const content = row.content === undefined ? undefined : file.refs[row.content];
    return { ...row, number, styles, content, key: row.key ?? row.id };
  };

  /** One row, with its references in place of their numbers; its `key` is the id as in the records. */
  uso.row = async (number) => rowIn(await rowFile(nameOf(number)), number);

  /** The same row if its file is here; else undefined, and `then` is called when it is. */
  uso.rowNow = (number, then, failed) => {
    const file = rowFiles.get(nameOf(number));
    if (file) return rowIn(file, number);
    rowFile(nameOf(number)).then(then, failed);
    return undefined;
  };

  const decoded = (base64, Type) =>
    new Type(Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)).buffer);

  let facets;
  /** Failure code, styles and comparison of all rows, as numbers. */
  uso.facets = () => {
    facets ??= load("facets").then((raw) => ({
      codes: raw.codes,
      styles: raw.styles,
      sets: raw.sets.map((set) => new Set(set)),
      picks: raw.picks.map((pick) => ({ ...pick, code: decoded(pick.code, Uint8Array) })),
      code: decoded(raw.code, Uint16Array),
      set: decoded(raw.set, Uint32Array),
      flagged: raw.flagged && decoded(raw.flagged, Uint8Array),
      comparison: raw.comparison && decoded(raw.comparison, Uint8Array),
    }));
    facets.catch(() => (facets = undefined));
    return facets;
  };

  const columns = new Map();
  /** One column of numbers of all rows; NaN for a row without a number. */
  uso.numbers = async (index) => {
    if (!columns.has(index))
      columns.set(index, decoded(await load(`numbers-${index}`), Float64Array));
    return columns.get(index);
  };

  /**
   * Calls `each(text, row number)` for all rows, file by file; `progress` gets 0 to 1.
   * `name` is that of the files: `texts`, `ids`, or `own-` and the number of a column.
   */
  uso.texts = async (name, each, progress = () => {}, isStale = () => false) => {
    const files = Math.ceil(uso.boot.rows / uso.boot.textsPerFile);
    for (let file = 0; file < files && !isStale(); file += 1) {
      for (let ahead = file; ahead < Math.min(file + AT_A_TIME, files); ahead += 1)
        load(`${name}-${ahead}`).catch(() => {});
      const texts = await load(`${name}-${file}`);
      texts.forEach((text, index) => each(text, file * uso.boot.textsPerFile + index));
      progress((file + 1) / files);
    }
  };

  uso.matrixPage = (number) => load(`matrix-${number}`);
})();
