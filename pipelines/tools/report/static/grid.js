/* The grid: only the cards near the window exist, so it scrolls at the same pace with any number of rows. */
"use strict";

(() => {
  const GAP = 12;
  const CAPTION = 46; // of a card, as in cards.css
  const SMALLEST = 90; // width of a card in pixels, if all cards are to fit into the window
  const BUDGET_MS = 8; // for making cards in one frame; the others follow in the next ones
  const GLANCE_MS = 40; // a card that is in the window for less than this needs no picture
  const REST_MS = 200; // a move after this is a single jump

  /**
   * A grid in `list`. `fill(card, place)` fills a card and returns true, or false if its row is not here yet.
   */
  uso.makeGrid = (list, fill) => {
    const cards = new Map(); // place → card
    let total = 0;
    const shape = { columns: 1, width: 1, height: 1, tiles: 1, wanted: 200, fits: false, left: 0 };
    let frame = 0;
    let last = { at: -Infinity, high: 0 }; // the time of the last frame, and the top of its part of the list
    let fastUntil = 0;
    let calm = 0; // the timer that ends a fast scroll

    const left = (place) => shape.left + (place % shape.columns) * (shape.width + GAP);
    const top = (place) => Math.floor(place / shape.columns) * (shape.height + GAP);

    const tallOf = (width) => Math.round(width / shape.tiles / uso.boot.aspect) + CAPTION;

    /** The number of columns whose cards are nearest to the wanted width, and their width. */
    const filling = (width) => {
      // A phone shows two cards side by side, whatever the size, unless a card has several tiles.
      const wanted = Math.min(shape.wanted * shape.tiles, shape.tiles > 1 ? width : (width - GAP) / 2);
      const columns = Math.max(1, Math.round((width + GAP) / (wanted + GAP)));
      return [columns, Math.floor((width - GAP * (columns - 1)) / columns)];
    };

    /** The number of columns with which all cards are in the window, and as large as can be. */
    const fitting = (width) => {
      const height = innerHeight - 150;
      let best = [1, 0];
      for (let columns = 1; columns <= Math.min(total, 30); columns += 1) {
        const rows = Math.ceil(total / columns);
        const low = (height / rows - CAPTION - GAP) * uso.boot.aspect * shape.tiles;
        const card = Math.floor(Math.min(low, (width - GAP * (columns - 1)) / columns));
        if (card > best[1]) best = [columns, card];
      }
      return best[1] < SMALLEST ? filling(width) : best;
    };

    const measure = () => {
      const width = list.clientWidth;
      [shape.columns, shape.width] = (shape.fits ? fitting : filling)(width);
      shape.height = tallOf(shape.width);
      shape.left = shape.fits ? Math.max(0, (width - shape.columns * (shape.width + GAP) + GAP) / 2) : 0;
      const rows = Math.ceil(total / shape.columns);
      list.style.height = `${Math.max(0, rows * (shape.height + GAP) - GAP)}px`;
    };

    /** The first and the last place, not included, of a part of the page, given from its top. */
    const span = (from, to) => {
      const pitch = shape.height + GAP;
      const first = Math.max(0, Math.floor(from / pitch)) * shape.columns;
      return [Math.min(first, total), Math.min(total, Math.max(0, Math.ceil(to / pitch)) * shape.columns)];
    };

    const put = (card, place) => {
      card.style.width = `${shape.width}px`;
      card.style.height = `${shape.height}px`;
      card.style.transform = `translate(${left(place)}px, ${top(place)}px)`;
    };

    const place = () => {
      measure();
      for (const [number, card] of cards) put(card, number);
    };

    const make = (place, end) => {
      const card = uso.el("li", { class: "card", "data-place": place, "aria-setsize": total, "aria-posinset": place + 1 });
      put(card, place);
      let next = place + 1; // cards stand in the order of their places, for screen readers
      while (next < end && !cards.has(next)) next += 1;
      list.insertBefore(card, cards.get(next) ?? null);
      cards.set(place, card);
    };

    /** True while cards leave the window before anybody could look at them. */
    const isFast = (high) => {
      const now = performance.now();
      const [took, moved] = [now - last.at, Math.abs(high - last.high)];
      last = { at: now, high };
      // Where frames take long, less than half a window in one of them is enough, at any speed.
      const limit = innerHeight * Math.min(0.4, took / GLANCE_MS);
      if (took < REST_MS && moved > limit) fastUntil = now + GLANCE_MS;
      return now < fastUntil;
    };

    const draw = () => {
      frame = 0;
      const box = list.getBoundingClientRect();
      const [high, low] = [-box.top, innerHeight - box.top];
      const around = isFast(high) ? 0 : innerHeight;
      const [first, end] = span(high - around, low + around);
      const [seen, unseen] = span(high, low);
      clearTimeout(calm);
      if (around) uso.startPictures();
      else calm = setTimeout(grid.refresh, GLANCE_MS);
      uso.pictures.wait = !around;
      for (const [place, card] of cards)
        if ((place < first || place >= end) && !card.contains(document.activeElement)) {
          card.remove();
          cards.delete(place);
        }
      const until = performance.now() + BUDGET_MS;
      const parts = [[seen, unseen], [unseen, end], [first, seen]];
      for (const [from, to] of parts)
        for (let place = from; place < to; place += 1) {
          if (!cards.has(place)) make(place, end);
          const card = cards.get(place);
          if (!card.dataset.filled && fill(card, place)) card.dataset.filled = "1";
          if (performance.now() > until) return grid.refresh();
        }
      return undefined;
    };

    const grid = {
      /** Draws in the next frame. */
      refresh: () => {
        frame ||= requestAnimationFrame(draw);
      },
      /** Shows `count` rows from the first, in cards of `tiles` tiles. */
      show: (count, tiles) => {
        for (const card of cards.values()) card.remove();
        cards.clear();
        total = count;
        shape.tiles = tiles;
        measure();
        draw();
      },
      /** Gives the cards about this width in pixels. */
      resize: (wanted) => {
        const above = innerHeight / 2 - list.getBoundingClientRect().top; // of the middle of the window
        const middle = Math.floor(above / (shape.height + GAP)) * shape.columns;
        const old = top(middle);
        shape.wanted = wanted;
        shape.fits = false;
        place();
        // The picture in the middle of the window stays there.
        if (middle > 0) scrollBy({ top: top(middle) - old, behavior: "instant" });
        draw();
      },
      /** Makes the card at a place, brings it into the window, and returns it. */
      reach: (place) => {
        if (!cards.has(place)) make(place, total);
        const card = cards.get(place);
        card.scrollIntoView({ block: "nearest" });
        if (!card.dataset.filled && fill(card, place)) card.dataset.filled = "1";
        grid.refresh();
        return card;
      },
      columns: () => shape.columns,
      cards: () => cards,
      /** Makes all cards of the page fit into the window, if that leaves them large enough. */
      fit: () => {
        shape.fits = true;
        place();
        draw();
      },
    };
    addEventListener("scroll", grid.refresh, { passive: true });
    let before = 0;
    new ResizeObserver(() => {
      if (list.clientWidth === before) return;
      before = list.clientWidth;
      place();
      grid.refresh();
    }).observe(list);
    return grid;
  };
})();
