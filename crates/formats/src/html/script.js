"use strict";
(() => {
  const table = document.getElementById("findings");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = Array.from(body.rows, (row) => ({ row, text: row.textContent.toLowerCase() }));
  const filters = document.getElementById("filters");
  const [search, fixable, exploited, shown] = ["search", "fixable", "exploited", "shown"].map((id) => document.getElementById(id));
  const severities = Array.from(filters.querySelectorAll("input[name=severity]"));

  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = new Set(severities.filter((box) => box.checked).map((box) => box.value));
    let count = 0;
    for (const { row, text } of rows) {
      const { severity, fixable: fix, exploited: known } = row.dataset;
      const fits = wanted.has(severity) && (!fixable.checked || fix !== undefined) &&
        (!exploited.checked || known !== undefined) && words.every((word) => text.includes(word));
      row.hidden = !fits;
      count += Number(fits);
    }
    shown.textContent = `${count} of ${rows.length} shown`;
  };

  const order = new Intl.Collator("en", { numeric: true });
  const key = (row, place) => row.cells[place].dataset.key ?? row.cells[place].textContent;
  const sort = (head, place) => {
    // Numbers are of interest from the largest on, words from the first.
    const first = rows.length && rows[0].row.cells[place].dataset.key !== undefined ? "descending" : "ascending";
    const second = first === "ascending" ? "descending" : "ascending";
    const direction = head.getAttribute("aria-sort") === first ? second : first;
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", direction);
    const sign = direction === "ascending" ? 1 : -1;
    const compare = (a, b) => {
      const [x, y] = [key(a.row, place), key(b.row, place)];
      return sign * (a.row.cells[place].dataset.key === undefined ? order.compare(x, y) : x - y);
    };
    rows.sort(compare);
    body.append(...rows.map(({ row }) => row));
  };

  Array.from(table.tHead.rows[0].cells, (head, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => sort(head, place));
    head.replaceChildren(button);
  });
  filters.addEventListener("input", filter);
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.hidden = false;
  filter();
})();
