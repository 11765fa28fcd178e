"use strict";

// Each header with a button sorts its table: by data-value where a cell has one, else by its text.
for (const button of document.querySelectorAll("thead button")) {
  const header = button.closest("th");
  const table = button.closest("table");
  const column = header.cellIndex;
  const value = (row) => {
    const cell = row.cells[column];
    return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
  };
  const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));
  button.addEventListener("click", () => {
    const descending = header.getAttribute("aria-sort") === "ascending";
    for (const other of table.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const body = table.tBodies[0];
    const rows = [...body.rows].sort((a, b) => compare(value(a), value(b)) * (descending ? -1 : 1));
    body.append(...rows);
  });
}

// A row matches if it has every word of the search: in the name, the version, the licence or the layer.
const search = document.getElementById("search");
if (search) {
  const count = document.getElementById("count");
  const rows = [...document.querySelectorAll("#packages-table tbody tr")];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/);
    let shown = 0;
    rows.forEach((row, number) => {
      row.hidden = !words.every((word) => texts[number].includes(word));
      shown += row.hidden ? 0 : 1;
    });
    count.textContent = `${shown} of ${rows.length} packages`;
  };
  search.addEventListener("input", filter);
  search.closest("form").addEventListener("submit", (event) => event.preventDefault());
  for (const tile of document.querySelectorAll(".tile")) {
    tile.addEventListener("click", () => {
      search.value = tile.dataset.name;
      filter();
      document.getElementById("packages").scrollIntoView();
    });
  }
  search.closest("form").hidden = false;
  // A browser keeps the typed text when a page is loaded again.
  filter();
}
