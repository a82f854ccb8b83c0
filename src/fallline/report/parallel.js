
// Parallel coordinates: lines on a canvas, axes and brushes in an SVG above it.
(() => {
  const data = JSON.parse(document.getElementById("data-parallels").textContent);
  const kept = new Map(); // figure -> numbers of the rows on the lines that its brushes keep
  for (const figure of document.querySelectorAll("[data-parallel]")) show(figure, data[figure.dataset.parallel]);

  function show(figure, { axes, lines }) { // axes: [title, ticks]; lines: [places, strength, title, rows]
    const box = figure.querySelector(".parallel"), unbrush = figure.querySelector(".unbrush");
    const isBare = axes.map((_, axis) => lines.some(([places]) => places[axis] === null)); // for some line
    const EDGE = { top: 44, bottom: isBare.some(Boolean) ? 44 : 16, side: 60 }, FOOT = 12, NEAR = 9, STEP = 0.02;
    const ranges = axes.map(() => null); // [low, high] of the brush on each axis
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const canvas = document.createElement("canvas");
    const tip = Object.assign(document.createElement("div"), { className: "tip", hidden: true });
    box.append(canvas, svg, tip);
    if (axes.length > 3) box.style.minWidth = `${axes.length * 105}px`;

    const add = (name, attributes, parent = svg) => {
      const node = document.createElementNS(svg.namespaceURI, name);
      for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
      parent.append(node);
      return node;
    };
    let width = 0, height = 0, hovered = -1, marks = [];
    const x = (axis) => EDGE.side + (axis * (width - 2 * EDGE.side)) / (axes.length - 1);
    const y = (place) => (place === null ? height - FOOT : height - EDGE.bottom - place * (height - EDGE.top - EDGE.bottom));
    const place = (at) => Math.min(1, Math.max(0, (height - EDGE.bottom - at) / (height - EDGE.top - EDGE.bottom)));
    const passes = ([places]) => ranges.every((range, axis) =>
      !range || (places[axis] !== null && places[axis] >= range[0] - 1e-9 && places[axis] <= range[1] + 1e-9));

    const hex = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const parts = (colour) => [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
    const between = (a, b, share) => a.map((value, i) => Math.round(value + share * (b[i] - value)));
    const ramp = () => {
      const [low, middle, high] = ["--scale-low", "--scale-mid", "--scale-high"].map((name) => parts(hex(name)));
      return (s) => `rgb(${s < 0.5 ? between(low, middle, 2 * s) : between(middle, high, 2 * s - 1)})`;
    };

    const paint = () => {
      const ratio = devicePixelRatio || 1;
      canvas.width = width * ratio;
      canvas.height = height * ratio;
      const pen = canvas.getContext("2d");
      pen.scale(ratio, ratio);
      const stroke = ([places], colour, thick) => {
        pen.beginPath();
        places.forEach((at, axis) => pen.lineTo(x(axis), y(at)));
        pen.strokeStyle = colour;
        pen.lineWidth = thick;
        pen.stroke();
      };
      const tone = ramp(), few = lines.length < 60;
      pen.globalAlpha = 0.5;
      for (const line of lines) if (!passes(line)) stroke(line, hex("--line"), 1);
      pen.globalAlpha = few ? 0.95 : 0.7;
      for (const line of lines) if (passes(line)) stroke(line, tone(line[1] ** 1.5), few ? 2 : 1.2);
      pen.globalAlpha = 1;
      if (hovered >= 0) stroke(lines[hovered], hex("--series-2"), 3);
    };

    const changed = () => {
      paint();
      marks.forEach(({ group, brush, ends }, axis) => {
        const range = ranges[axis] || [0, 1];
        group.classList.toggle("brushed", Boolean(ranges[axis]));
        brush.setAttribute("visibility", ranges[axis] ? "visible" : "hidden");
        brush.setAttribute("y", y(range[1]));
        brush.setAttribute("height", Math.max(2, y(range[0]) - y(range[1])));
        ends.forEach((end, i) => {
          end.setAttribute("cy", y(range[i]));
          end.setAttribute("aria-valuenow", Math.round(100 * range[i]));
        });
      });
      unbrush.hidden = !ranges.some(Boolean);
      if (unbrush.hidden) kept.delete(figure);
      else kept.set(figure, new Set(lines.filter(passes).flatMap((line) => line[3])));
      const passing = (row) => !kept.size || [...kept.values()].some((rows) => rows.has(row));
      document.dispatchEvent(new CustomEvent("brushed", { detail: passing }));
    };

    const move = (event, axis, i) => {
      const by = { ArrowUp: STEP, ArrowDown: -STEP, PageUp: 5 * STEP, PageDown: -5 * STEP, Home: -1, End: 1 }[event.key];
      if (event.key === "Escape") ranges[axis] = null;
      else if (by) {
        const range = ranges[axis] || [0, 1];
        range[i] = Math.min(1, Math.max(0, range[i] + by));
        if (range[0] > range[1]) range[1 - i] = range[i];
        ranges[axis] = range[0] === 0 && range[1] === 1 ? null : range;
      } else return;
      event.preventDefault();
      changed();
    };
    const drag = (event, axis, hit) => {
      const snapped = (share) => (share > 0.97 ? 1 : share < 0.03 ? 0 : share);
      const at = (moved) => snapped(place(moved.clientY - box.getBoundingClientRect().top));
      const start = at(event);
      const follow = (moved) => {
        const now = at(moved);
        ranges[axis] = Math.abs(now - start) < 0.01 ? null : [Math.min(start, now), Math.max(start, now)];
        changed();
      };
      hit.setPointerCapture(event.pointerId);
      hit.addEventListener("pointermove", follow);
      hit.addEventListener("lostpointercapture", () => hit.removeEventListener("pointermove", follow), { once: true });
      ranges[axis] = null;
      changed();
    };
    unbrush.addEventListener("click", () => { ranges.fill(null); changed(); });

    const build = () => {
      width = box.clientWidth;
      height = box.clientHeight;
      svg.replaceChildren();
      svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
      marks = axes.map(([title, ticks], axis) => {
        const group = add("g", {}), isLast = axis === axes.length - 1;
        add("line", { x1: x(axis), x2: x(axis), y1: y(0), y2: y(1) }, group);
        const corner = axis === 0 ? { x: 4, "text-anchor": "start" } : isLast ? { x: width - 4, "text-anchor": "end" } : { x: x(axis), "text-anchor": "middle" };
        add("text", { ...corner, y: 18, class: "title" }, group).textContent = title.length > 18 ? `${title.slice(0, 17)}…` : title;
        for (const [at, text] of [...ticks, ...(isBare[axis] ? [[null, "none"]] : [])]) {
          const side = isLast ? { x: x(axis) - 7, "text-anchor": "end" } : { x: x(axis) + 7 };
          add("text", { ...side, y: y(at) + 4, class: "tick" }, group).textContent = text.length > 14 ? `${text.slice(0, 13)}…` : text;
        }
        const hit = add("rect", { x: x(axis) - 14, width: 28, y: y(1) - 8, height: y(0) - y(1) + 16, class: "hit" }, group);
        const brush = add("rect", { x: x(axis) - 7, width: 14, class: "brush", visibility: "hidden" }, group);
        const ends = [0, 1].map((i) => {
          const end = add("circle", {
            cx: x(axis), r: 6, class: "end", tabindex: 0, role: "slider", "aria-orientation": "vertical",
            "aria-label": `${i ? "Highest" : "Lowest"} ${title}`, "aria-valuemin": 0, "aria-valuemax": 100,
          }, group);
          end.addEventListener("keydown", (event) => move(event, axis, i));
          return end;
        });
        hit.addEventListener("pointerdown", (event) => drag(event, axis, hit));
        return { group, brush, ends };
      });
      changed();
    };

    const nearest = (px, py) => {
      const across = ((px - EDGE.side) * (axes.length - 1)) / (width - 2 * EDGE.side);
      const axis = Math.min(axes.length - 2, Math.max(0, Math.floor(across)));
      let best = -1, distance = NEAR;
      lines.forEach((line, i) => {
        if (!passes(line)) return;
        const [a, b] = [y(line[0][axis]), y(line[0][axis + 1])];
        const off = Math.abs(a + (across - axis) * (b - a) - py);
        if (off <= distance) { best = i; distance = off; }
      });
      return best;
    };
    box.addEventListener("pointermove", (event) => {
      const frame = box.getBoundingClientRect();
      const [px, py] = [event.clientX - frame.left, event.clientY - frame.top];
      const found = nearest(px, py);
      if (found !== hovered) { hovered = found; paint(); }
      tip.hidden = found < 0;
      if (found < 0) return;
      tip.textContent = lines[found][2];
      tip.style.left = `${Math.max(0, Math.min(px + 12, width - tip.offsetWidth - 4))}px`;
      tip.style.top = `${Math.max(0, py - 30)}px`;
    });
    box.addEventListener("pointerleave", () => { hovered = -1; tip.hidden = true; paint(); });
    document.addEventListener("themed", paint);
    new ResizeObserver(() => { if (box.clientWidth !== width) build(); }).observe(box);
    build();
  }
})();
