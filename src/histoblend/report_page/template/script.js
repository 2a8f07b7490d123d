"use strict";
(() => {
  const said = document.getElementById("said");
  const root = document.documentElement;

  // The theme: the system's until the button is pressed; forgotten when the page is closed.
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme || (system.matches ? "dark" : "light")) === "dark";
  const name = () => { button.textContent = dark() ? "Light colours" : "Dark colours"; };
  button.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; name(); });
  system.addEventListener("change", name);
  button.hidden = false;
  name();

  // Tables: a heading becomes a button; numbers fall first, words rise first; what is missing stays last.
  const words = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  const value = (row, column) => {
    const cell = row.cells[column];
    const number = cell.dataset.value;
    if (number === undefined) return cell.textContent.trim() || null;
    return number === "" ? null : Number(number);
  };
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : words.compare(a, b));
  const sort = (table, column, heading) => {
    const falls = heading.getAttribute("aria-sort") === "ascending"
      || (!heading.hasAttribute("aria-sort") && heading.classList.contains("number"));
    const rows = [...table.tBodies[0].rows].map((row) => [value(row, column), row]);
    rows.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      return falls ? compare(b, a) : compare(a, b);
    });
    table.tBodies[0].append(...rows.map(([, row]) => row));
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", falls ? "descending" : "ascending");
    said.textContent = `Sorted by ${heading.textContent.trim()}, ${falls ? "falling" : "rising"}.`;
  };
  for (const table of document.querySelectorAll("table[data-sortable]")) {
    if (table.tBodies[0].rows.length < 2) continue;
    [...table.tHead.rows[0].cells].forEach((heading, column) => {
      const press = document.createElement("button");
      press.type = "button";
      press.append(...heading.childNodes);
      heading.append(press);
      press.addEventListener("click", () => sort(table, column, heading));
    });
  }

  // Code: copied, or selected where the browser does not allow that.
  for (const copy of document.querySelectorAll("button[data-copies]")) {
    const source = document.getElementById(copy.dataset.copies);
    copy.hidden = false;
    copy.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(source.textContent);
        copy.textContent = said.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(source);
        copy.textContent = said.textContent = "Selected: copy it by the keyboard";
      }
    });
  }
})();
