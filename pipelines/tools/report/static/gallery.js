/* The light table: the matching rows in a grid, and the row that the keys act on. */
"use strict";

(() => {
  let state;
  let rows = null; // numbers of the matching rows; null for all
  let asked = 0; // counts requests, so that a late answer to an old one is dropped
  let current = 0; // the place that the keys act on, on the page
  let anchor = 0; // the other end of a selection with Shift
  let takesFocus = false; // the card of the current place, once it is filled
  let grid;
  const form = uso.byId("filters");
  const list = uso.byId("cards");
  const found = uso.byId("found");

  const PER_PAGE = uso.boot.rowsPerPage;
  const total = () => (rows === null ? uso.boot.rows : rows.length);
  const pages = () => Math.max(1, Math.ceil(total() / PER_PAGE));
  const first = () => state.page * PER_PAGE;
  const onPage = () => Math.min(PER_PAGE, total() - first());
  const at = (place) => (rows === null ? place : rows[place]);

  const say = (text) => {
    found.textContent = text;
  };

  const sayFound = () => {
    const of = rows === null ? "" : ` of ${uso.count(uso.boot.rows)}`;
    say(`${uso.count(total())}${of} row${uso.boot.rows === 1 ? "" : "s"}`);
  };

  const failed = (error) => {
    list.removeAttribute("aria-busy");
    say(error.message);
  };

  const fill = (card, place) => {
    const row = uso.rowNow(at(first() + place), grid.refresh, failed);
    if (!row) return false;
    card.dataset.key = row.key;
    card.classList.toggle("is-current", place === current);
    uso.fillCard(card, row, state, (event) => pressed(event, place));
    if (place !== current) return true;
    card.querySelector(".open").tabIndex = 0;
    if (takesFocus) card.querySelector(".open").focus({ preventScroll: true });
    takesFocus = false;
    return true;
  };

  const open = async (place) => {
    const row = await uso.row(at(place));
    state.open = row.number;
    uso.writeAddress(state);
    const step = (to) => (to >= 0 && to < total() ? () => open(to).catch(failed) : undefined);
    if (place >= first() && place < first() + onPage()) current = place - first();
    uso.showDetail(row, { previous: step(place - 1), next: step(place + 1) });
  };

  /** Opens a row by its number, even if it does not match the filters. */
  uso.openRow = (number) => {
    const place = rows === null ? number : rows.indexOf(number);
    if (place >= 0 && place < total()) return open(place).catch(failed);
    return uso.row(number).then((row) => uso.showDetail(row, {}), failed);
  };

  const render = () => {
    state.page = Math.min(state.page, pages() - 1);
    uso.writeAddress(state);
    [current, anchor] = [0, 0];
    list.classList.toggle("has-tiles", state.show !== "results");
    grid.show(onPage(), uso.tilesOf(state.show));
    uso.byId("empty").hidden = total() > 0;
    list.removeAttribute("aria-busy");
    sayFound();
    uso.showChips(state, without);
    for (const nav of document.querySelectorAll("#pictures .pager"))
      uso.pager(nav, state.page, pages(), turn);
  };

  const without = (name) => {
    const control = form.elements.namedItem(name);
    if (control) control.value = "";
    askFromForm();
  };

  const turn = (page) => {
    state.page = page;
    render();
    scrollTo({ top: 0, behavior: "instant" });
    go(0);
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
    render();
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

  /** Makes a place the current one: the keys act on it, and Tab leads to it. */
  const setCurrent = (place) => {
    for (const [is, at] of [[false, current], [true, place]]) {
      const card = grid.cards().get(at);
      card?.classList.toggle("is-current", is);
      const button = card?.querySelector(".open");
      if (button) button.tabIndex = is ? 0 : -1;
    }
    current = place;
  };

  /** Moves to a place, and brings its card into the window. */
  const go = (place) => {
    if (!onPage()) return;
    setCurrent(Math.max(0, Math.min(place, onPage() - 1)));
    const button = grid.reach(current).querySelector(".open");
    takesFocus = !button; // as soon as its row is here
    button?.focus({ preventScroll: true });
  };

  const keysOf = (from, to) => {
    const places = Array.from({ length: to - from + 1 }, (_, index) => first() + from + index);
    return Promise.all(places.map((place) => uso.row(at(place)))).then((all) => all.map((row) => row.key));
  };

  const selectTo = (place) => {
    const [from, to] = anchor < place ? [anchor, place] : [place, anchor];
    return keysOf(from, to).then((keys) => uso.marks.set("selected", keys, true), failed);
  };

  const mark = (name) => keysOf(current, current).then((keys) => uso.marks.toggle(name, keys), failed);

  const pressed = (event, place) => {
    if (event.shiftKey) {
      selectTo(place);
      go(place);
    } else if (event.ctrlKey || event.metaKey) {
      go(place);
      anchor = place;
      mark("selected");
    } else open(first() + place).catch(failed);
  };

  const move = (event) => {
    const columns = grid.columns();
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -current, End: onPage() }[event.key];
    if (step === undefined) return false;
    if (!list.contains(document.activeElement)) {
      go(current);
      return true;
    }
    const goal = current + step;
    // Above the first pictures, the page scrolls as it would.
    if (event.key === "ArrowUp" && goal < 0) return false;
    go(goal);
    if (event.shiftKey) selectTo(current);
    else anchor = current;
    return true;
  };

  const survey = () => {
    const isOn = state.get("marks") === "selected";
    if (!isOn && !uso.marks.count("selected")) return say("Nothing is selected: press Space on some pictures first.");
    uso.toggleFilters(false);
    form.elements.marks.value = isOn ? "" : "selected";
    state = uso.readForm(form);
    return ask().then(() => {
      if (isOn) uso.ownSize();
      else grid.fit();
      go(0);
    }, failed);
  };

  const KEYS = {
    " ": () => {
      anchor = current;
      mark("selected");
    },
    s: () => mark("starred"),
    x: () => mark("rejected"),
    u: () => keysOf(current, current).then(uso.marks.free, failed),
    d: () => uso.marks.clear(["selected"]),
    v: survey,
    f: () => uso.toggleFilters(),
    e: () => uso.showChoice(),
    "/": () => form.elements.q.focus(),
    "]": () => state.page < pages() - 1 && turn(state.page + 1),
    "[": () => state.page > 0 && turn(state.page - 1),
    "+": () => uso.stepSize(1),
    "=": () => uso.stepSize(1),
    "-": () => uso.stepSize(-1),
    Enter: () => {
      open(first() + current).catch(failed);
    },
  };

  const isSeen = (card) => {
    const box = card?.getBoundingClientRect();
    return box !== undefined && box.bottom > uso.byId("tools").getBoundingClientRect().bottom && box.top < innerHeight;
  };

  /** Lets the keys act on a picture that can be seen; returns false if that is another one than before. */
  const settle = () => {
    if (list.contains(document.activeElement) || isSeen(grid.cards().get(current))) return true;
    const seen = [...grid.cards()].filter(([, card]) => isSeen(card)).map(([place]) => place);
    if (seen.length) go(Math.min(...seen));
    return false;
  };

  const ON_CURRENT = [" ", "s", "x", "u", "Enter", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"];

  const keys = (event) => {
    if (event.key === "Escape" && form.contains(event.target)) return go(current);
    if (uso.isTyping(event) || document.querySelector("dialog[open]") || uso.byId("pictures").hidden) return undefined;
    const isControl = event.target.closest("button, a, summary") && !event.target.matches(".open");
    if (isControl && (event.key === " " || event.key === "Enter")) return undefined;
    if (ON_CURRENT.includes(event.key) && !settle()) return event.preventDefault();
    if (move(event)) event.preventDefault();
    else if (Object.hasOwn(KEYS, event.key) && KEYS[event.key]() !== false) event.preventDefault();
    return undefined;
  };

  const close = () => {
    state.open = undefined;
    uso.writeAddress(state);
    // The browser has returned the focus to the place that opened the row: a card, or the matrix.
    if (!uso.byId("pictures").hidden && onPage()) go(current);
  };

  uso.shownCount = total;

  /** The ids of all matching rows, as in the records. */
  uso.shownKeys = async () => {
    if (!total()) return [];
    const all = new Array(uso.boot.rows);
    await uso.ids((id, row) => (all[row] = id));
    return rows === null ? all : rows.map((row) => all[row]);
  };

  /** Applies the filters in the address, and listens to the controls. */
  uso.startGallery = async () => {
    let pause;
    grid = uso.makeGrid(list, fill);
    uso.startSize(grid);
    form.hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      state = uso.readForm(form);
      ask().then(() => go(0), failed);
    });
    form.addEventListener("input", (event) => {
      if (!event.target.name) return;
      clearTimeout(pause);
      pause = setTimeout(askFromForm, event.target.matches("select") ? 0 : 250);
    });
    uso.byId("clear").addEventListener("click", () => {
      const kept = new FormData();
      for (const name of ["order", "show"]) kept.set(name, state.get(name));
      state = uso.stateOf(kept, 0);
      uso.writeForm(form, state);
      ask().catch(failed);
    });
    document.addEventListener("keydown", keys);
    list.addEventListener("focusin", (event) => {
      const place = Number(event.target.closest(".card").dataset.place);
      if (place !== current) setCurrent(place);
    });
    // Firefox presses a button when Space is released.
    list.addEventListener("keyup", (event) => event.key === " " && event.target.matches(".open") && event.preventDefault());
    uso.byId("detail").addEventListener("close", close);
    uso.marks.listen(() => {
      for (const card of grid.cards().values()) if (card.dataset.key !== undefined) uso.showMarks(card, card.dataset.key);
    });
    addEventListener("hashchange", () => {
      if (location.hash.startsWith("#?")) askFromAddress();
      else grid.refresh();
    });
    state = uso.readAddress();
    await uso.buildForm().catch(failed);
    await askFromAddress();
  };
})();
