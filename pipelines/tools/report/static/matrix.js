/* The matrix: content images down, styles across, a result for each pair. */
"use strict";

(() => {
  const head = (one, scope) =>
    uso.el(
      "th",
      { scope },
      uso.el("div", { class: "frame" }, uso.picture([one.thumb], "", one.why ?? "no thumbnail")),
      uso.el("bdi", { class: "name", title: one.uri }, one.name),
    );

  const styleHead = (styles) => {
    if (styles.length === 1) return head(styles[0], "col");
    return uso.el(
      "th",
      { scope: "col" },
      uso.el("div", { class: `frame of-${Math.min(styles.length, 4)}` }, styles.map((one) => uso.picture([one.thumb], "", one.why ?? "no thumbnail"))),
      uso.el("bdi", { class: "name" }, styles.map((one) => one.name).join(" + ")),
    );
  };

  const cell = (one) => {
    if (!one) return uso.el("td", {}, uso.el("span", { class: "visually-hidden" }, "no row"));
    const picture = one.code
      ? uso.el("span", { class: "failure" }, uso.el("strong", {}, one.code))
      : uso.picture([one.image?.thumb], "", "open");
    const more = one.rows > 1 ? uso.el("span", { class: "more" }, `${uso.count(one.rows)} rows`) : undefined;
    const label = `Open row ${one.id}${one.code ? `, failed: ${one.code}` : ""}${one.rows > 1 ? `, first of ${one.rows}` : ""}`;
    return uso.el("td", {}, uso.el("button", { type: "button", "aria-label": label, title: one.id, onclick: () => uso.openRow(one.row) }, picture, more));
  };

  const keys = (event) => {
    const table = event.currentTarget;
    const td = document.activeElement.closest("td");
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!td || !step) return;
    let [row, column] = [td.parentElement.rowIndex, td.cellIndex];
    for (;;) {
      row += step[0];
      column += step[1];
      const goal = table.rows[row]?.cells[column];
      if (!goal || column < 1 || goal.tagName !== "TD") return;
      const button = goal.querySelector("button");
      if (button) {
        event.preventDefault();
        button.focus();
        return;
      }
    }
  };

  /** Rows of cells under the heads of their styles. */
  const table = (page, columns) => {
    const rows = page.rows.map((row) => {
      const cells = new Map(row.cells.map((one) => [one.style, one]));
      return uso.el("tr", {}, head(page.refs[row.content], "row"), columns.map((_, style) => cell(cells.get(style))));
    });
    return [
      uso.el("thead", {}, uso.el("tr", {}, uso.el("td", { class: "corner" }), columns.map(styleHead))),
      uso.el("tbody", {}, rows),
    ];
  };

  /** If most pairs have no row, each content image stands before the results that it has. */
  const lines = (page, columns) => {
    const named = (one) => {
      const td = cell(one);
      const styles = columns[one.style].map((style) => uso.stem(style.name)).join(" + ");
      td.append(uso.el("bdi", { class: "name" }, styles));
      return td;
    };
    return [uso.el("tbody", {}, page.rows.map((row) => uso.el("tr", {}, head(page.refs[row.content], "row"), row.cells.map(named))))];
  };

  const FULL = 0.5; // share of pairs with a row from which a table is worth its gaps

  const render = async (number) => {
    const page = await uso.matrixPage(number);
    const columns = page.styles.map((styles) => styles.map((index) => page.refs[index]));
    const pairs = page.rows.reduce((sum, row) => sum + row.cells.length, 0);
    const isFull = pairs >= FULL * page.rows.length * columns.length;
    const box = uso.byId("matrix-table");
    box.classList.toggle("is-sparse", !isFull);
    box.replaceChildren(...(isFull ? table : lines)(page, columns));
    uso.pager(document.querySelector("#matrix .pager"), number, uso.boot.matrixPages, render);
  };

  /** Renders the first page when the view is shown. */
  uso.startMatrix = () => {
    const section = uso.byId("matrix");
    if (!section) return;
    uso.byId("matrix-table").addEventListener("keydown", keys);
    const watch = new IntersectionObserver(
      (entries) => {
        if (!entries.some((entry) => entry.isIntersecting)) return;
        watch.disconnect();
        render(0);
      },
      {},
    );
    watch.observe(section);
  };
})();
