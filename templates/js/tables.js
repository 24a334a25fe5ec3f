// Tables sort by a click on a heading; long ones can be narrowed to the rows that hold a text.
(() => {
  "use strict";
  const LONG = 15;
  const key = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.sort ?? cell.textContent.trim();
    const number = text === "" ? NaN : Number(text);
    return { empty: cell.classList.contains("none"), number, text };
  };
  // Rows without data come last whichever way the rest is ordered.
  const compare = (a, b, sign) => {
    if (a.empty || b.empty) return Number(a.empty) - Number(b.empty);
    if (!Number.isNaN(a.number) && !Number.isNaN(b.number)) return sign * (a.number - b.number);
    return sign * a.text.localeCompare(b.text, undefined, { numeric: true });
  };

  const makeSortable = (table) => {
    const body = table.tBodies[0];
    const original = [...body.rows];
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...head.childNodes);
      head.append(button);
      on(button, "click", () => {
        // First click: numbers from the largest, text from A; then the other way; then as it was.
        const numeric = head.classList.contains("r");
        const first = numeric ? "descending" : "ascending";
        const second = numeric ? "ascending" : "descending";
        const now = head.getAttribute("aria-sort");
        const next = now === first ? second : now === second ? null : first;
        for (const other of heads) other.removeAttribute("aria-sort");
        const rows = [...original];
        if (next) {
          head.setAttribute("aria-sort", next);
          const sign = next === "ascending" ? 1 : -1;
          const keys = new Map(rows.map((row) => [row, key(row, column)]));
          rows.sort((a, b) => compare(keys.get(a), keys.get(b), sign));
        }
        body.append(...rows);
      });
    });
  };

  const makeFilter = (table) => {
    const rows = [...table.tBodies[0].rows];
    const told = (shown, wanted) => (wanted ? `${shown} of ${rows.length} rows` : `${rows.length} rows`);
    const { box, narrow } = filterBox("Rows that contain", rows, (row) => row.textContent, told);
    table.closest(".scroll").before(box);
    narrow();
  };

  for (const table of document.querySelectorAll("table[data-sortable]")) {
    if (table.tBodies[0].rows.length > 1) makeSortable(table);
    if (table.tBodies[0].rows.length > LONG) makeFilter(table);
  }
})();
