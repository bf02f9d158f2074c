"use strict";

/* Tables of the class sortable: each heading becomes a button that sorts by its column. */

/** What a cell is sorted by: its data-value if it has one, which is a number, else its text. */
function sortKey(cell) {
  if (cell.dataset.value === undefined) return cell.textContent.trim();
  const number = Number(cell.dataset.value);
  return Number.isNaN(number) ? Infinity : number;
}

/** Sort by a column, numbers from the largest and text from A; the other way round the second time. */
function sortBy(table, heading) {
  const column = heading.cellIndex;
  const rows = [...table.tBodies[0].rows].map((row) => [sortKey(row.cells[column]), row]);
  const first = typeof rows[0]?.[0] === "number" ? "descending" : "ascending";
  const other = first === "descending" ? "ascending" : "descending";
  const order = heading.getAttribute("aria-sort") === first ? other : first;
  const sign = order === "ascending" ? 1 : -1;
  rows.sort(([a], [b]) => sign * (a > b ? 1 : a < b ? -1 : 0));
  for (const one of table.tHead.rows[0].cells) one.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", order);
  table.tBodies[0].append(...rows.map(([, row]) => row));
}

for (const table of document.querySelectorAll("table.sortable")) {
  for (const heading of table.tHead.rows[0].cells) {
    const click = () => sortBy(table, heading);
    heading.replaceChildren(element("button", { type: "button", click }, ...heading.childNodes));
  }
}
