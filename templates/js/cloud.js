// The living embedding: every example a point, drawn from its coordinates in the page's colours, sharp at any zoom. Its
// epoch is that of the curves beside it. Nothing moves until the reader asks for it.
(() => {
  "use strict";
  const LEVELS = 4095;
  const NEAR = 16; // CSS px between pointer and point, at most
  const PACE = 700; // ms from frame to frame
  const LONGEST = 20_000; // ms of a whole film
  const NAMED = 10; // classes that have a colour of their own
  const SHADES = 8;
  const calm = matchMedia("(prefers-reduced-motion: reduce)");

  const start = async (figure, examples) => {
    const data = await examples.data();
    const { column, groups, last, size } = data;
    // Of values the shade, of classes the colour: more than ten have none but for the one that is highlighted.
    const truths = (column.marks ?? column.truth)?.(0);
    const byClass = truths && !data.values;
    const colorful = byClass && data.classes.length <= NAMED;

    const check = (label, on) => {
      const input = make("input", { type: "checkbox" });
      input.checked = on;
      return { input, label: make("label", {}, input, label) };
    };
    const button = make("button", { type: "button" }, "Play");
    const slider = make("input", { type: "range", min: 0, max: last, step: 1, "aria-label": "Frame" });
    const name = make("output");
    const shown = groups.map((group, index) => check(` ${group.name}s (${(group.end - group.start).toLocaleString("en")})`, index === 0));
    const wrong = check(" errors only", false);
    const chosenClass = make("select", { "aria-label": "Class to highlight" }, make("option", { value: -1 }, "every class"));
    if (byClass) chosenClass.append(...data.classes.map((each, label) => make("option", { value: label }, each)));
    const player = make("div", { class: "player" }, button, slider, name);
    const choices = make("div", { class: "player" }, ...(groups.length > 1 ? shown.map((one) => one.label) : []));
    if (byClass && column.predicted) choices.append(wrong.label);
    if (byClass && data.classes.length > 1 && (column.truth || !colorful)) choices.append(chosenClass);
    const canvas = make("canvas", { tabindex: 0, role: "application", "aria-roledescription": "map of examples" });
    const keys = make("p", { class: "unseen", id: `page-keys-${figure.id}` },
      "Arrow keys go to the nearest point on that side, Page Down and Page Up through all, Enter to its story.");
    canvas.setAttribute("aria-describedby", keys.id);
    const said = make("p", { class: "unseen", role: "status" });
    const card = make("div", { class: "card" });
    const probe = make("span", { class: "probe", "aria-hidden": "true" });
    const plot = make("div", { class: "plot" }, canvas);
    const cloud = make("div", { class: "cloud" }, ...(last > 0 ? [player] : []), ...(choices.childElementCount ? [choices] : []), make("div", { class: "views" }, plot, card), keys, said, probe);

    let at = last;
    let side = 0;
    let chosen = -1;
    let under = -1;
    let timer = 0;
    let colors = {};
    const [left, top] = [new Float32Array(size), new Float32Array(size)];
    const frame = () => Math.round(at);
    const visible = (place) => {
      if (Number.isNaN(left[place])) return false;
      if (!shown[groups.indexOf(data.groupOf(place))].input.checked) return false;
      return !wrong.input.checked || data.right(place, frame()) === false;
    };

    const readColors = () => {
      const read = (value) => {
        probe.style.color = value;
        return getComputedStyle(probe).color;
      };
      for (const each of ["ground", "ink", "muted", "line", "accent"]) colors[each] = read(`var(--${each})`);
      colors.classes = Array.from({ length: NAMED }, (_, index) => read(`var(--c${index})`));
      colors.shades = Array.from({ length: SHADES }, (_, index) => read(`color-mix(in srgb, var(--accent) ${(100 * index) / (SHADES - 1)}%, var(--line))`));
    };

    let [least, most] = [Infinity, -Infinity];
    if (data.values && truths) {
      for (const value of truths) if (Number.isFinite(value)) [least, most] = [Math.min(least, value), Math.max(most, value)];
    }
    const colorOf = (place) => {
      if (!truths) return colors.accent;
      if (data.values) {
        const share = (truths[place] - least) / (most - least || 1);
        return Number.isFinite(share) ? colors.shades[Math.round(share * (SHADES - 1))] : colors.muted;
      }
      if (colorful) return colors.classes[truths[place]] ?? colors.muted;
      return truths[place] === Number(chosenClass.value) ? colors.accent : colors.muted;
    };

    const settle = () => {
      const [from, share] = [Math.floor(at), at % 1];
      const to = Math.min(from + 1, last);
      const [x, y, nextX, nextY] = [column.x(from), column.y(from), column.x(to), column.y(to)];
      const room = side - 16;
      for (let place = 0; place < size; place += 1) {
        const none = x[place] < 0 || nextX[place] < 0;
        left[place] = none ? NaN : 8 + ((x[place] * (1 - share) + nextX[place] * share) / LEVELS) * room;
        top[place] = none ? NaN : 8 + ((y[place] * (1 - share) + nextY[place] * share) / LEVELS) * room;
      }
    };

    const trail = (pen, place, from) => {
      const room = side - 16;
      const to = Math.floor(at);
      pen.beginPath();
      for (let step = from; step <= to; step += 1) {
        const [x, y] = [8 + (column.x(step)[place] / LEVELS) * room, 8 + (column.y(step)[place] / LEVELS) * room];
        if (step === from) pen.moveTo(x, y);
        else pen.lineTo(x, y);
      }
      pen.lineTo(left[place], top[place]);
      pen.stroke();
    };

    const named = (pen) => {
      if (!byClass) return;
      const only = Number(chosenClass.value);
      const members = new Map();
      for (let place = 0; place < size; place += 1) {
        const label = truths[place];
        if (label < 0 || !visible(place) || (only >= 0 ? label !== only : !colorful)) continue;
        members.set(label, [...(members.get(label) ?? []), place]);
      }
      const middle = (numbers) => numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
      const taken = [];
      pen.font = `bold 12px ${getComputedStyle(cloud).fontFamily}`;
      pen.textAlign = "center";
      pen.textBaseline = "middle";
      pen.lineJoin = "round";
      for (const [label, places] of [...members].sort((a, b) => b[1].length - a[1].length)) {
        const text = data.classes[label].length > 18 ? `${data.classes[label].slice(0, 17)}…` : data.classes[label];
        const half = pen.measureText(text).width / 2 + 2;
        const x = Math.min(Math.max(middle(places.map((place) => left[place])), half), side - half);
        const y = middle(places.map((place) => top[place]));
        if (taken.some((other) => Math.abs(other.x - x) < other.half + half && Math.abs(other.y - y) < 15)) continue;
        taken.push({ x, y, half });
        pen.strokeStyle = colors.ground;
        pen.lineWidth = 4;
        pen.strokeText(text, x, y);
        pen.fillStyle = colors.ink;
        pen.fillText(text, x, y);
      }
    };

    const draw = () => {
      const sharp = devicePixelRatio || 1;
      canvas.width = Math.round(side * sharp);
      canvas.height = Math.round(side * sharp);
      const pen = canvas.getContext("2d");
      pen.scale(sharp, sharp);
      settle();
      const only = Number(chosenClass.value);
      const radius = Math.min(Math.max((side * 0.175) / Math.sqrt(groups[0].end - groups[0].start), 1.3), 3);
      const several = groups.filter((_, index) => shown[index].input.checked).length > 1;
      groups.forEach((group, index) => {
        const above = index > 0 || !several;
        // One path for each colour: those that are pale against the ground are told from it by their rim.
        const paths = new Map();
        for (let place = group.start; place < group.end; place += 1) {
          if (!visible(place)) continue;
          const color = colorOf(place);
          const strong = only < 0 || truths?.[place] === only;
          const key = `${strong} ${color}`;
          if (!paths.has(key)) paths.set(key, { color, strong, path: new Path2D() });
          const { path } = paths.get(key);
          path.moveTo(left[place] + radius, top[place]);
          path.arc(left[place], top[place], radius, 0, 7);
        }
        for (const { color, strong, path } of [...paths.values()].sort((a, b) => a.strong - b.strong)) {
          pen.globalAlpha = strong ? (above ? 1 : 0.35) : 0.15;
          pen.strokeStyle = index > 0 ? colors.ink : colors.muted;
          pen.lineWidth = index > 0 ? 1.4 : 0.8;
          pen.stroke(path);
          pen.fillStyle = color;
          pen.fill(path);
        }
      });
      pen.globalAlpha = 1;
      pen.strokeStyle = colors.ink;
      if (only >= 0 && at > 0) {
        pen.globalAlpha = 0.25;
        pen.lineWidth = 0.8;
        for (let place = 0; place < size; place += 1) {
          if (truths[place] === only && visible(place)) trail(pen, place, Math.max(0, Math.ceil(at) - 1));
        }
        pen.globalAlpha = 1;
      }
      named(pen);
      const marked = chosen >= 0 ? chosen : under;
      if (marked >= 0 && !Number.isNaN(left[marked])) {
        pen.strokeStyle = colors.ink;
        pen.lineWidth = 1.2;
        trail(pen, marked, 0);
      }
      for (const place of new Set([chosen, under])) {
        if (place < 0 || Number.isNaN(left[place])) continue;
        pen.beginPath();
        pen.arc(left[place], top[place], radius + 4, 0, 7);
        pen.strokeStyle = colors.ground;
        pen.lineWidth = 5;
        pen.stroke();
        pen.strokeStyle = colors.ink;
        pen.lineWidth = 2;
        pen.stroke();
      }
    };

    // What is known of a point, in words.
    const lines = (place) => {
      const found = [];
      const [truth, guess, score] = [data.truth(place), data.guess(place, frame()), data.score(place, frame())];
      if (truth !== null) found.push(["true", truth]);
      if (guess !== null) found.push(["predicted", guess]);
      if (score !== null) found.push([data.measure, score]);
      return found;
    };
    const tell = () => {
      const place = under >= 0 ? under : chosen;
      card.replaceChildren();
      if (place < 0) {
        const range = data.values && most > least ? ` The stronger the colour, the larger the true value: ${data.value(least)} to ${data.value(most)}.` : "";
        card.append(make("p", { class: "hint" }, `Point at an example, or choose one.${range}`));
        return;
      }
      const title = data.title(place);
      const picture = data.picture(place, 112);
      if (picture) card.append(picture);
      card.append(make("p", { class: "card-title" }, title[0].toUpperCase() + title.slice(1)));
      const list = make("dl");
      for (const [term, text] of lines(place)) list.append(make("dt", {}, term), make("dd", { dir: "auto" }, text));
      card.append(list, make("a", { href: `#${data.anchor(place)}` }, "Its story"));
    };

    const show = (moment) => {
      at = moment;
      slider.value = frame();
      name.textContent = data.frames[frame()];
      slider.setAttribute("aria-valuetext", data.frames[frame()]);
      canvas.setAttribute("aria-label", `${figure.dataset.alt} Frame shown: ${data.frames[frame()]}.`);
      if (side) draw(); // else it is drawn when it has a size
      tell();
      // The same moment on every chart over epochs.
      const [from, to] = [data.epochs[Math.floor(at)], data.epochs[Math.min(Math.floor(at) + 1, last)]];
      const epoch = from + (to - from) * (at % 1);
      for (const axis of last > 0 ? data.inFigures("[data-across]") : []) {
        const [first, start, end, stop, above, below] = axis.dataset.across.split(" ").map(Number);
        const x = start + ((epoch - first) / (end - first || 1)) * (stop - start);
        axis.setAttribute("d", epoch < first || epoch > end ? "" : `M${x.toFixed(1)} ${above}V${below}`);
      }
    };

    const pause = () => {
      cancelAnimationFrame(timer);
      clearTimeout(timer);
      timer = 0;
      button.textContent = "Play";
      show(frame());
    };
    const play = () => {
      button.textContent = "Pause";
      const pace = Math.min(PACE, LONGEST / last);
      const from = at === last ? 0 : at;
      show(from);
      if (calm.matches) {
        const step = () => {
          if (frame() === last) pause();
          else {
            show(frame() + 1);
            timer = setTimeout(step, Math.max(pace, 500));
          }
        };
        timer = setTimeout(step, Math.max(pace, 500));
        return;
      }
      let began = null;
      const step = (now) => {
        began ??= now;
        const passed = from + (now - began) / pace;
        const eased = Math.floor(passed) + (1 - Math.cos(Math.PI * (passed % 1))) / 2;
        if (passed >= last) {
          at = last;
          pause();
          return;
        }
        show(eased);
        timer = requestAnimationFrame(step);
      };
      timer = requestAnimationFrame(step);
    };
    on(button, "click", () => (timer ? pause() : play()));
    on(slider, "input", () => {
      const wanted = Number(slider.value);
      if (timer) pause();
      show(wanted);
    });
    for (const input of [...shown.map((one) => one.input), wrong.input, chosenClass]) {
      on(input, "input", () => {
        if (chosen >= 0 && !visible(chosen)) chosen = -1;
        show(at);
      });
    }

    const nearest = (x, y, reach, fits = () => true) => {
      let [best, distance] = [-1, reach];
      for (let place = 0; place < size; place += 1) {
        if (!visible(place)) continue;
        const away = Math.hypot(left[place] - x, top[place] - y);
        if (away < distance && fits(place)) [best, distance] = [place, away];
      }
      return best;
    };
    const pointed = (event) => {
      const box = canvas.getBoundingClientRect();
      return nearest(event.clientX - box.left, event.clientY - box.top, event.pointerType === "touch" ? 2 * NEAR : NEAR);
    };
    const hover = (place) => {
      if (place === under) return;
      under = place;
      if (!timer) draw();
      tell();
    };
    on(canvas, "pointermove", (event) => hover(pointed(event)));
    on(canvas, "pointerleave", () => hover(-1));
    on(canvas, "click", (event) => {
      const place = pointed(event);
      examples.choose(place === chosen ? -1 : place);
    });
    const order = () => Array.from({ length: size }, (_, place) => place).filter(visible);
    on(canvas, "keydown", (event) => {
      if (held(event)) return;
      const places = order();
      const index = places.indexOf(chosen);
      let next = -1;
      if (event.key in SIDES) {
        const [x, y] = SIDES[event.key];
        if (chosen < 0) next = nearest(side / 2, side / 2, Infinity);
        else {
          // In the quarter on that side; of points in one place the next in order.
          next = nearest(left[chosen], top[chosen], Infinity, (place) => {
            const [dx, dy] = [left[place] - left[chosen], top[place] - top[chosen]];
            const [along, across] = [dx * x + dy * y, Math.abs(dx * y) + Math.abs(dy * x)];
            return along > 0 && across <= along;
          });
        }
      } else if (event.key === "PageDown") next = places[Math.min(index + 1, places.length - 1)] ?? -1;
      else if (event.key === "PageUp") next = places[Math.max(index - 1, 0)] ?? -1;
      else if (event.key === "Home") next = places[0] ?? -1;
      else if (event.key === "End") next = places.at(-1) ?? -1;
      else if (event.key === "Escape" && chosen >= 0) examples.choose(-1);
      else if (event.key === "Enter" && chosen >= 0) location.hash = data.anchor(chosen);
      else return;
      event.preventDefault();
      if (next < 0) return;
      examples.choose(next);
      said.textContent = [data.title(next), ...lines(next).map((line) => line.join(" "))].join(", ");
    });
    examples.follow((place) => {
      chosen = place;
      if (place >= 0) {
        shown[groups.indexOf(data.groupOf(place))].input.checked = true;
        if (!visible(place)) wrong.input.checked = false;
      }
      show(at);
    });

    figure.classList.add("alive");
    figure.querySelector(".picture").before(cloud);
    const refresh = () => {
      readColors();
      draw();
    };
    new ResizeObserver(() => {
      const wide = Math.min(Math.floor(plot.clientWidth), 560);
      if (wide === side || wide < 50) return;
      side = wide;
      canvas.style.width = canvas.style.height = `${side}px`;
      readColors();
      show(at);
    }).observe(plot);
    new MutationObserver(refresh).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) on(matchMedia(query), "change", refresh);
    // Zooming changes how many pixels of the screen make one of the page.
    const follow = () => {
      draw();
      on(matchMedia(`(resolution: ${devicePixelRatio}dppx)`), "change", follow, { once: true });
    };
    on(matchMedia(`(resolution: ${devicePixelRatio}dppx)`), "change", follow, { once: true });
    document.fonts?.ready.then(() => side && draw());
  };

  for (const link of document.querySelectorAll(".motion .download")) {
    link.href = link.closest(".motion").querySelector(".film").getAttribute("src");
    link.hidden = false;
  }
  for (const figure of document.querySelectorAll("figure[data-live]")) {
    const examples = known.get(figure.dataset.live);
    if (!examples) continue;
    figure.dataset.alt = figure.querySelector(".picture [aria-label]")?.getAttribute("aria-label") ?? "";
    known.afterwards(() => start(figure, examples));
  }
})();
