// The snapshot explorer: any two of the snapshots that the page carries, compared kernel by kernel. Small kernels are
// carried exactly, larger ones as whole numbers of a scale, with the exact numbers of the two steps shown first.
(() => {
  "use strict";
  const NOT_FINITE = -32768;
  const NUMBERED = 18; // CSS px: the least width of a tile that has its number on it

  const counted = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, ",");

  // As numbers.short_number does: a number to so many significant digits, for reading.
  const readable = (value, digits = 3) => {
    if (value === 0) return "0";
    const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
    const power = Number(exponent);
    const trimmed = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
    const superscript = (number) => String(number).replace(/./g, (c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]);
    const plain = power >= -4 && power < 6;
    const text = plain && power > 2 ? counted(value.toFixed()) : plain ? trimmed(value.toFixed(Math.max(digits - 1 - power, 0))) : `${trimmed(mantissa)}×10${superscript(power)}`;
    return text.replace("-", "−");
  };

  // What changed from one snapshot to the other, weight by weight: in units of `scale`, and as numbers.
  const compare = (before, after, scale) => {
    const change = new Float64Array(before.length);
    const broken = new Uint8Array(before.length);
    const found = { change, broken, largest: 0, increased: 0, decreased: 0, away: 0, towards: 0, notFinite: 0 };
    const known = (value) => Number.isFinite(value) && (scale === null || value !== NOT_FINITE);
    const unit = scale === null ? 1 : scale;
    let total = 0;
    const kept = [];
    before.forEach((from, weight) => {
      if (!known(from) || !known(after[weight])) {
        broken[weight] = 1;
        found.notFinite += 1;
        return;
      }
      const moved = after[weight] - from;
      change[weight] = moved;
      kept.push(weight);
      total += Math.abs(moved);
      found.largest = Math.max(found.largest, Math.abs(moved));
      if (moved > 0) found.increased += 1;
      if (moved < 0) found.decreased += 1;
      if (moved * from > 0) found.away += 1;
      if (moved * from < 0) found.towards += 1;
    });
    found.values = Float64Array.from(kept, (weight) => before[weight] * unit);
    found.changes = Float64Array.from(kept, (weight) => change[weight] * unit);
    found.meanAbs = kept.length ? (total / kept.length) * unit : null;
    found.correlation = correlation(found.values, found.changes);
    return found;
  };

  const correlation = (a, b) => {
    const mean = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
    const [meanA, meanB] = [mean(a), mean(b)];
    let [product, squareA, squareB] = [0, 0, 0];
    a.forEach((value, index) => {
      const [x, y] = [value - meanA, b[index] - meanB];
      product += x * y;
      squareA += x * x;
      squareB += y * y;
    });
    const constant = (numbers) => numbers.every((number) => number === numbers[0]);
    return a.length < 2 || constant(a) || constant(b) ? null : product / Math.sqrt(squareA * squareB);
  };

  const rgb = (color) => [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));

  const paint = (canvas, shown, { change, broken, largest }, colors, notFinite) => {
    canvas.width = shown.width;
    canvas.height = shown.height;
    canvas.style.width = `${shown.width * shown.scale}px`;
    // The outer gap would indent the picture against the text.
    canvas.parentElement.style.margin = `${-shown.gap * shown.scale}px`;
    const image = new ImageData(shown.width, shown.height);
    const top = colors.length - 1;
    const flat = Math.floor(top / 2);
    shown.weights.forEach((index, pixel) => {
      if (index < 0) return;
      const members = shown.groups ? shown.groups[index] : [index];
      let furthest = members[0];
      for (const weight of members) if (Math.abs(change[weight]) > Math.abs(change[furthest])) furthest = weight;
      const level = largest ? Math.round(((change[furthest] + largest) / (2 * largest)) * top) : flat;
      const color = members.some((weight) => broken[weight]) ? notFinite : colors[level];
      image.data.set(color, 4 * pixel);
      image.data[4 * pixel + 3] = 255;
    });
    canvas.getContext("2d").putImageData(image, 0, 0);
  };

  const number = (svg, { tiles, width, height, scale }) => {
    svg.replaceChildren();
    svg.setAttribute("width", width * scale);
    svg.setAttribute("height", height * scale);
    if (!tiles.length || tiles[0].width * scale < NUMBERED) return;
    tiles.forEach(({ left, top }, tile) => {
      svg.append(shape("text", { x: left * scale + 2, y: top * scale + 10 }, tile));
    });
  };

  const start = async (figure) => {
    const given = JSON.parse(figure.dataset.explorer);
    const levelsOf = await unpack(bytesOf(figure.dataset.packed), given.kernels.map(({ shape, scale }) => ({
      rows: given.steps.length,
      size: shape.reduce((all, one) => all * one, 1),
      bytes: scale === null ? 4 : 2,
    })));
    const colors = given.colors.map(rgb);
    const notFinite = rgb(given.notFinite);
    const layouts = new Map();

    const kernel = make("select", {}, ...given.kernels.map(({ name }, index) => make("option", { value: index }, name)));
    const swap = make("button", { type: "button" }, "Swap");
    const slider = (label, chosen) => {
      const input = make("input", { type: "range", min: 0, max: given.steps.length - 1, step: 1 });
      input.value = given.steps.indexOf(chosen);
      const output = make("output");
      return { input, output, whole: make("label", { class: "step" }, `${label} `, input, output) };
    };
    const from = slider("From", given.chosen[0]);
    const to = slider("to", given.chosen[1]);
    const controls = make("div", { class: "explorer-controls" }, make("label", {}, "Kernel ", kernel), from.whole, to.whole, swap);

    const canvas = make("canvas", { class: "pixelated", role: "img" });
    const labels = shape("svg", { "aria-hidden": "true" });
    const heatmap = make("div", { class: "scroll", role: "group", "aria-label": "Change", tabindex: 0 }, make("div", { class: "explorer-tiles" }, canvas, labels));
    const ramp = make("canvas", { width: colors.length, height: 1, "aria-hidden": "true" });
    const strip = new ImageData(colors.length, 1);
    colors.forEach((color, index) => strip.data.set([...color, 255], 4 * index));
    ramp.getContext("2d").putImageData(strip, 0, 0);
    const ends = [make("span", { class: "end low" }), make("span", { class: "end high" })];
    const bar = make("div", { class: "colorbar", role: "group" }, ends[0], make("span", { class: "ramp" }, ramp, make("span", { class: "middle" }, "0")), ends[1]);
    const scatter = make("div", { class: "scatter" });
    const numbers = make("p", { class: "explorer-numbers", role: "status" });
    const views = make("div", { class: "explorer-views" }, make("div", { class: "explorer-change" }, heatmap, bar), scatter);

    const show = () => {
      const chosen = given.kernels[kernel.value];
      const steps = [from, to].map(({ input, output }) => {
        const step = `step ${given.steps[input.value].toLocaleString("en")}`;
        output.textContent = step;
        input.setAttribute("aria-valuetext", step);
        return step;
      });
      const levels = levelsOf[kernel.value];
      const [first, second] = [from, to].map(({ input }) => Number(input.value));
      const found = compare(levels(first), levels(second), chosen.scale);
      const asTold = [first, second].every((index, place) => given.steps[index] === given.chosen[place]);
      if (asTold) Object.assign(found, chosen.known);
      const key = chosen.shape.join();
      if (!layouts.has(key)) layouts.set(key, layoutKernel(chosen.shape));
      paint(canvas, layouts.get(key), found, colors, notFinite);
      number(labels, layouts.get(key));
      const unit = chosen.scale === null ? 1 : chosen.scale;
      const range = readable(found.largest * unit);
      ends[0].textContent = found.largest ? `−${range}` : "0";
      ends[1].textContent = range;
      bar.setAttribute("aria-label", `Colour scale from ${ends[0].textContent} over 0 to ${range}`);
      const r = found.correlation === null ? "not defined" : (Math.round(found.correlation * 100) / 100 + 0).toFixed(2).replace("-", "−");
      const broken = found.notFinite ? ` ${counted(found.notFinite)} not finite.` : "";
      const unmoved = found.values.length - found.increased - found.decreased;
      const text =
        `${chosen.name}, ${steps[0]} to ${steps[1]}: ${counted(found.increased)} increased, ${counted(found.decreased)} decreased, ` +
        `${counted(unmoved)} unchanged; ${counted(found.away)} grew away from zero, ${counted(found.towards)} towards it; ` +
        `mean absolute change ${found.meanAbs === null ? "not defined" : readable(found.meanAbs)}; correlation of value and change ${r}.${broken}` +
        (chosen.scale === null ? "" : ` In the pictures each change is off by at most ${readable(chosen.scale)}.`);
      numbers.textContent = text;
      canvas.setAttribute("aria-label", `Heatmap of the change of ${text}`);
      const drawn = drawScatter(found.values, found.changes, readable);
      drawn.setAttribute("aria-label", `Value at ${steps[0]} against change, ${counted(found.values.length)} weights, correlation ${r}.`);
      scatter.replaceChildren(drawn);
    };
    for (const control of [kernel, from.input, to.input]) on(control, "input", show);
    on(swap, "click", () => {
      [from.input.value, to.input.value] = [to.input.value, from.input.value];
      show();
    });
    show();
    figure.prepend(controls, views, numbers);
  };

  if (!("DecompressionStream" in window)) return;
  // Nobody waits for what is far below: it is unpacked when it comes near.
  const near = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      start(target);
    }
  }, { rootMargin: "800px" });
  for (const figure of document.querySelectorAll(".figure.explorer")) near.observe(figure);
})();
