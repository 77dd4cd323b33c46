// Histograms of one feature by manufacturer, one panel per step of the method.
{
  const { tables, names, methods, bins } = HB.data;
  const box = HB.id("dist");
  if (box) {
    const pick = { method: HB.id("dist-method"), map: HB.id("dist-map"), feature: HB.id("dist-feature"), order: HB.id("dist-order") };
    const full = new Map();
    const features = (key) => {
      const which = tables[key].names;
      if (!full.has(which)) {
        const n = names[which];
        full.set(which, n.names.length ? n.names : n.maps.flatMap((m) => n.suffixes.map((s) => `${m}_${s}`)));
      }
      return full.get(which);
    };
    const split = (name) => {
      for (const kind of HB.data.classes) {
        const at = name.indexOf(`_${kind}_`);
        if (at > 0) return [name.slice(0, at), name.slice(at + 1)];
      }
      return ["", name];
    };
    const last = () => methods[pick.method.value].stages.at(-1).table;

    const fillMaps = () => {
      const maps = [...new Set(features(last()).map((name) => split(name)[0]))];
      HB.options(pick.map, maps.map((m) => [m, m || "(mask)"]), maps.includes(pick.map.value) ? pick.map.value : maps.find(Boolean) ?? "");
      pick.map.parentElement.hidden = maps.length < 2;
    };
    const fillFeatures = () => {
      const key = last();
      const jsd = tables[key].jsd;
      let here = features(key).map((name, i) => ({ rest: split(name)[1], map: split(name)[0], jsd: jsd ? jsd[i] : null }));
      here = here.filter((f) => f.map === pick.map.value);
      if (pick.order.value === "jsd") here.sort((a, b) => (b.jsd ?? -9) - (a.jsd ?? -9));
      const before = pick.feature.value;
      const kept = here.some((f) => f.rest === before) ? before : here[0].rest;
      const show = (f) => f.rest.replace("_", " · ") + (f.jsd === null ? "" : ` (JSD ${HB.number(f.jsd)})`);
      HB.options(pick.feature, here.map((f) => [f.rest, show(f)]), kept);
    };
    const place = (key) => {
      const wanted = pick.map.value ? `${pick.map.value}_${pick.feature.value}` : pick.feature.value;
      const list = features(key);
      const exact = list.indexOf(wanted);
      // The original image has one map of its own. Among several maps another one's feature would be another feature.
      if (exact >= 0 || new Set(list.map((name) => split(name)[0])).size > 1) return exact;
      return list.findIndex((name) => split(name)[1] === pick.feature.value);
    };
    const decoded = new Map();
    const bytes = (key, maker) => {
      const id = `${key} ${maker}`;
      if (!decoded.has(id)) decoded.set(id, Uint8Array.from(atob(tables[key].shares[maker]), (c) => c.charCodeAt(0)));
      return decoded.get(id);
    };

    // What the picture shows, in words: where the middle half of each manufacturer's rows lies.
    const inWords = (share, low, high) => {
      const total = share.reduce((a, b) => a + b, 0);
      const at = (part) => {
        let sum = 0;
        const k = share.findIndex((s) => (sum += s) >= part * total);
        return Number((low + ((k + 0.5) / bins) * (high - low)).toPrecision(3));
      };
      return total ? `median about ${at(0.5)}, half of the rows from ${at(0.25)} to ${at(0.75)}` : "no rows";
    };
    const panel = (stage, width) => {
      const table = tables[stage.table];
      const j = place(stage.table);
      const title = HB.el("h3", {}, stage.title);
      if (j < 0) return HB.el("div", {}, title, HB.el("p", { class: "hint" }, "This feature is not among those kept for the page."));
      const [low, high] = [table.low[j], table.high[j]];
      const name = features(stage.table)[j];
      const jsd = table.jsd && table.jsd[j] !== null ? `, JSD ${HB.number(table.jsd[j])}` : "";
      const under = HB.el("p", { class: "hint" }, `${name}${jsd}`);
      if (low === null) return HB.el("div", {}, title, under, HB.el("p", { class: "hint" }, "No finite value."));
      if (low === high) return HB.el("div", {}, title, under, HB.el("p", { class: "hint" }, `The same value in every row: ${low}.`));
      const height = 170;
      const makers = HB.data.makers.filter((m) => m in table.shares);
      const shares = makers.map((m) => bytes(stage.table, m).subarray(j * bins, (j + 1) * bins));
      const most = Math.max(1, ...shares.flatMap((s) => [...s]));
      const x = HB.scale(0, bins, 6, width - 6);
      const y = HB.scale(0, most, height - 26, 8);
      const parts = [HB.svg("line", { class: "axis", x1: 6, x2: width - 6, y1: y(0), y2: y(0) })];
      const marks = HB.ticks(low, high, 4);
      const v = HB.scale(low, high, 6, width - 6);
      for (const t of marks.values) {
        parts.push(HB.svg("line", { class: "axis", x1: v(t), x2: v(t), y1: y(0), y2: y(0) + 4 }));
        const anchor = v(t) < 24 ? "start" : v(t) > width - 24 ? "end" : "middle";
        parts.push(HB.svg("text", { class: "soft", x: v(t), y: height - 6, "text-anchor": anchor }, HB.tick(t, marks.step)));
      }
      shares.forEach((share, i) => {
        let d = `M${x(0)},${y(0)}`;
        share.forEach((s, k) => { d += `V${y(s)}H${x(k + 1)}`; });
        parts.push(HB.svg("path", { class: `hist ${HB.makerClass(makers[i])}`, d: `${d}V${y(0)}Z` }));
      });
      const told = makers.map((m, i) => `${m}: ${inWords([...shares[i]], low, high)}`).join("; ");
      const picture = { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${stage.title}, ${name}${jsd}. ${told}` };
      return HB.el("div", {}, title, under, HB.svg("svg", picture, ...parts));
    };

    const draw = () => {
      const { stages } = methods[pick.method.value];
      const columns = Math.max(1, Math.min(stages.length, Math.floor(box.clientWidth / 320)));
      const width = Math.max(260, Math.floor((box.clientWidth - 20 * (columns - 1)) / columns));
      box.replaceChildren(HB.el("div", { class: "panels" }, ...stages.map((s) => panel(s, width))));
      box.setAttribute("aria-label", `Histograms of ${pick.map.value} ${pick.feature.value} by manufacturer: ${stages.map((s) => s.title).join(", ")}`);
    };
    const shown = HB.data.rows.map((row) => row.method).filter((m) => methods[m] && methods[m].stages.length);
    const start = shown.find((m) => methods[m].stages.length > 1 && HB.data.rows.find((r) => r.method === m).role === "method");
    HB.options(pick.method, shown.map((m) => [m, m]), start || shown[0]);
    HB.options(pick.order, [["jsd", "largest JSD"], ["name", "class and name"]], "jsd");
    HB.id("dist-legend").replaceChildren(...HB.makerKeys(HB.data.makers, "hist"));
    const again = (...steps) => () => { steps.forEach((step) => step()); draw(); };
    pick.method.addEventListener("change", again(fillMaps, fillFeatures));
    pick.map.addEventListener("change", again(fillFeatures));
    pick.order.addEventListener("change", again(fillFeatures));
    pick.feature.addEventListener("change", draw);
    fillMaps();
    fillFeatures();
    HB.redraw.push(draw);
  }
}
