/* Loads the data files; they are scripts, because a page on disk cannot load anything else. */
"use strict";

uso.boot = JSON.parse(uso.byId("boot").textContent);

(() => {
  const waiting = new Map(); // name → callback for the value of its script
  const loaded = new Map(); // name → promise of its value
  const recent = []; // numbers of row files, the last used one at the end
  const MOST_ROW_FILES = 60;
  const AT_A_TIME = 6;

  const bytesOf = (base64) =>
    Uint8Array.fromBase64 ? Uint8Array.fromBase64(base64) : Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));

  /** The content of a packed file. */
  const unpacked = (base64) => {
    if (!window.DecompressionStream) throw new Error("This browser cannot unpack the report: use Chrome 80, Firefox 113, Safari 16.4, or a newer one.");
    const stream = new Blob([bytesOf(base64)]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(stream);
  };

  const TYPES = { Uint8: Uint8Array, Uint16: Uint16Array, Uint32: Uint32Array, Float64: Float64Array };

  /** Numbers; whole ones with a scale stand for others, and the largest one for none. */
  const arrayOf = (buffer, { type, least, scale }) => {
    const values = new TYPES[type](buffer);
    if (scale === undefined) return values;
    const none = 2 ** (8 * values.BYTES_PER_ELEMENT) - 1;
    return Float64Array.from(values, (value) => (value === none ? NaN : (value + least) / scale));
  };

  const contentOf = async (base64, array) => {
    const content = unpacked(base64);
    return array ? arrayOf(await content.arrayBuffer(), array) : content.json();
  };

  /** Called by each data file; `array` tells how to read an array of numbers. */
  uso.unpack = (name, base64, array) => {
    const resolve = waiting.get(name);
    waiting.delete(name);
    if (resolve) resolve(contentOf(base64, array));
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

  /** The value of a row in a column of a file; undefined for none. */
  const cell = (column, index) => (column?.all === undefined ? column?.[index] ?? undefined : column.all);

  /** The values of a row in several columns, by name. */
  const cells = (columns, index) => {
    const values = {};
    for (const [name, column] of Object.entries(columns ?? {})) {
      const value = cell(column, index);
      if (value !== undefined) values[name] = value;
    }
    return values;
  };

  const fileOf = (number) => Math.floor(number / uso.boot.rowsPerFile);

  const idIn = (ids, number) => cell(ids.of, number % uso.boot.idsPerFile);

  const rowFiles = new Map(); // number → contents of the files of some rows that are here
  const rowFile = async (number) => {
    const ids = `ids-${Math.floor((number * uso.boot.rowsPerFile) / uso.boot.idsPerFile)}`;
    const [shown, texts, keys] = await Promise.all([load(`rows-${number}`), load(`texts-${number}`), load(ids)]);
    return { shown, texts, keys };
  };

  const keptRowFile = (number) => {
    const known = recent.indexOf(number);
    if (known >= 0) recent.splice(known, 1);
    recent.push(number);
    if (recent.length > MOST_ROW_FILES) {
      rowFiles.delete(recent[0]);
      loaded.delete(`rows-${recent.shift()}`);
    }
    const file = rowFile(number);
    if (!rowFiles.has(number)) file.then((value) => recent.includes(number) && rowFiles.set(number, value), () => {});
    return file;
  };

  const imagesIn = (images, index) => {
    const found = cell(images.of, index);
    if (typeof found !== "string") return found ?? [];
    return [{ uri: images.uri + found, full: images.full && images.full + found }];
  };

  const stylesIn = (texts, index) => [cell(texts.styles, index) ?? []].flat();

  const rowIn = ({ shown, texts, keys }, number) => {
    const index = number % uso.boot.rowsPerFile;
    const { timings, own, scores, images, ...plain } = shown;
    const key = idIn(keys, number);
    const content = cell(texts.content, index);
    return {
      ...cells(plain, index),
      id: cell(texts.id, index) ?? key,
      key,
      number,
      prompt: cell(texts.prompt, index),
      error: cell(texts.error, index),
      timings: cells(timings, index),
      own: cells(own, index),
      scores: scores && cells(scores, index),
      images: imagesIn(images, index),
      content: content === undefined ? undefined : texts.refs[content],
      styles: stylesIn(texts, index).map((style) => texts.refs[style]),
    };
  };

  /** One row, with its references in place of their numbers; its `key` is the id as in the records. */
  uso.row = async (number) => rowIn(await keptRowFile(fileOf(number)), number);

  /** The same row if its file is here; else undefined, and `then` is called when it is. */
  uso.rowNow = (number, then, failed) => {
    const file = rowFiles.get(fileOf(number));
    if (file) return rowIn(file, number);
    keptRowFile(fileOf(number)).then(then, failed);
    return undefined;
  };

  let facets;
  /** What the filters offer. */
  uso.facets = () => {
    facets ??= load("facets");
    facets.catch(() => (facets = undefined));
    return facets;
  };

  /** The combinations of styles, each as a set of numbers. */
  uso.styleSets = async () => (await load("sets")).map((set) => new Set(set));

  /** A number for each row: `code`, `set`, `flagged`, `comparison`, or `pick-` and its number. */
  uso.numbersOf = (name) => load(`of-${name}`);

  /** One column of numbers of all rows; NaN for a row without a number. */
  uso.numbers = (index) => load(`numbers-${index}`);

  /** Calls `each(content, number of its first row)` for all files of a name; `progress` gets 0 to 1. */
  const eachFile = async (name, size, each, progress, isStale) => {
    const files = Math.ceil(uso.boot.rows / size);
    for (let file = 0; file < files && !isStale(); file += 1) {
      for (let ahead = file; ahead < Math.min(file + AT_A_TIME, files); ahead += 1)
        load(`${name}-${ahead}`).catch(() => {});
      each(await load(`${name}-${file}`), file * size);
      progress((file + 1) / files);
    }
  };

  const always = () => false;

  /** Calls `each(id, row number)` for all rows, file by file. */
  uso.ids = (each) => {
    const look = (ids, first) => {
      const end = Math.min(first + uso.boot.idsPerFile, uso.boot.rows);
      for (let number = first; number < end; number += 1) each(idIn(ids, number), number);
    };
    return eachFile("ids", uso.boot.idsPerFile, look, () => {}, always);
  };

  /** Calls `each(text, row number)` for all rows with what a search looks at, in lower case. */
  uso.searched = async (each, progress = () => {}, isStale = always) => {
    const ids = [];
    await uso.ids((id, row) => (ids[row] = id));
    const look = (texts, first) => {
      const count = Math.min(uso.boot.rowsPerFile, uso.boot.rows - first);
      for (let index = 0; index < count; index += 1) {
        const content = cell(texts.content, index);
        const names = stylesIn(texts, index).map((style) => texts.refs[style].name);
        if (content !== undefined) names.push(texts.refs[content].name);
        const id = cell(texts.id, index) ?? ids[first + index];
        const all = [id, cell(texts.prompt, index), ...names, cell(texts.error, index)?.message ?? ""];
        each(all.join("\n").toLowerCase(), first + index);
      }
    };
    await eachFile("texts", uso.boot.rowsPerFile, look, progress, isStale);
  };

  /** Calls `each(text, row number)` for all rows with a column of texts, in lower case. */
  uso.ownTexts = (column, each, progress = () => {}, isStale = always) => {
    const look = ({ of }, first) => {
      const count = Math.min(uso.boot.idsPerFile, uso.boot.rows - first);
      for (let index = 0; index < count; index += 1) each((cell(of, index) ?? "").toLowerCase(), first + index);
    };
    return eachFile(`own-${column}`, uso.boot.idsPerFile, look, progress, isStale);
  };

  uso.matrixPage = (number) => load(`matrix-${number}`);
})();
