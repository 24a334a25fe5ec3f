// A cloud of values against their change, drawn with the page's own classes, so that it follows the theme.
// drawScatter(values, changes) -> <svg>; both are Float64Arrays of finite numbers, one per weight.
const drawScatter = (() => {
  "use strict";
  const DOTS_UP_TO = 2000;
  const BINS = [64, 54];
  const SHADES = 12;
  const [LEFT, TOP, WIDE, TALL] = [64, 14, 256, 216];

  const add = (parent, tag, attributes, text) => {
    const element = shape(tag, attributes, text ?? "");
    parent.append(element);
    return element;
  };
  const say = (svg, x, y, anchor, text, more = {}) =>
    add(svg, "text", { x, y, "text-anchor": anchor, "font-size": 11, class: "muted-fill", ...more }, text);

  // A round step that puts two or three ticks on each side of 0.
  const tickStep = (reach) => {
    const power = 10 ** Math.floor(Math.log10(reach));
    return [0.2, 0.5, 1, 2, 5].map((factor) => factor * power).find((step) => reach / step < 3.2);
  };

  const largest = (numbers) => {
    let found = 0;
    for (const number of numbers) found = Math.max(found, Math.abs(number));
    return found * 1.06 || 1;
  };

  const dots = (svg, values, changes, x, y) => {
    let path = "";
    values.forEach((value, index) => (path += `M${x(value).toFixed(1)} ${y(changes[index]).toFixed(1)}h0`));
    const look = { "stroke-width": 3, "stroke-linecap": "round", "stroke-opacity": 0.7 };
    add(svg, "path", { d: path, fill: "none", class: "accent-stroke", ...look });
  };

  // Too many for dots: counted in bins, shaded by the logarithm of the count.
  const bins = (svg, values, changes, reachX, reachY) => {
    const counts = new Uint32Array(BINS[0] * BINS[1]);
    const place = (value, reach, count) => Math.min(Math.floor(((value + reach) / (2 * reach)) * count), count - 1);
    values.forEach((value, index) => {
      counts[place(changes[index], reachY, BINS[1]) * BINS[0] + place(value, reachX, BINS[0])] += 1;
    });
    const most = Math.log1p(counts.reduce((a, b) => Math.max(a, b), 0));
    const paths = Array.from({ length: SHADES + 1 }, () => "");
    const [wide, tall] = [WIDE / BINS[0], TALL / BINS[1]];
    counts.forEach((count, index) => {
      const [column, row] = [index % BINS[0], BINS[1] - 1 - Math.floor(index / BINS[0])];
      if (count) {
        paths[Math.ceil((Math.log1p(count) / most) * SHADES)] +=
          `M${LEFT + column * wide} ${TOP + row * tall}h${wide}v${tall}h${-wide}z`;
      }
    });
    paths.forEach((d, shade) => {
      const opacity = (0.95 * (0.1 + (0.9 * shade) / SHADES)).toFixed(3);
      if (d) add(svg, "path", { d, class: "accent-fill", "fill-opacity": opacity, "shape-rendering": "crispEdges" });
    });
  };

  return (values, changes, readable) => {
    const svg = shape("svg", { viewBox: "0 0 344 278", width: 344, class: "chart", role: "img" });
    const [reachX, reachY] = [largest(values), largest(changes)];
    const x = (value) => LEFT + ((value / reachX + 1) / 2) * WIDE;
    const y = (change) => TOP + ((1 - change / reachY) / 2) * TALL;
    const middle = `M${LEFT} ${TOP + TALL / 2}h${WIDE}M${LEFT + WIDE / 2} ${TOP}v${TALL}`;
    add(svg, "path", { d: middle, class: "line-stroke" });
    if (values.length > DOTS_UP_TO) bins(svg, values, changes, reachX, reachY);
    else dots(svg, values, changes, x, y);
    add(svg, "path", { d: `M${LEFT} ${TOP}V${TOP + TALL}H${LEFT + WIDE}`, fill: "none", class: "muted-stroke", "stroke-width": 0.8 });
    for (const [reach, put] of [
      [reachX, (at, text) => say(svg, x(at), TOP + TALL + 14, "middle", text)],
      [reachY, (at, text) => say(svg, LEFT - 6, y(at) + 4, "end", text)],
    ]) {
      const step = tickStep(reach);
      for (let count = -Math.floor(reach / step); count <= reach / step; count += 1) put(count * step, readable(count * step, 2));
    }
    say(svg, LEFT + WIDE / 2, TOP + TALL + 36, "middle", "value before", { "font-size": 12 });
    const side = { transform: `rotate(-90 14 ${TOP + TALL / 2})`, "font-size": 12 };
    say(svg, 14, TOP + TALL / 2, "middle", "change", side);
    const halo = { class: "muted-fill ground-stroke", "paint-order": "stroke", "stroke-width": 3 };
    for (const [atX, anchor] of [[LEFT + 4, "start"], [LEFT + WIDE - 4, "end"]]) {
      say(svg, atX, TOP + 13, anchor, anchor === "end" ? "away from 0" : "towards 0", halo);
      say(svg, atX, TOP + TALL - 6, anchor, anchor === "end" ? "towards 0" : "away from 0", halo);
    }
    return svg;
  };
})();
