// Observed share of positives against predicted probability, by manufacturer, for two methods side by side.
{
  const { methods, makers } = HB.data;
  const box = HB.id("rel");
  if (box) {
    const one = HB.id("rel-method");
    const other = HB.id("rel-other");
    const shown = HB.data.rows.map((row) => row.method).filter((m) => methods[m] && Object.keys(methods[m].reliability).length);

    const panel = (method, width) => {
      const size = Math.min(width, 420);
      const x = HB.scale(0, 1, 48, size - 8);
      const y = HB.scale(0, 1, size - 36, 8);
      const parts = [];
      for (const t of [0, 0.25, 0.5, 0.75, 1]) {
        parts.push(HB.svg("line", { class: "grid", x1: x(0), x2: x(1), y1: y(t), y2: y(t) }));
        parts.push(HB.svg("text", { class: "soft", x: x(0) - 5, y: y(t) + 4, "text-anchor": "end" }, String(t)));
        parts.push(HB.svg("text", { class: "soft", x: x(t), y: size - 20, "text-anchor": "middle" }, String(t)));
      }
      parts.push(HB.svg("line", { class: "gate", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }));
      parts.push(HB.svg("text", { x: x(1), y: size - 4, "text-anchor": "end" }, "predicted probability"));
      parts.push(HB.svg("text", { x: -8, y: 10, "text-anchor": "end", transform: "rotate(-90)" }, "observed share"));
      for (const maker of makers.filter((m) => methods[method].reliability[m])) {
        const points = methods[method].reliability[maker];
        const kind = HB.makerClass(maker);
        parts.push(HB.svg("path", { class: `curve ${kind}`, d: `M${points.map((p) => `${x(p[0])},${y(p[1])}`).join("L")}` }));
        for (const [predicted, observed, low, high, n] of points) {
          parts.push(HB.svg("line", { class: `error ${kind}`, x1: x(predicted), x2: x(predicted), y1: y(low), y2: y(high) }));
          const words = `${maker}: predicted ${HB.number(predicted)}, observed ${HB.interval([observed, low, high])}, ${n} rows`;
          parts.push(HB.svg("circle", { class: `dot ${kind}`, cx: x(predicted), cy: y(observed), r: 4 }, HB.svg("title", {}, words)));
        }
      }
      const picture = HB.svg("svg", { viewBox: `0 0 ${size} ${size}` }, ...parts);
      picture.style.maxWidth = "420px";
      return HB.el("div", {}, HB.el("h3", {}, method), picture);
    };
    const table = (method) => {
      const lines = ["", ...makers].flatMap((maker) =>
        (methods[method].reliability[maker] || []).map(([p, o, low, high, n]) =>
          HB.el("tr", {}, HB.el("th", { scope: "row" }, maker || "all"), ...[HB.number(p), HB.interval([o, low, high]), String(n)].map((t) => HB.el("td", {}, t)))));
      const head = ["Manufacturer", "Predicted", "Observed", "Rows"].map((t) => HB.el("th", { scope: "col" }, t));
      return HB.el("table", {}, HB.el("caption", {}, method), HB.el("thead", {}, HB.el("tr", {}, ...head)), HB.el("tbody", {}, ...lines));
    };
    const draw = () => {
      const chosen = [one.value, other.value].filter((m, i, all) => m && all.indexOf(m) === i);
      const width = Math.max(260, Math.min(420, box.clientWidth));
      box.replaceChildren(HB.el("div", { class: "panels" }, ...chosen.map((m) => panel(m, width))));
      HB.id("rel-table").replaceChildren(...chosen.map(table));
    };
    const best = shown.find((m) => m !== "none" && HB.data.rows.find((r) => r.method === m).role === "method");
    HB.options(one, shown.map((m) => [m, m]), best || shown[0]);
    HB.options(other, [["", "(nothing)"], ...shown.map((m) => [m, m])], shown.includes("none") ? "none" : "");
    HB.id("rel-legend").replaceChildren(...HB.makerKeys(makers, "curve"));
    one.addEventListener("change", draw);
    other.addEventListener("change", draw);
    HB.redraw.push(draw);
  }
}
