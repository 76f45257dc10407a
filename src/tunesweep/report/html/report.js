"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const make = (tag, text, attributes = {}) => {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = text;
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    return node;
  };

  // Theme: the system's, until the button says otherwise. Storage may be refused to a file.
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const stored = () => { try { return localStorage.getItem("tunesweep-theme"); } catch { return null; } };
  const isDark = () => (root.dataset.theme || (system.matches ? "dark" : "light")) === "dark";
  const show = () => button.setAttribute("aria-pressed", String(isDark()));
  if (stored()) root.dataset.theme = stored();
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("tunesweep-theme", root.dataset.theme); } catch { /* this page only */ }
    show();
  });
  system.addEventListener("change", show);
  show();

  // Tables: sorted by the buttons of their header, filtered by words.
  const value = (row, place) => {
    const cell = row.cells[place];
    if (cell.hasAttribute("data-absent")) return null;
    return cell.hasAttribute("data-v") ? Number(cell.dataset.v) : cell.textContent;
  };
  const compare = (a, b) => typeof a === "number" && typeof b === "number"
    ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
  const NEXT = { none: "ascending", ascending: "descending", descending: "none" };
  for (const input of document.querySelectorAll("input[data-table]")) {
    const table = document.getElementById(input.dataset.table);
    const status = document.getElementById(input.getAttribute("aria-describedby"));
    const body = table.tBodies[0];
    const original = [...body.rows];
    const words = new Map(original.map((row) => [row, row.textContent.toLowerCase()]));
    let sorted = "";
    const tell = () => {
      const shown = original.filter((row) => !row.hidden).length;
      const count = shown === original.length ? `${shown} rows` : `${shown} of ${original.length} rows`;
      status.textContent = count + sorted;
    };
    input.addEventListener("input", () => {
      const wanted = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of original) row.hidden = !wanted.every((word) => words.get(row).includes(word));
      tell();
    });
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, place) => head.querySelector("button")?.addEventListener("click", () => {
      const order = NEXT[head.getAttribute("aria-sort") || "none"];
      for (const other of heads) other.removeAttribute("aria-sort");
      const sign = order === "descending" ? -1 : 1;
      const rows = [...original];
      if (order !== "none") {
        head.setAttribute("aria-sort", order);
        rows.sort((one, two) => {
          const a = value(one, place), b = value(two, place);
          // What was not measured comes last in either order.
          return a === null || b === null ? (a === null) - (b === null) : sign * compare(a, b);
        });
      }
      body.append(...rows);
      sorted = order === "none" ? ", in their first order" : `, sorted by ${head.textContent.trim().replace(/\s+/g, " ")}, ${order}`;
      tell();
    }));
  }

  // Panels become tabs: arrows, Home and End move between them.
  for (const tabs of document.querySelectorAll("[data-tabs]")) {
    const panels = [...tabs.querySelectorAll(":scope > .panel")];
    const list = make("div", undefined, { role: "tablist", class: "tablist", "aria-label": "Pictures and details" });
    const buttons = panels.map((panel) => {
      const id = `${panel.id}-tab`;
      const tab = make("button", panel.dataset.title, { type: "button", role: "tab", id, "aria-controls": panel.id });
      panel.setAttribute("role", "tabpanel");
      panel.setAttribute("aria-labelledby", id);
      list.append(tab);
      return tab;
    });
    const choose = (place, focus) => {
      buttons.forEach((tab, other) => {
        tab.setAttribute("aria-selected", String(other === place));
        tab.tabIndex = other === place ? 0 : -1;
        panels[other].hidden = other !== place;
      });
      if (focus) buttons[place].focus();
    };
    buttons.forEach((tab, place) => {
      tab.addEventListener("click", () => choose(place, false));
      tab.addEventListener("keydown", (event) => {
        const last = buttons.length - 1;
        const to = { ArrowRight: place === last ? 0 : place + 1, ArrowLeft: place ? place - 1 : last, Home: 0, End: last }[event.key];
        if (to === undefined) return;
        event.preventDefault();
        choose(to, true);
      });
    });
    panels[0].before(list);
    choose(0, false);
  }

  // Classes: the confusion matrix and the scores per class of the chosen row.
  const head = (table, caption, names) => {
    table.append(make("caption", caption));
    const line = table.createTHead().insertRow();
    names.forEach((name, place) => line.append(make("th", name, { scope: "col", class: place ? "n" : "" })));
    return table.createTBody();
  };
  const matrix = (each) => {
    const table = make("table");
    const runs = each.runs > 1 ? `, sum of ${each.runs} runs` : "";
    const body = head(table, `Confusion${runs}`, ["label ↓ answer →", ...each.labels]);
    each.confusion.forEach((counts, i) => {
      const line = body.insertRow(), sum = counts.reduce((a, b) => a + b, 0);
      line.append(make("th", each.labels[i], { scope: "row" }));
      counts.forEach((count, j) => {
        const cell = make("td", String(count), { class: i === j ? "heat diagonal" : "heat" });
        cell.style.setProperty("--v", sum ? count / sum : 0);
        line.append(cell);
      });
    });
    return table;
  };
  const scores = (each) => {
    const table = make("table");
    const body = head(table, each.runs > 1 ? `Per class, means over ${each.runs} runs` : "Per class",
      ["class", "precision", "recall", "F1", "examples"]);
    each.classes.forEach((found, i) => {
      const line = body.insertRow();
      line.append(make("th", each.labels[i], { scope: "row" }));
      found.forEach((number, j) => line.append(
        make("td", number === null ? "–" : j < 3 ? number.toFixed(3) : String(Math.round(number)), { class: "n" })));
    });
    return table;
  };
  for (const place of document.querySelectorAll("[data-classes]")) {
    const found = JSON.parse(place.querySelector("script").textContent);
    const chosen = place.querySelector("select"), target = place.querySelector(".classes");
    const draw = () => {
      const parts = [matrix, scores].map((form) => { const box = make("div"); box.append(form(found[chosen.value])); return box; });
      target.replaceChildren(...parts);
    };
    chosen.addEventListener("change", draw);
    draw();
  }

  // The page of a sweep that is running reads itself anew; what was chosen stays. Storage may be refused.
  const VIEW = `tunesweep-view ${location.pathname}`;
  const all = (selector) => [...document.querySelectorAll(selector)];
  const keep = () => {
    const view = {
      tabs: all("[role=tab][aria-selected=true]").map((tab) => tab.id),
      filters: all("input[data-table]").map((input) => [input.id, input.value]),
      sorts: all("th[aria-sort]").map((head) => [head.closest("table").id, head.textContent, head.getAttribute("aria-sort")]),
      rows: all("[data-classes] select").map((select) => [select.id, select.value]),
      place: [scrollX, scrollY],
    };
    try { sessionStorage.setItem(VIEW, JSON.stringify(view)); } catch { /* it begins at the top */ }
  };
  const taken = () => {
    try {
      const text = sessionStorage.getItem(VIEW);
      sessionStorage.removeItem(VIEW);
      return JSON.parse(text);
    } catch { return null; }
  };
  const restore = (view) => {
    const set = (event) => ([id, to]) => {
      const node = document.getElementById(id);
      if (!node || node.value === to) return;
      if (node.options && ![...node.options].some((option) => option.value === to)) return;
      node.value = to;
      node.dispatchEvent(new Event(event));
    };
    view.tabs.forEach((id) => document.getElementById(id)?.click());
    view.filters.forEach(set("input"));
    view.rows.forEach(set("change"));
    for (const [id, title, order] of view.sorts) {
      const head = all(`#${id} thead th`).find((each) => each.textContent === title);
      for (let turn = 0; head && turn < (order === "ascending" ? 1 : 2); turn++) head.querySelector("button").click();
    }
    scrollTo(...view.place);
  };
  const view = taken();
  if (view) restore(view);
  const seconds = Number(document.body.dataset.reload);
  if (seconds) {
    addEventListener("pagehide", keep);
    // Not under the hands of somebody who is typing or choosing.
    setInterval(() => { if (!document.activeElement.matches("input, select")) location.reload(); }, 1000 * seconds);
  }
})();
