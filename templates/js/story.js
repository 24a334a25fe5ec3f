// One example at a time: found by its classes, its number, a point, a tile or a cell, and told in its panel.
(() => {
  "use strict";
  const LISTED = 60;
  const ANCHOR = /^#((?:.+-)?example-t?\d+)$/;

  const draw = (parent, tag, attributes, text = "") => parent.append(shape(tag, attributes, text));

  // When it was right, in a sentence.
  const learned = (data, place) => {
    const right = data.frames.map((_, frame) => data.right(place, frame));
    if (right.includes(null) || right.length < 2) return "";
    const turns = right.flatMap((now, frame) => (frame && now !== right[frame - 1] ? [[now, data.frames[frame]]] : []));
    if (!turns.length) return right[0] ? "Right from the beginning." : "Never right in a recorded frame.";
    const first = right[0] ? "Right from the beginning" : `First right: ${turns[0][1]}`;
    const rest = turns.slice(right[0] ? 0 : 1).map(([now, frame]) => `${now ? "right again" : "forgotten"}: ${frame}`);
    return `${[first, ...rest].join("; ")}.`;
  };

  // A bar for each frame: how sure the network was of the class it named, or the measure.
  const history = (data, place) => {
    const scored = data.column.score !== undefined;
    const heights = data.frames.map((_, frame) => (scored ? data.column.score(frame)[place] : (data.column.sure?.(frame)[place] ?? -1) / 100));
    if (data.last < 1 || !heights.some((height) => Number.isFinite(height) && height >= 0)) return null;
    const most = scored ? Math.max(...heights.filter(Number.isFinite)) || 1 : 1;
    const wide = Math.max(4, Math.min(44, Math.floor(560 / data.frames.length)));
    const [width, height] = [Math.max(220, wide * data.frames.length), 96]; // room for the names of first and last
    const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, width, height, class: "chart", role: "img" });
    draw(svg, "path", { d: `M0 64.5H${width}`, class: "line-stroke" });
    heights.forEach((share, frame) => {
      if (!(share >= 0)) return;
      const right = data.right(place, frame);
      const tall = Math.max(1, (share / most) * 60);
      const look = right === false ? { class: "muted-stroke", fill: "none" } : { class: "accent-fill" };
      draw(svg, "rect", { x: frame * wide + 1.5, y: 64 - tall, width: wide - 3, height: tall, ...look });
      if (wide < 18 || scored) return;
      const text = data.className(data.column.predicted(frame)[place]);
      const room = Math.floor((wide - 4) / 6);
      draw(svg, "text", { x: (frame + 0.5) * wide, y: 78, "text-anchor": "middle", "font-size": 11, class: right === false ? "muted-fill" : "ink-fill" }, text.length > room ? `${text.slice(0, Math.max(1, room - 1))}…` : text);
    });
    draw(svg, "text", { x: 1, y: 93, "font-size": 11, class: "muted-fill" }, data.frames[0]);
    draw(svg, "text", { x: width - 1, y: 93, "text-anchor": "end", "font-size": 11, class: "muted-fill" }, data.frames[data.last]);
    const what = scored ? `${data.measure} by frame` : "probability of the predicted class by frame; filled where it is the true one";
    svg.setAttribute("aria-label", `${data.title(place)}: ${what}`);
    return make("div", {}, make("p", { class: "story-part" }, what[0].toUpperCase() + what.slice(1)), svg);
  };

  const ranked = (data, place) => {
    if (!data.column.ranked) return null;
    const list = make("ol", { class: "ranked" });
    for (let rank = 0; rank < data.columns.find(([name]) => name === "ranked")[1]; rank += 1) {
      const [label, share] = [data.column.ranked(rank)[place], data.column.shares(rank)[place] / 10];
      if (label < 0) continue;
      const bar = make("span", { class: "bar" });
      bar.style.width = `${share}%`;
      list.append(make("li", {}, make("span", { dir: "auto" }, data.className(label)), make("span", { class: "track" }, bar), make("span", {}, data.percent(share))));
    }
    return list.childElementCount ? make("div", {}, make("p", { class: "story-part" }, "Most probable classes"), list) : null;
  };

  const link = (data, place) => {
    const truth = data.truth(place);
    const picture = data.picture(place, 56);
    const label = `${data.title(place)}${truth === null ? "" : `, ${truth}`}`;
    const text = truth ?? String(data.number(place));
    return make("a", { href: `#${data.anchor(place)}`, "aria-label": label, title: label }, ...(picture ? [picture] : []), make("span", { dir: "auto" }, text));
  };

  const start = async (examples) => {
    const { box } = examples;
    const data = await examples.data();
    const { column, groups, size } = data;
    const told = make("div", { class: "story", tabindex: -1, role: "region", "aria-label": "The chosen example" });
    const list = make("div", { class: "story-list", role: "group", "aria-label": "Examples found" });
    const count = make("p", { class: "hint", role: "status" });

    const tell = (place) => {
      const [truth, guess, score] = [data.truth(place), data.guess(place, data.last), data.score(place, data.last)];
      const facts = [
        truth === null ? "" : `True: ${truth}.`,
        guess === null ? "" : `Predicted: ${guess}.`,
        score === null ? "" : `${data.measure[0].toUpperCase()}${data.measure.slice(1)}: ${score}.`,
        learned(data, place),
      ];
      const title = data.title(place);
      const near = [];
      for (let rank = 0; column.near && rank < data.columns.find(([name]) => name === "near")[1]; rank += 1) {
        const other = column.near(rank)[place];
        if (other >= 0) near.push(link(data, other));
      }
      const maps = (data.maps[place] ?? []).filter(([, figure]) => document.getElementById(figure));
      const picture = data.picture(place, 168);
      const words = make("div", { class: "story-words" },
        make("h3", {}, make("a", { href: `#${data.anchor(place)}` }, title[0].toUpperCase() + title.slice(1))),
        make("p", { dir: "auto" }, facts.filter(Boolean).join(" ")),
        ...[ranked(data, place), history(data, place)].filter(Boolean));
      if (near.length) words.append(make("p", { class: "story-part" }, `Nearest in ${data.layer}`), make("div", { class: "story-near" }, ...near));
      if (maps.length) {
        const links = maps.flatMap(([layer, figure], index) => [...(index ? [", "] : []), make("a", { href: `#${figure}` }, layer)]);
        words.append(make("p", { class: "story-part" }, "Its maps: ", ...links));
      }
      told.replaceChildren(...(picture ? [picture] : []), words);
    };

    // What is looked for: a pair of classes, or a number.
    const byClass = column.predicted && column.truth && !data.values;
    const select = (label, first) => make("select", { "aria-label": label }, ...first.map(([value, text]) => make("option", { value }, text)), ...data.classes.map((name, label) => make("option", { value: label }, name)));
    const [truth, guess] = byClass ? [select("True class", [["any", "any"]]), select("Predicted class", [["other", "another than the true one"], ["any", "any"]])] : [];
    const which = make("select", { "aria-label": "Kind of example" }, ...groups.map((group, index) => make("option", { value: index }, group.name)));
    which.value = groups.length - 1;
    const number = make("input", { type: "number", min: 0, "aria-label": "Number of the example" });
    const find = (jump) => {
      const found = [];
      for (let place = groups.at(-1).start; place < size; place += 1) {
        const [is, seen] = [column.truth(0)[place], column.predicted(data.last)[place]];
        if (truth.value !== "any" && is !== Number(truth.value)) continue;
        if (guess.value === "other" ? is === seen : guess.value !== "any" && seen !== Number(guess.value)) continue;
        found.push(place);
      }
      const few = found.slice(0, LISTED);
      list.replaceChildren(...few.map((place) => link(data, place)));
      count.textContent = `${found.length.toLocaleString("en")} found among ${(size - groups.at(-1).start).toLocaleString("en")} ${groups.at(-1).name}s${found.length > few.length ? `; the first ${few.length}` : ""}.`;
      if (jump) box.scrollIntoView({ block: "nearest" });
    };
    const controls = make("div", { class: "player" });
    if (byClass) {
      controls.append(make("label", {}, "True", truth), make("label", {}, "Predicted", guess));
      for (const control of [truth, guess]) on(control, "input", () => find(false));
    }
    const ask = make("form", {}, make("label", {}, "Number", which, number), make("button", {}, "Show"));
    on(ask, "submit", (event) => {
      event.preventDefault();
      const place = data.placeOf(groups[which.value].anchor + number.value);
      if (place >= 0) location.hash = data.anchor(place);
      else count.textContent = `The page does not carry ${groups[which.value].name} ${number.value}.`;
    });
    controls.append(ask);
    box.append(controls, ...(byClass ? [count, list] : [count]), told);
    if (byClass) find(false);

    const go = (hash) => {
      const anchor = ANCHOR.exec(hash)?.[1];
      const place = anchor ? data.placeOf(anchor) : -1;
      if (place < 0) return false;
      examples.choose(place);
      told.scrollIntoView({ block: "nearest" });
      told.focus({ preventScroll: true });
      return true;
    };
    examples.follow((place) => {
      if (place >= 0) tell(place);
    });
    on(window, "hashchange", () => go(location.hash));
    // A link to the example that is shown already changes no address; in a notebook's frame none does.
    on(document, "click", (event) => {
      const target = event.target.closest?.('a[href*="example-"]');
      const hash = target?.getAttribute("href");
      if (target && (hash === location.hash || location.protocol === "about:") && go(hash)) event.preventDefault();
    });
    const first = byClass ? [...list.querySelectorAll("a")][0]?.getAttribute("href").slice(1) : null;
    if (!go(location.hash)) tell(first ? data.placeOf(first) : groups.at(-1).start);

    // What lies in a grid that a drawing's hook describes: by the event the column and the row, and the hook's numbers.
    const grid = (name, listen) => {
      for (const hook of data.inFigures(`[data-${name}]`)) {
        const numbers = hook.dataset[name].split(" ").map(Number);
        const [left, top, across, down] = numbers;
        const svg = hook.ownerSVGElement;
        svg.classList.add("lists");
        listen(svg, (event) => {
          const point = within(svg, event);
          return [Math.floor((point.x - left) / across), Math.floor((point.y - top) / down)];
        }, numbers);
      }
    };
    // A cell of the confusion matrix lists its examples.
    if (byClass) grid("cells", (svg, at, [, , , , ...order]) => on(svg, "click", (event) => {
      const [column, row] = at(event);
      if (!(row in order) || !(column in order)) return;
      event.stopPropagation();
      [truth.value, guess.value] = [order[row], order[column]];
      find(true);
    }));
    // A patch is of an example, which it names and leads to: where the pointer is, or where the arrow keys went.
    grid("patches", (svg, at, [left, top, across, down, ranks, ...of]) => {
      const title = svg.appendChild(shape("title"));
      const mark = shape("rect", { width: across, height: down, class: "cursor" });
      const box = svg.closest(".picture");
      if (!box.nextElementSibling?.matches(".readout")) box.after(make("p", { class: "readout", role: "status" }));
      const said = box.nextElementSibling;
      box.setAttribute("role", "group");
      svg.removeAttribute("aria-hidden");
      dressed(svg, { tabindex: 0, role: "application", "aria-label": `${box.getAttribute("aria-label")} Arrow keys: patches, Enter: the example.` }, []);
      const placeIn = (column, row) => (column in of && column < ranks ? data.placeOf(groups.at(-1).anchor + of[row * ranks + column]) : -1);
      const go = (place, event) => {
        if (place < 0) return;
        event.stopPropagation();
        svg.closest("dialog")?.close();
        location.hash = data.anchor(place);
      };
      on(svg, "pointermove", (event) => {
        const place = placeIn(...at(event));
        title.textContent = place < 0 ? "" : data.title(place);
      });
      on(svg, "click", (event) => go(placeIn(...at(event)), event));
      let cell = null;
      on(svg, "keydown", (event) => {
        const step = SIDES[event.key];
        if (event.key === "Enter" && cell) go(placeIn(...cell), event);
        if (!step || held(event)) return;
        event.preventDefault();
        const [column, row] = cell ? [cell[0] + step[0], cell[1] + step[1]] : [0, 0];
        if (column < 0 || column >= ranks || !(row * ranks in of)) return;
        cell = [column, row];
        svg.append(dressed(mark, { x: left + column * across, y: top + row * down }, []));
        const place = placeIn(column, row);
        said.textContent = place < 0 ? "none" : [data.title(place), data.truth(place)].filter(Boolean).join(", ");
      });
      on(svg, "blur", () => {
        mark.remove();
        said.textContent = "";
        cell = null;
      });
    });
  };
  for (const examples of known.values()) known.afterwards(() => start(examples));
})();
