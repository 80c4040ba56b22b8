/* The gallery: the matching rows, one page at a time. */
"use strict";

(() => {
  let state;
  let rows = null; // numbers of the matching rows; null for all
  let asked = 0; // counts requests, so that a late answer to an old one is dropped
  const form = uso.byId("filters");
  const list = uso.byId("cards");
  const found = uso.byId("found");

  const total = () => (rows === null ? uso.boot.rows : rows.length);
  const pages = () => Math.max(1, Math.ceil(total() / Number(state.size)));
  const at = (place) => (rows === null ? place : rows[place]);

  const say = (text) => {
    found.textContent = text;
  };

  const sayFound = () => {
    const of = rows === null ? "" : ` of ${uso.count(uso.boot.rows)}`;
    say(`${uso.count(total())}${of} row${uso.boot.rows === 1 ? "" : "s"}`);
  };

  const failed = (error) => {
    say(error.message);
    list.removeAttribute("aria-busy");
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

  const open = async (place) => {
    const row = await uso.row(at(place));
    state.open = row.number;
    uso.writeAddress(state);
    const step = (to) => (to >= 0 && to < total() ? () => open(to).catch(failed) : undefined);
    uso.showDetail(row, { previous: step(place - 1), next: step(place + 1) });
  };

  /** Opens a row by its number, even if it does not match the filters. */
  uso.openRow = (number) => {
    const place = rows === null ? number : rows.indexOf(number);
    if (place >= 0) return open(place).catch(failed);
    return uso.row(number).then((row) => uso.showDetail(row, {}), failed);
  };

  const render = async (question) => {
    state.page = Math.min(state.page, pages() - 1);
    uso.writeAddress(state);
    const first = state.page * Number(state.size);
    const places = [];
    for (let place = first; place < Math.min(first + Number(state.size), total()); place += 1)
      places.push(place);
    const shown = await Promise.all(places.map((place) => uso.row(at(place))));
    if (question !== asked) return;
    const cards = shown.map((row, index) => uso.card(row, () => open(places[index]).catch(failed)));
    if (!cards.length) cards.push(uso.el("li", { class: "empty" }, "No row matches. Change or clear the filters."));
    list.replaceChildren(...cards);
    list.removeAttribute("aria-busy");
    sayFound();
    for (const nav of document.querySelectorAll("#pictures .pager"))
      uso.pager(nav, state.page, pages(), (page) => turn(page));
  };

  const turn = (page) => {
    state.page = page;
    asked += 1;
    return render(asked).then(() => {
      uso.byId("pictures").scrollIntoView({ block: "start" });
      list.querySelector(".open")?.focus({ preventScroll: true });
    }, failed);
  };

  const ask = async () => {
    asked += 1;
    const question = asked;
    list.setAttribute("aria-busy", "true");
    const progress = (part) => {
      if (question === asked && part < 1) say(`Searching… ${Math.round(100 * part)} %`);
    };
    const answer = await uso.matching(state, progress, () => question !== asked);
    if (question !== asked) return;
    rows = answer;
    await render(question);
  };

  const askFromForm = () => {
    state = uso.readForm(form);
    ask().catch(failed);
  };

  const askFromAddress = () => {
    state = uso.readAddress();
    const { open: number } = state;
    uso.writeForm(form, state);
    const done = ask();
    return (number === undefined ? done : done.then(() => uso.openRow(number))).catch(failed);
  };

  const cardKeys = (event) => {
    const buttons = [...list.querySelectorAll(".open")];
    const index = buttons.indexOf(document.activeElement);
    if (index < 0) return;
    const top = (button) => Math.round(button.getBoundingClientRect().top);
    const inRow = buttons.filter((button) => top(button) === top(buttons[0])).length || 1;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -inRow, ArrowDown: inRow }[event.key];
    if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    const goal = buttons[index + step];
    if (!goal) return;
    event.preventDefault();
    goal.focus();
    goal.closest(".card").scrollIntoView({ block: "nearest" });
  };

  const pageKeys = (event) => {
    const typing = event.target.closest("input, select, textarea, dialog");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") {
      event.preventDefault();
      form.elements.q.focus();
    } else if (event.key === "]" && state.page < pages() - 1) turn(state.page + 1);
    else if (event.key === "[" && state.page > 0) turn(state.page - 1);
  };

  const close = () => {
    const number = state.open;
    state.open = undefined;
    uso.writeAddress(state);
    // The browser has returned the focus to the place that opened the row: a card, or the matrix.
    if (list.contains(document.activeElement) || document.activeElement === document.body)
      list.querySelector(`.open[data-row="${number}"]`)?.focus();
  };

  /** Applies the filters in the address, and listens to the controls. */
  uso.startGallery = async () => {
    let pause;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      askFromForm();
    });
    form.addEventListener("input", (event) => {
      clearTimeout(pause);
      pause = setTimeout(askFromForm, event.target.matches("select") ? 0 : 250);
    });
    form.addEventListener("reset", () => setTimeout(askFromForm, 0));
    list.addEventListener("keydown", cardKeys);
    document.addEventListener("keydown", pageKeys);
    uso.byId("detail").addEventListener("close", close);
    addEventListener("hashchange", () => {
      if (!location.hash.startsWith("#?")) return;
      askFromAddress();
      uso.byId("pictures").scrollIntoView();
    });
    if (location.hash.startsWith("#?")) uso.byId("pictures").scrollIntoView();
    await askFromAddress();
    await uso.offerStyles(form, state).catch(failed);
  };
})();
