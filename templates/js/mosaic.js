// Point at a tile, or walk the tiles with the arrow keys: its number and values stand below the picture.
(() => {
  "use strict";
  const SVG = "http://www.w3.org/2000/svg";

  for (const svg of document.querySelectorAll("svg.tiles")) {
    const box = svg.closest(".picture");
    const readout = document.createElement("p");
    readout.className = "readout";
    readout.setAttribute("role", "status");
    const bar = box.nextElementSibling;
    if (bar?.classList.contains("colorbar")) bar.append(readout);
    else box.after(readout);
    let at, labels, values;
    let cursor = null;
    let current = -1;

    // A page has hundreds of these pictures, and a reader points at a few.
    const read = () => {
      if (at) return;
      const { labels: names, values: texts, ...places } = svg.dataset;
      at = Object.fromEntries(Object.entries(places).map(([name, value]) => [name, Number(value)]));
      labels = names ? JSON.parse(names) : null;
      values = texts ? JSON.parse(texts) : null;
    };

    const show = (tile) => {
      if (tile === current) return;
      current = tile;
      if (tile < 0) {
        cursor?.remove();
        readout.textContent = "";
        return;
      }
      if (!cursor) {
        cursor = document.createElementNS(SVG, "rect");
        cursor.setAttribute("class", "cursor");
        cursor.setAttribute("width", at.tileWidth);
        cursor.setAttribute("height", at.tileHeight);
      }
      cursor.setAttribute("x", at.left + (tile % at.columns) * at.pitchX);
      cursor.setAttribute("y", at.top + Math.floor(tile / at.columns) * at.pitchY);
      svg.append(cursor);
      const label = labels ? labels[tile] : String(tile);
      readout.textContent = values ? `${label}: ${values[tile]}` : label;
    };

    const tileUnder = (event) => {
      read();
      const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      const column = Math.floor((point.x - at.left) / at.pitchX);
      const row = Math.floor((point.y - at.top) / at.pitchY);
      const inside =
        column >= 0 && column < at.columns && row >= 0 &&
        point.x - at.left - column * at.pitchX < at.tileWidth &&
        point.y - at.top - row * at.pitchY < at.tileHeight;
      const tile = row * at.columns + column;
      return inside && tile < at.count ? tile : -1;
    };

    svg.addEventListener("pointermove", (event) => show(tileUnder(event)));
    svg.addEventListener("pointerleave", () => show(-1));
    box.addEventListener("blur", () => show(-1));
    box.addEventListener("keydown", (event) => {
      read();
      const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: at.columns, ArrowUp: -at.columns }[event.key];
      if (step === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
      const next = current < 0 ? 0 : current + step;
      if (next < 0 || next >= at.count) return;
      event.preventDefault();
      show(next);
      const left = (at.left + (next % at.columns) * at.pitchX) * (svg.clientWidth / svg.viewBox.baseVal.width);
      const shown = at.tileWidth * (svg.clientWidth / svg.viewBox.baseVal.width);
      if (left < box.scrollLeft) box.scrollLeft = left;
      if (left + shown > box.scrollLeft + box.clientWidth) box.scrollLeft = left + shown - box.clientWidth;
    });
  }
})();
