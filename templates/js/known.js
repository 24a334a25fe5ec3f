// The examples that the page carries, and the one that is chosen: the living embedding and the stories share them.
// A page of several networks has them of each.
//   const examples = known.get(name); examples.data() -> a promise; examples.choose(place); examples.follow((place) => ...)
const known = (() => {
  "use strict";
  const open = (box) => {
    const followers = [];
    let loading = null;

    const load = async () => {
      const given = JSON.parse(box.dataset.examples);
      let size = 0;
      const groups = given.groups.map((group) => {
        const numbers = Array.isArray(group.numbers) ? group.numbers : Array.from({ length: group.numbers }, (_, index) => index);
        const found = { ...group, numbers, start: size, end: size + numbers.length };
        if (group.url) {
          found.image = new Image();
          found.image.src = group.url;
        }
        size = found.end;
        return found;
      });
      const read = await unpack(bytesOf(box.dataset.packed), given.columns.map(([, rows, bytes]) => ({ rows, size, bytes })));
      const column = Object.fromEntries(given.columns.map(([name], index) => [name, read[index]]));
      const groupOf = (place) => groups.find((group) => place < group.end);
      const number = (place) => groupOf(place).numbers[place - groupOf(place).start];
      const places = new Map();
      for (let place = 0; place < size; place += 1) places.set(groupOf(place).anchor + number(place), place);

      const last = given.frames.length - 1;
      const value = (amount) => (Math.abs(amount) >= 1e4 || (amount !== 0 && Math.abs(amount) < 1e-3) ? amount.toExponential(2) : String(Number(amount.toPrecision(3)))).replace("-", "−");
      const percent = (share) => (share < 1 ? "< 1 %" : share > 99 ? "> 99 %" : `${Math.round(share)} %`).replaceAll(" ", "\u00a0");
      const className = (label) => (label >= 0 ? given.classes[label] : label === -1 ? "no prediction" : "not recorded");

      return {
        ...given, groups, size, column, last, groupOf, number, value, percent, className,
        // Of a page of several networks only this one's figures, whose names begin as its examples' do.
        inFigures: (selector) => {
          const prefix = groups[0].anchor.slice(0, groups[0].anchor.lastIndexOf("example-"));
          return document.querySelectorAll(prefix ? `figure[id^="${prefix}"] ${selector}` : selector);
        },
        placeOf: (anchor) => places.get(anchor) ?? -1,
        anchor: (place) => groupOf(place).anchor + number(place),
        title: (place) => `${groupOf(place).name} ${number(place)}`,
        truth: (place) => (!column.truth ? null : given.values ? value(column.truth(0)[place]) : column.truth(0)[place] < 0 ? null : className(column.truth(0)[place])),
        // What it is taken for in a frame, with how surely.
        guess: (place, frame) => {
          if (!column.predicted) return null;
          const found = column.predicted(frame)[place];
          if (given.values) return Number.isFinite(found) ? value(found) : null;
          if (found < -1) return null;
          const sure = column.sure?.(frame)[place] ?? -1;
          return className(found) + (sure >= 0 ? ` (${percent(sure)})` : "");
        },
        score: (place, frame) => (column.score && Number.isFinite(column.score(frame)[place]) ? value(column.score(frame)[place]) : null),
        // Whether its class is found in a frame; null where that is not known.
        right: (place, frame) => {
          if (given.values || !column.predicted || !column.truth) return null;
          const [found, truth] = [column.predicted(frame)[place], column.truth(0)[place]];
          return found < -1 || truth < 0 ? null : found === truth;
        },
        // Its picture, about `wide` CSS px across and by a whole factor, or its text; null where the page has neither.
        picture: (place, wide) => {
          const group = groupOf(place);
          const index = place - group.start;
          if (index < group.texts.length) return make("span", { class: "words" }, group.texts[index]);
          if (!group.image) return null;
          const [[width, height], [across, down]] = [group.tile, group.cell];
          const canvas = make("canvas", { class: "pixelated", width, height, "aria-hidden": "true" });
          canvas.style.width = `${width * Math.max(1, Math.floor(wide / Math.max(width, height)))}px`;
          group.image.decode().then(() => {
            const [left, top] = [(index % group.columns) * across, Math.floor(index / group.columns) * down];
            canvas.getContext("2d").drawImage(group.image, left, top, width, height, 0, 0, width, height);
          });
          return canvas;
        },
      };
    };

    return {
      box,
      data: () => (loading ??= load()),
      choose: (place) => {
        for (const follower of followers) follower(place);
      },
      follow: (follower) => followers.push(follower),
    };
  };
  const boxes = "DecompressionStream" in window ? [...document.querySelectorAll(".examples[data-examples]")] : [];
  const stores = new Map(boxes.map((box) => [box.id, open(box)]));
  // The page is read first: what stands in it already says the same.
  stores.afterwards = (begin) => {
    if (document.readyState === "complete") begin();
    else on(window, "load", () => setTimeout(begin));
  };
  return stores;
})();
