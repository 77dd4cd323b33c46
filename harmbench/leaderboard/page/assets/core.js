"use strict";
// What all parts share: the numbers, elements made from text (never from markup), scales and axes.
const HB = {};
HB.data = JSON.parse(document.getElementById("data").textContent);
HB.id = (id) => document.getElementById(id);

HB.fill = (node, attributes, children) => {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined) node.append(child);
  }
  return node;
};
HB.el = (tag, attributes, ...children) => HB.fill(document.createElement(tag), attributes, children);
HB.svg = (tag, attributes, ...children) =>
  HB.fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

HB.number = (value, digits = 3) => {
  if (value === null || value === undefined) return "–";
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
};
// An axis label: as many digits as its step needs.
HB.tick = (value, step) => {
  const large = Math.abs(value) >= 1e5 || (step < 1e-4 && value !== 0);
  return large ? value.toExponential(1) : HB.number(value, Math.max(0, Math.ceil(-Math.log10(step) - 1e-9)));
};
HB.interval = (three) =>
  HB.number(three[0]) + (three[1] === null || three[2] === null ? "" : ` [${HB.number(three[1])}, ${HB.number(three[2])}]`);

// Round numbers between two values, about `count` of them.
HB.ticks = (low, high, count = 5) => {
  const raw = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= raw);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i += 1) found.push(i * step);
  return { step, values: found };
};
HB.scale = (low, high, from, to) => {
  const span = high - low || 1;
  return (value) => from + ((value - low) / span) * (to - from);
};
// Options from text; `chosen` is a value.
HB.options = (select, pairs, chosen) => {
  select.replaceChildren(
    ...pairs.map(([value, text]) => HB.el("option", { value, selected: value === chosen ? "" : null }, text)),
  );
};
// Which of the six colours and dashes a manufacturer has, the same everywhere.
HB.makerClass = (maker) => `m${HB.data.makers.indexOf(maker) % 6}`;
HB.makerKeys = (makers, kind) =>
  makers.map((maker) => {
    const line = HB.svg("line", { x1: 0, x2: 40, y1: 8, y2: 8, class: `${kind} ${HB.makerClass(maker)}` });
    return HB.el("span", {}, HB.svg("svg", { viewBox: "0 0 40 16", "aria-hidden": "true" }, line), maker);
  });
// Many points, one stop of the Tab key: arrows, Home and End go from point to point.
HB.oneStop = (points) => {
  const go = (from, to) => {
    points[from].setAttribute("tabindex", "-1");
    points[to].setAttribute("tabindex", "0");
    points[to].focus();
  };
  if (points.length) points[0].setAttribute("tabindex", "0");
  points.forEach((node, i) => {
    node.addEventListener("keydown", (event) => {
      const last = points.length - 1;
      const to = { ArrowRight: i + 1, ArrowDown: i + 1, ArrowLeft: i - 1, ArrowUp: i - 1, Home: 0, End: last }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      go(i, Math.min(last, Math.max(0, to)));
    });
  });
};
HB.redraw = [];
HB.drawAll = () => HB.redraw.forEach((draw) => draw());
{
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth === width) return;
    width = window.innerWidth;
    HB.drawAll();
  });
  document.addEventListener("DOMContentLoaded", HB.drawAll);
}
