// Sorts the pairs by the difference of one score. A pair without that score is hidden.
"use strict";

const list = document.getElementById("pairs");
const score = document.getElementById("score");
const direction = document.getElementById("direction");
const pairs = Array.from(list.children);

function difference(pair) {
  const text = pair.getAttribute(`data-d${score.value}`);
  return text === null ? NaN : Number(text);
}

function order() {
  const sign = Number(direction.value);
  for (const pair of pairs) {
    pair.hidden = Number.isNaN(difference(pair));
  }
  const shown = pairs.filter((pair) => !pair.hidden);
  shown.sort((one, other) => sign * (difference(one) - difference(other)));
  list.append(...shown);
}

score.addEventListener("change", order);
direction.addEventListener("change", order);
order();
