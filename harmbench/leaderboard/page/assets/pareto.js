// Goal against gate metric, both turned so that better is up and to the right, with 95 % intervals and the front.
{
  const { goal, gate, rows, crowded } = HB.data;
  const box = HB.id("pareto");
  const sign = (metric) => (metric.direction === "min" ? -1 : 1);
  const ranked = (row) => row.section === "ranked" || row.section === "below the gate";
  const known = (three) => three.filter((value) => value !== null);

  const range = (values) => {
    const low = Math.min(...values);
    const high = Math.max(...values);
    const room = (high - low) * 0.06 || 0.05;
    return [low - room, high + room];
  };

  // Labels beside their points, moved down or up until none covers another.
  const placed = (points, width) => {
    const taken = points.map((p) => [p.x - 8, p.y - 8, 16, 16]);
    const free = (b) => taken.every((t) => b[0] + b[2] < t[0] || t[0] + t[2] < b[0] || b[1] + b[3] < t[1] || t[1] + t[3] < b[1]);
    return points.map((p) => {
      p.quiet = crowded && p.row.section === "below the gate" && !(p.row.front && p.row.front[0]);
      const text = p.row.method.length > 30 ? `${p.row.method.slice(0, 29)}…` : p.row.method;
      const long = text.length * 6.6;
      let found = null;
      if (p.quiet) { // shown when pointed at, over whatever is there
        const right = p.x + 12 + long <= width;
        return { ...p, label: { text, box: [right ? p.x + 12 : p.x - 12 - long, p.y - 8, long, 15], right, step: 0 } };
      }
      for (const step of [0, 16, -16, 32, -32, 48, -48, 64, -64, 80, -80]) {
        for (const right of p.x + 12 + long > width ? [false] : [true, false]) {
          const b = [right ? p.x + 12 : p.x - 12 - long, p.y + step - 8, long, 15];
          if (b[0] > 0 && b[1] > 0 && free(b)) {
            found = { text, box: b, right, step };
            break;
          }
        }
        if (found) break;
      }
      if (found) taken.push(found.box);
      return { ...p, label: found };
    });
  };

  const draw = () => {
    const withControls = HB.id("pareto-controls").checked;
    const shown = rows.filter(
      (row) => row.goal[0] !== null && row.gate[0] !== null && (ranked(row) || withControls),
    );
    if (!shown.length) {
      box.replaceChildren(HB.el("p", { class: "hint" }, "No method has both figures."));
      return;
    }
    const width = Math.max(320, box.clientWidth);
    const height = Math.min(460, Math.max(320, width * 0.62));
    const [left, right, top, bottom] = [52, width - 12, 10, height - 44];
    const [x0, x1] = range(shown.flatMap((row) => known(row.goal)));
    const [y0, y1] = range(shown.flatMap((row) => known(row.gate)));
    const x = goal.direction === "min" ? HB.scale(x1, x0, left, right) : HB.scale(x0, x1, left, right);
    const y = gate.direction === "min" ? HB.scale(y1, y0, bottom, top) : HB.scale(y0, y1, bottom, top);
    const parts = [];
    const across = HB.ticks(x0, x1, width < 500 ? 4 : 7);
    for (const v of across.values) {
      parts.push(HB.svg("line", { class: "grid", x1: x(v), x2: x(v), y1: top, y2: bottom }));
      parts.push(HB.svg("text", { class: "soft", x: x(v), y: bottom + 16, "text-anchor": "middle" }, HB.tick(v, across.step)));
    }
    const up = HB.ticks(y0, y1, 6);
    for (const v of up.values) {
      parts.push(HB.svg("line", { class: "grid", x1: left, x2: right, y1: y(v), y2: y(v) }));
      parts.push(HB.svg("text", { class: "soft", x: left - 8, y: y(v) + 4, "text-anchor": "end" }, HB.tick(v, up.step)));
    }
    parts.push(HB.svg("text", { x: right, y: height - 6, "text-anchor": "end" }, `${goal.label} (better →)`));
    parts.push(HB.svg("text", { x: -top, y: 12, "text-anchor": "end", transform: "rotate(-90)" }, `${gate.label} (better →)`));
    const none = rows.find((row) => row.method === "none");
    if (none && none.gate[0] !== null) {
      const at = y(none.gate[0] - sign(gate) * gate.delta);
      parts.push(HB.svg("line", { class: "gate", x1: left, x2: right, y1: at, y2: at }));
    }
    const better = (a, b) => sign(goal) * (a.goal[0] - b.goal[0]);
    const front = shown.filter((row) => row.front && row.front[0]).sort(better);
    let path = "";
    front.forEach((row, i) => {
      const [px, py] = [x(row.goal[0]), y(row.gate[0])];
      path += i === 0 ? `M${left},${py}H${px}` : `V${py}H${px}`;
    });
    if (path) parts.push(HB.svg("path", { class: "front", d: `${path}V${bottom}` }));
    const points = placed(shown.map((row) => ({ row, x: x(row.goal[0]), y: y(row.gate[0]) })), width);
    points.sort((a, b) => a.quiet - b.quiet); // drawn last, the quiet ones' names lie over the others
    for (const p of points) parts.push(point(p, x, y));
    box.replaceChildren(HB.svg("svg", { viewBox: `0 0 ${width} ${height}` }, ...parts));
    HB.oneStop([...box.querySelectorAll(".point")]);
  };

  const point = (p, x, y) => {
    const { row } = p;
    const kind = !ranked(row) ? "control" : row.section === "below the gate" ? "failed" : "";
    const on = row.front && row.front[0] ? "on" : "";
    let words = `${row.method}: ${goal.label} ${HB.interval(row.goal)}, ${gate.label} ${HB.interval(row.gate)}`;
    if (row.front) words += `; on the front in ${(100 * row.front[1]).toFixed(0)} %, better than none at both goals in ${(100 * row.front[2]).toFixed(0)} % of resamples`;
    if (kind === "failed") words += "; below the gate";
    const whisker = (three, make) => (three[1] === null || three[2] === null ? null : HB.svg("line", { class: "whisker", ...make(three) }));
    const { label } = p;
    return HB.svg(
      "g", { class: `point ${kind} ${on}`, tabindex: "-1", role: "img", "aria-label": words },
      HB.svg("title", {}, words),
      whisker(row.goal, (t) => ({ x1: x(t[1]), x2: x(t[2]), y1: p.y, y2: p.y })),
      whisker(row.gate, (t) => ({ x1: p.x, x2: p.x, y1: y(t[1]), y2: y(t[2]) })),
      HB.svg("circle", { cx: p.x, cy: p.y, r: 5.5 }),
      label && Math.abs(label.step) > 16
        ? HB.svg("line", { class: "lead", x1: p.x, y1: p.y, x2: label.right ? label.box[0] : label.box[0] + label.box[2], y2: label.box[1] + 8 })
        : null,
      label
        ? HB.svg("text", { class: p.quiet ? "label quiet" : "label", x: label.right ? label.box[0] : label.box[0] + label.box[2], y: label.box[1] + 12, "text-anchor": label.right ? "start" : "end" }, label.text)
        : null,
    );
  };
  HB.id("pareto-controls").addEventListener("change", draw);
  HB.redraw.push(draw);
}
