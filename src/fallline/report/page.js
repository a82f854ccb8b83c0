"use strict";
(() => {
  const root = document.documentElement;
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];

  // ---- theme -------------------------------------------------------------------------------
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme || (prefersDark.matches ? "dark" : "light")) === "dark";
  const remembered = (() => { try { return localStorage.getItem("fallline-theme"); } catch { return null; } })();
  if (remembered) root.dataset.theme = remembered;
  document.getElementById("theme").addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("fallline-theme", root.dataset.theme); } catch { /* it is a page from disk */ }
    redraw();
  });
  prefersDark.addEventListener("change", () => redraw());
  addEventListener("beforeprint", () => { // paper is white
    const { theme } = root.dataset;
    root.dataset.theme = "light";
    redraw();
    addEventListener("afterprint", () => {
      if (theme) root.dataset.theme = theme; else delete root.dataset.theme;
      redraw();
    }, { once: true });
  });

  // ---- figures: names of colours become the theme's ----------------------------------------
  const figures = read("data-figures");
  const drawn = new Map(); // element -> name of the view it shows
  const coarse = matchMedia("(pointer: coarse)").matches;

  const value = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const rgba = (hex, alpha) => `rgba(${[1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)).join(",")},${alpha})`;
  const themed = (node) => {
    if (typeof node === "string" && node.startsWith("--")) {
      const [name, alpha] = node.split("/");
      return alpha ? rgba(value(name), alpha) : value(name);
    }
    if (Array.isArray(node)) return typeof node[0] === "number" && typeof node.at(-1) === "number" ? node.slice() : node.map(themed);
    if (node && typeof node === "object") return Object.fromEntries(Object.entries(node).map(([k, v]) => [k, themed(v)]));
    return node;
  };
  const axis = () => ({ gridcolor: value("--line"), linecolor: value("--line"), zerolinecolor: value("--line"), tickcolor: value("--line") });
  const dress = (layout, height) => {
    const dressed = themed(layout);
    for (const key of Object.keys(dressed)) if (/^[xy]axis/.test(key)) dressed[key] = { ...axis(), ...dressed[key] };
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", height, dragmode: coarse ? false : "zoom",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12.5, color: value("--soft") },
      hoverlabel: { bgcolor: value("--card"), bordercolor: value("--line"), font: { color: value("--ink") } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: value("--faint"), activecolor: value("--ink") },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { color: value("--ink") } },
      ...dressed,
    };
  };
  const options = {
    responsive: true, displaylogo: false, displayModeBar: coarse ? false : "hover",
    modeBarButtons: [["toImage", "resetScale2d"]],
  };

  const draw = (holder, view) => {
    const figure = figures[holder.dataset.figure];
    const name = view || drawn.get(holder) || Object.keys(figure.views)[0];
    const spec = figure.views[name];
    drawn.set(holder, name);
    return window.Plotly.react(holder.querySelector(".canvas"), themed(spec.data), dress(spec.layout, figure.height), options);
  };
  const redraw = () => { for (const holder of drawn.keys()) draw(holder); document.dispatchEvent(new Event("themed")); };

  const unpack = async () => {
    const packed = document.getElementById("plotly").textContent;
    const bytes = Uint8Array.from(atob(packed), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.nonce = document.getElementById("page").nonce;
    script.textContent = await new Response(stream).text();
    document.head.append(script);
  };
  const showFigures = async () => {
    const holders = all("[data-figure]");
    if (!holders.length) return;
    await unpack();
    const watcher = new IntersectionObserver((seen) => {
      for (const { isIntersecting, target } of seen) if (isIntersecting) { watcher.unobserve(target); draw(target); }
    }, { rootMargin: "400px" });
    holders.forEach((holder) => watcher.observe(holder));
    addEventListener("beforeprint", () => holders.forEach((holder) => drawn.has(holder) || draw(holder)));
    for (const holder of holders) {
      const buttons = all("[data-view]", holder);
      for (const button of buttons) button.addEventListener("click", () => {
        buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
        draw(holder, button.dataset.view);
      });
    }
    root.dataset.figures = "ready";
  };

  document.addEventListener("click", async (event) => {
    const copy = event.target.closest(".copy");
    if (!copy) return;
    const code = copy.parentElement.querySelector("code");
    try { await navigator.clipboard.writeText(code.textContent); copy.textContent = "Copied"; }
    catch { getSelection().selectAllChildren(code); copy.textContent = "Press Ctrl+C"; }
    setTimeout(() => { copy.textContent = "Copy"; }, 1600);
  });

  showFigures();

  // ---- the table ---------------------------------------------------------------------------
  const table = document.getElementById("run-table");
  if (!table) return; // a comparison kept without its runs
  const body = table.tBodies[0];
  const rows = all("tr", body);
  const details = read("data-rows"); // common: settings of all; rows: [reason, folder, command, own settings]
  const make = (name, text, parent) => { const node = document.createElement(name); node.textContent = text; parent?.append(node); return node; };

  const fold = (row) => {
    const next = row.nextElementSibling;
    if (next?.classList.contains("detail")) next.remove();
    row.querySelector(".unfold").setAttribute("aria-expanded", "false");
  };
  const copyButton = (parent) => {
    const button = make("button", "Copy", parent);
    button.type = "button"; button.className = "copy";
  };
  const unfold = (row) => {
    const [reason, folder, command, settings] = details.rows[Number(row.dataset.row)];
    const detail = document.createElement("tr");
    detail.className = "detail";
    const cell = make("td", "", detail);
    cell.colSpan = row.cells.length;
    const box = make("div", "", cell);
    box.className = "command";
    make("code", command, box);
    copyButton(box);
    const list = make("dl", "", cell);
    for (const [key, text] of [["folder", folder], ["how it ended", reason], ...settings, ...details.common]) { make("dt", key, list); make("dd", text, list); }
    row.after(detail);
    row.querySelector(".unfold").setAttribute("aria-expanded", "true");
  };

  const keyed = (cell) => { const key = cell.dataset.key; return key === "" ? null : Number.isNaN(Number(key)) ? key : Number(key); };
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
  const sortBy = (index, descending) => {
    rows.forEach(fold);
    const keys = new Map(rows.map((row) => [row, keyed(row.cells[index])]));
    rows.sort((a, b) => {
      const [x, y] = [keys.get(a), keys.get(b)];
      if (x === null || y === null) return (x === null) - (y === null); // without a value: last, either way
      return descending ? compare(y, x) : compare(x, y);
    });
    body.append(...rows);
  };
  all("thead button", table).forEach((button) => button.addEventListener("click", () => {
    const head = button.closest("th");
    const descending = head.ariaSort === "ascending" || (head.ariaSort === "none" && head.classList.contains("number"));
    all("thead th", table).forEach((other) => other.ariaSort && (other.ariaSort = "none"));
    head.ariaSort = descending && !(head.ariaSort === "descending") ? "descending" : "ascending";
    sortBy(head.cellIndex, head.ariaSort === "descending");
  }));

  const filter = document.getElementById("filter");
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  let brushed = () => true; // which rows the parallel coordinates let through
  const sift = () => {
    const words = (filter?.value || "").toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const keep = brushed(Number(row.dataset.row)) && words.every((word) => texts.get(row).includes(word));
      if (!keep) fold(row);
      row.hidden = !keep;
      shown += keep;
    }
    const count = document.getElementById("count");
    if (count) count.textContent = `${shown} of ${rows.length} runs`;
  };
  filter?.addEventListener("input", sift);
  document.addEventListener("brushed", (event) => { brushed = event.detail; sift(); });
  sift();

  table.addEventListener("click", (event) => {
    const opener = event.target.closest(".unfold");
    if (opener) opener.ariaExpanded === "true" ? fold(opener.closest("tr")) : unfold(opener.closest("tr"));
  });
})();
