// How a kernel is cut up into a picture, pixel by pixel, as reportgen/figures/kernels.py and mosaic.py do.
// layoutKernel(shape) -> { width, height, scale, gap (around it, too), weights: what each pixel shows, groups, tiles }
// weights[y * width + x] is the index of a weight, -1 for a gap, or where `groups` is given, of a group.
const layoutKernel = (() => {
  "use strict";
  const HEATMAP = [800, 400];
  const MOSAIC_PIXELS = 1_200_000;
  const WIDTH = 620;
  const LARGEST_PIXEL = 24;
  const product = (numbers) => numbers.reduce((all, one) => all * one, 1);

  const bestColumns = (count, height, width) => {
    let best = 1;
    let least = Infinity;
    for (let columns = 1; columns <= count; columns += 1) {
      const rows = Math.ceil(count / columns);
      const aspect = (columns * (width + 1)) / (rows * (height + 1));
      const misfit = Math.abs(Math.log(aspect / 1.6)) + (count % columns ? 0.5 : 0);
      if (misfit < least) [best, least] = [columns, misfit];
    }
    return best;
  };

  const scaleFor = (width, height) =>
    Math.max(1, Math.min(Math.floor(WIDTH / width), Math.floor(Math.floor((WIDTH * 3) / 4) / height), LARGEST_PIXEL));

  // Tiles [count, height, width] of weight indices (a function of tile, y, x) on a grid with gaps.
  const mosaic = (count, height, width, gap, weightAt) => {
    const columns = Math.min(bestColumns(count, height, width), count);
    const rows = Math.ceil(count / columns);
    const across = columns * (width + gap) + gap;
    const down = rows * (height + gap) + gap;
    const weights = new Int32Array(across * down).fill(-1);
    const tiles = [];
    for (let tile = 0; tile < count; tile += 1) {
      const left = gap + (tile % columns) * (width + gap);
      const top = gap + Math.floor(tile / columns) * (height + gap);
      if (count > 1) tiles.push({ left, top, width });
      for (let y = 0; y < height; y += 1) {
        for (let x = 0; x < width; x += 1) weights[(top + y) * across + left + x] = weightAt(tile, y, x);
      }
    }
    return { width: across, height: down, gap, weights, groups: null, tiles };
  };

  // A matrix [inputs, outputs] as one picture, its longer side across. `members` lists the weights of one cell.
  const heatmap = (inputs, outputs, members) => {
    const turned = inputs > outputs;
    const [rows, columns] = turned ? [outputs, inputs] : [inputs, outputs];
    const [down, across] = [Math.ceil(rows / HEATMAP[1]), Math.ceil(columns / HEATMAP[0])];
    const height = Math.ceil(rows / down);
    const width = Math.ceil(columns / across);
    const groups = [];
    for (let y = 0; y < height; y += 1) {
      for (let x = 0; x < width; x += 1) {
        const group = [];
        for (let row = y * down; row < Math.min((y + 1) * down, rows); row += 1) {
          for (let column = x * across; column < Math.min((x + 1) * across, columns); column += 1) {
            group.push(...(turned ? members(column, row) : members(row, column)));
          }
        }
        groups.push(group);
      }
    }
    const stretch = Math.max(1, Math.floor(width / (8 * height)));
    const weights = new Int32Array(width * height * stretch);
    for (let at = 0; at < weights.length; at += 1) weights[at] = Math.floor(at / width / stretch) * width + (at % width);
    return { width, height: height * stretch, gap: 0, weights, groups, tiles: [] };
  };

  const layout = (shape) => {
    const outputs = shape.at(-1);
    const inputs = shape.at(-2);
    const positions = shape.slice(0, -2);
    if (!positions.length) return heatmap(inputs, outputs, (input, output) => [input * outputs + output]);
    // [positions..., input, output] -> [height, width, slice of depth and input, output]
    const [height, width] = positions.length === 1 ? [positions[0], inputs] : positions.slice(-2);
    const slices = positions.length === 1 ? 1 : product(positions.slice(0, -2)) * inputs;
    const weight = (y, x, slice, output) => {
      if (positions.length === 1) return (y * inputs + x) * outputs + output;
      const depth = Math.floor(slice / inputs);
      return (((depth * height + y) * width + x) * inputs + (slice % inputs)) * outputs + output;
    };
    const inside = bestColumns(slices, height, width);
    const gap = slices === 1 || (height === 1 && width === 1) ? 0 : 1;
    const tall = Math.ceil(slices / inside) * (height + gap) - gap;
    const wide = inside * (width + gap) - gap;
    if (tall * wide * outputs > MOSAIC_PIXELS) {
      const count = product(positions);
      return heatmap(inputs, outputs, (input, output) =>
        Array.from({ length: count }, (_, position) => (position * inputs + input) * outputs + output));
    }
    const single = outputs === 1 ? 0 : Math.max(tall, wide) <= 48 ? 1 : 2;
    return mosaic(outputs, tall, wide, slices > 1 ? 3 : single, (output, y, x) => {
      const [row, column] = [Math.floor(y / (height + gap)), Math.floor(x / (width + gap))];
      const [inRow, inColumn] = [y % (height + gap), x % (width + gap)];
      const slice = row * inside + column;
      return inRow >= height || inColumn >= width || slice >= slices ? -1 : weight(inRow, inColumn, slice, output);
    });
  };

  return (shape) => {
    const laidOut = layout(shape);
    return { ...laidOut, scale: scaleFor(laidOut.width, laidOut.height) };
  };
})();
