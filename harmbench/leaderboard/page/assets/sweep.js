// Who is first as the weight moves between the goals. The slider is the weight of the signal.
{
  const { sweep } = HB.data;
  const slider = HB.id("weight");
  if (sweep && slider) {
    const box = HB.id("winners");
    const names = Object.keys(sweep.rank);
    // Stored weights are those of harmonization.
    const column = () => {
      const wanted = 1 - Number(slider.value);
      return sweep.weights.reduce((best, w, i) => (Math.abs(w - wanted) < Math.abs(sweep.weights[best] - wanted) ? i : best), 0);
    };

    const strip = () => {
      const width = Math.max(280, box.clientWidth);
      const x = HB.scale(0, 1, 8, width - 8);
      const parts = [];
      const winners = names.filter((name) => sweep.wins[name] && sweep.wins[name][1] > sweep.wins[name][0]);
      winners.sort((a, b) => sweep.wins[b][0] - sweep.wins[a][0]);
      winners.forEach((name, i) => {
        const [from, to] = [1 - sweep.wins[name][1], 1 - sweep.wins[name][0]];
        const words = `${name} is first for a signal weight from ${from.toFixed(2)} to ${to.toFixed(2)}`;
        const long = x(to) - x(from);
        parts.push(HB.svg("rect", { class: `win win-${i % 6}`, x: x(from), y: 6, width: Math.max(long, 1), height: 22 }, HB.svg("title", {}, words)));
        if (name.length * 7 < long - 8) {
          parts.push(HB.svg("text", { class: "win-text", x: (x(from) + x(to)) / 2, y: 20, "text-anchor": "middle" }, name));
        }
      });
      for (const tick of [0, 0.2, 0.4, 0.6, 0.8, 1]) {
        parts.push(HB.svg("line", { class: "axis", x1: x(tick), x2: x(tick), y1: 28, y2: tick === 0.6 ? 36 : 32 }));
        const text = tick === 0.6 ? "0.6 / 0.4" : String(tick);
        parts.push(HB.svg("text", { class: tick === 0.6 ? "" : "soft", x: x(tick), y: 48, "text-anchor": tick === 0 ? "start" : tick === 1 ? "end" : "middle" }, text));
      }
      const at = x(Number(slider.value));
      parts.push(HB.svg("path", { class: "cursor", d: `M${at - 5},-4h10L${at},4Z` }));
      box.replaceChildren(HB.svg("svg", { viewBox: `0 0 ${width} 52` }, ...parts));
      const said = winners.map((n) => `${n} from ${(1 - sweep.wins[n][1]).toFixed(2)} to ${(1 - sweep.wins[n][0]).toFixed(2)}`);
      box.setAttribute("aria-label", `First at which weight of the signal: ${said.join("; ")}`);
    };

    const totals = () => {
      const at = column();
      HB.id("weight-value").textContent = Number(slider.value).toFixed(2);
      const order = [...names].sort((a, b) => sweep.rank[a][at] - sweep.rank[b][at]);
      slider.setAttribute("aria-valuetext", `signal ${slider.value}, harmonization ${(1 - slider.value).toFixed(2)}: ${order[0]} first`);
      const lines = order.slice(0, 8).map((name) => {
        const share = sweep.first[name][at];
        const fill = HB.el("i", {});
        fill.style.width = `${100 * share}%`;
        return HB.el(
          "li", {}, HB.el("span", {}, `${sweep.rank[name][at]}.`), HB.el("span", {}, name),
          HB.el("span", { class: "share", "aria-hidden": "true" }, fill),
          HB.el("span", { class: "first" }, `${(100 * share).toFixed(0)} %`),
        );
      });
      const head = HB.el("li", { class: "head" }, HB.el("span", {}, ""), HB.el("span", {}, "Order at this weight"),
        HB.el("span", {}, ""), HB.el("span", { class: "first" }, "first in"));
      const more = order.length > 8 ? HB.el("p", { class: "hint" }, `and ${order.length - 8} more`) : null;
      HB.id("totals").replaceChildren(...[HB.el("ol", {}, head, ...lines), more].filter(Boolean));
    };
    const draw = () => {
      strip();
      totals();
    };
    slider.addEventListener("input", draw);
    HB.id("weight-tick").addEventListener("click", () => {
      slider.value = "0.6";
      draw();
    });
    HB.redraw.push(draw);
  }
}
