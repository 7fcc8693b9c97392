"use strict";
// Tables that can be sorted by a click on a heading and filtered by text; without this script they are plain tables.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const headings = Array.from(table.tHead.rows[0].cells);
  const value = (row, i) => {
    const text = row.cells[i].textContent.trim();
    if (!headings[i].classList.contains("n")) return text;
    const number = parseFloat(text.replaceAll(",", ""));
    return Number.isNaN(number) ? null : number;
  };
  const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b));
  headings.forEach((heading, i) => {
    const button = heading.querySelector("button");
    button.addEventListener("click", () => {
      const numeric = heading.classList.contains("n");
      const before = heading.getAttribute("aria-sort");
      const down = before === null ? numeric : before === "ascending";
      for (const other of headings) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const keys = new Map(rows.map((row) => [row, value(row, i)]));
      rows.sort((a, b) => {
        const x = keys.get(a), y = keys.get(b);
        // What is not known stays at the end either way.
        if (x === null || y === null) return (x === null) - (y === null);
        return down ? compare(y, x) : compare(x, y);
      });
      body.append(...rows);
    });
  });
  const search = document.getElementById(table.id + "-filter");
  const only = document.getElementById(table.id + "-measured");
  const shown = document.getElementById(table.id + "-shown");
  if (!search) continue;
  const texts = new Map(rows.map((row) => [row, row.cells[0].textContent.toLowerCase()]));
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const fits = words.every((word) => texts.get(row).includes(word));
      row.hidden = !fits || (only && only.checked && row.dataset.measured !== "1");
      count += !row.hidden;
    }
    shown.textContent = count.toLocaleString("en") + " of " + rows.length.toLocaleString("en");
  };
  search.addEventListener("input", filter);
  if (only) only.addEventListener("change", filter);
  filter();
}
