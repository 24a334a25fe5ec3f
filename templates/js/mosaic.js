// Point at a tile, or walk the tiles with the arrow keys: its number and values stand below the picture. Where the
// picture is wider than its place, its tiles go into more rows.
(() => {
  "use strict";
  // The same tiles in rows of so many: a function of the columns, that puts them back for the picture's own number.
  const wrapper = (svg, at, labelOf) => {
    const own = [...svg.childNodes];
    const [width, height] = ["width", "height"].map((name) => svg.getAttribute(name));
    const use = svg.querySelector("use")?.getAttribute("href");
    const frame = svg.querySelector(":scope > rect[fill]")?.getAttribute("fill");
    const boxes = [...svg.querySelectorAll(":scope > svg")].map((row) => row.getAttribute("viewBox").split(" ").map(Number));
    const gutter = svg.querySelector("text.gutter") !== null;
    const place = (tile, columns) => [at.left + (tile % columns) * at.pitchX, at.top + Math.floor(tile / columns) * at.pitchY];
    return (columns) => {
      if (columns === at.ownColumns || !use) {
        svg.replaceChildren(...own);
        svg.setAttribute("width", width);
        svg.setAttribute("height", height);
        svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
        return;
      }
      const parts = [svg.querySelector("defs") ?? own.find((node) => node.localName === "defs")];
      for (let first = 0; first < at.count; first += columns) {
        const last = Math.min(first + columns, at.count);
        const [left, top] = place(first, columns);
        const across = (last - first) * at.pitchX - (at.pitchX - at.tileWidth);
        parts.push(shape("rect", { x: left - 1, y: top - 1, width: across + 2, height: at.tileHeight + 2, fill: frame }));
        // Runs of tiles that stand in one row of the picture, which is one raster.
        for (let tile = first; tile < last; ) {
          const [row, column] = [Math.floor(tile / at.ownColumns), tile % at.ownColumns];
          const run = Math.min(last - tile, at.ownColumns - column);
          const [x, y] = place(tile, columns);
          const wide = run * at.pitchX - (at.pitchX - at.tileWidth);
          const box = [boxes[row][0] + (column * at.pitchX) / at.scale, boxes[row][1], wide / at.scale, boxes[row][3]];
          parts.push(shape("svg", { x, y, width: wide, height: at.tileHeight, viewBox: box.join(" ") }, shape("use", { href: use })));
          tile += run;
        }
        if (gutter) {
          const text = shape("text", { x: at.left - 6, y: top + Math.floor((at.tileHeight + 7) / 2), class: "gutter" });
          const label = labelOf(first);
          text.textContent = label.length > 9 ? `${label.slice(0, 8)}…` : label;
          parts.push(text);
        }
      }
      for (const node of own) {
        if (!(node.localName === "text" && !gutter) && !node.classList?.contains("outline")) continue;
        const copy = node.cloneNode(true);
        const [x, y] = ["x", "y"].map((name) => Number(node.getAttribute(name)));
        // A name stands in the 26 px above its tile.
        const above = node.localName === "text" ? 4 : 0;
        const tile = Math.round((x - at.left) / at.pitchX) + at.ownColumns * Math.round((y + above - at.top) / at.pitchY);
        const [before, after] = [place(tile, at.ownColumns), place(tile, columns)];
        copy.setAttribute("x", x + after[0] - before[0]);
        copy.setAttribute("y", y + after[1] - before[1]);
        parts.push(copy);
      }
      const size = [at.left + columns * at.pitchX - (at.pitchX - at.tileWidth) + 2, place(at.count - 1, columns)[1] + at.tileHeight + 2];
      svg.replaceChildren(...parts);
      svg.setAttribute("width", size[0]);
      svg.setAttribute("height", size[1]);
      svg.setAttribute("viewBox", `0 0 ${size[0]} ${size[1]}`);
    };
  };

  for (const svg of document.querySelectorAll("svg.tiles")) {
    const box = svg.closest(".picture");
    const readout = make("p", { class: "readout", role: "status" });
    const bar = box.nextElementSibling;
    if (bar?.classList.contains("colorbar")) bar.append(readout);
    else box.after(readout);
    let at, labels, links, form, values;
    let cursor = null;
    let current = -1;

    // A page has hundreds of these pictures, and a reader points at a few.
    const read = () => {
      if (at) return;
      const { labels: names, links: anchors, ...places } = svg.dataset;
      at = Object.fromEntries(Object.entries(places).map(([name, value]) => [name, Number(value)]));
      at.ownColumns = Math.min(at.columns, at.count);
      at.columns = at.ownColumns;
      labels = names ? JSON.parse(names) : null;
      form = svg.dataset.form;
      values = svg.dataset.values?.split("\n");
      links = anchors && known.size ? JSON.parse(anchors) : null;
    };
    const labelOf = (tile) => (labels ? labels[tile] : String(tile));

    const show = (tile) => {
      if (tile === current) return;
      current = tile;
      if (tile < 0) {
        cursor?.remove();
        readout.textContent = "";
        return;
      }
      cursor ??= shape("rect", { class: "cursor", width: at.tileWidth, height: at.tileHeight });
      cursor.setAttribute("x", at.left + (tile % at.columns) * at.pitchX);
      cursor.setAttribute("y", at.top + Math.floor(tile / at.columns) * at.pitchY);
      svg.append(cursor);
      const words = values?.[tile].split(" ");
      const said = form ? form.replace(/#/g, () => words.shift()) : words?.join(" ");
      readout.textContent = labelOf(tile) + (values ? `: ${said}` : "");
    };

    const tileUnder = (event) => {
      read();
      const point = within(svg, event);
      const column = Math.floor((point.x - at.left) / at.pitchX);
      const row = Math.floor((point.y - at.top) / at.pitchY);
      const inside =
        column >= 0 && column < at.columns && row >= 0 &&
        point.x - at.left - column * at.pitchX < at.tileWidth &&
        point.y - at.top - row * at.pitchY < at.tileHeight;
      const tile = row * at.columns + column;
      return inside && tile < at.count ? tile : -1;
    };

    on(svg, "pointermove", (event) => show(tileUnder(event)));
    on(svg, "pointerleave", () => show(-1));
    on(box, "blur", () => show(-1));
    // A tile that is an example leads to its story.
    const follow = (tile) => {
      if (tile < 0 || !links) return false;
      svg.closest("dialog")?.close();
      location.hash = links[tile];
      return true;
    };
    if (svg.dataset.links && known.size) {
      svg.classList.add("lists");
      on(svg, "click", (event) => {
        if (follow(tileUnder(event))) event.stopPropagation();
      });
    }
    on(box, "keydown", (event) => {
      read();
      if (event.key === "Enter" && follow(current)) return;
      const step = SIDES[event.key];
      if (!step || held(event)) return;
      const next = current < 0 ? 0 : current + step[0] + step[1] * at.columns;
      if (next < 0 || next >= at.count) return;
      event.preventDefault();
      show(next);
      const left = (at.left + (next % at.columns) * at.pitchX) * (svg.clientWidth / svg.viewBox.baseVal.width);
      const shown = at.tileWidth * (svg.clientWidth / svg.viewBox.baseVal.width);
      if (left < box.scrollLeft) box.scrollLeft = left;
      if (left + shown > box.scrollLeft + box.clientWidth) box.scrollLeft = left + shown - box.clientWidth;
    });

    if (svg.dataset.count === "1") continue;
    const own = Number(svg.getAttribute("width"));
    let wrap = null;
    // In a row the picture makes its own box as narrow as it is itself: the row says what room there is.
    const place = box.closest(".row-figures") ?? box;
    new ResizeObserver(() => {
      const wide = place.clientWidth;
      // In the dialog and on paper it stands as it did in the page.
      if (svg.closest("dialog") || matchMedia("print").matches || (!wrap && wide >= own) || !wide) return;
      read();
      wrap ??= wrapper(svg, at, labelOf);
      const room = wide - 4 - at.left - at.tileWidth;
      const columns = wide >= own ? at.ownColumns : Math.min(at.ownColumns, Math.max(1, 1 + Math.floor(room / at.pitchX)));
      if (columns === at.columns) return;
      show(-1);
      at.columns = columns;
      wrap(columns);
    }).observe(place);
  }
})();
