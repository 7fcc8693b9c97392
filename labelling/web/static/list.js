"use strict";
// Filters the rows of a table by what is typed.
const filter = document.getElementById("filter");
const rows = [...document.querySelectorAll("#list tbody tr")];
filter.closest("label").hidden = false;
filter.addEventListener("input", () => {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const row of rows) row.hidden = !words.every((word) => row.dataset.text.includes(word));
});
