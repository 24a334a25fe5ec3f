// Each figure can be taken away: as SVG or PNG as it stands on the page, with its numbers, its link and a citation.
(() => {
  "use strict";
  const NS = "http://www.w3.org/2000/svg";
  const MARGIN = 8;
  const LARGEST = 8000; // pixels of a PNG's side
  const NONE = -32768; // where a column has no number; NaN is not above it either
  const LOOK = ["fill", "stroke", "stroke-width", "stroke-opacity", "font-size", "font-weight", "text-anchor", "paint-order", "image-rendering"];
  const carried = document.getElementById("page-numbers");
  const [files, sections] = carried ? [carried.dataset.files, carried.dataset.sections].map(JSON.parse) : [[], {}];

  // The picture behind a URL as a PNG in a data: URI, which every program reads.
  const loaded = async (url) => {
    const image = new Image();
    image.src = url;
    await image.decode();
    return image;
  };
  const onCanvas = (image, width, height, smooth = true) => {
    const canvas = make("canvas", { width, height });
    const pen = canvas.getContext("2d");
    pen.imageSmoothingEnabled = smooth;
    pen.drawImage(image, 0, 0, width, height);
    return canvas;
  };
  const inlined = async (url) => {
    if (url.startsWith("data:image/png") || url.startsWith("data:image/svg")) return url;
    const image = await loaded(url);
    return onCanvas(image, image.naturalWidth, image.naturalHeight).toDataURL();
  };

  // A copy that needs no style sheet: what the classes say stands in attributes.
  const styled = (element) => {
    const copy = element.cloneNode(false);
    const look = getComputedStyle(element);
    copy.removeAttribute("class");
    copy.removeAttribute("style");
    for (const name of Object.keys(copy.dataset)) delete copy.dataset[name];
    if (copy.tagName === "a") copy.removeAttribute("href");
    for (const name of LOOK) {
      const value = look.getPropertyValue(name);
      if (value !== getComputedStyle(element.parentElement).getPropertyValue(name) || element.hasAttribute(name)) copy.setAttribute(name, value);
    }
    for (const child of element.childNodes) {
      if (child.nodeType === Node.TEXT_NODE) copy.append(child.data);
      else if (child.nodeType === Node.ELEMENT_NODE && !child.matches(".hook, .cursor")) copy.append(styled(child));
    }
    return copy;
  };

  // What a figure shows at this moment, drawings and pictures and the colour bar, as one SVG.
  const composed = async (figure) => {
    const parts = [...figure.querySelectorAll(":is(.picture, .plot, .explorer-views, .colorbar) :is(svg, img, canvas), .colorbar :is(.end, .middle)")]
      .filter((part) => part.getClientRects().length && !part.parentElement.closest("svg"));
    const boxes = parts.map((part) => part.getBoundingClientRect());
    const left = Math.min(...boxes.map((box) => box.left)) - MARGIN;
    const top = Math.min(...boxes.map((box) => box.top)) - MARGIN;
    const width = Math.ceil(Math.max(...boxes.map((box) => box.right)) - left + MARGIN);
    const height = Math.ceil(Math.max(...boxes.map((box) => box.bottom)) - top + MARGIN);
    const look = getComputedStyle(document.body);
    const root = shape("svg", { xmlns: NS, width, height, viewBox: `0 0 ${width} ${height}`, "font-family": look.fontFamily.replaceAll('"', "'"), "font-size": look.fontSize });
    const ramps = shape("defs");
    root.append(shape("rect", { width, height, fill: look.backgroundColor }), ramps);
    for (const [index, part] of parts.entries()) {
      const box = boxes[index];
      const place = { x: box.left - left, y: box.top - top, width: box.width, height: box.height };
      if (part.matches("svg")) {
        const copy = styled(part);
        for (const [name, value] of Object.entries({ ...place, overflow: "visible" })) copy.setAttribute(name, value);
        root.append(copy);
        for (const filled of part.querySelectorAll('[fill*="#page-ramp"]')) {
          const ramp = document.getElementById(filled.getAttribute("fill").slice(5, -1));
          if (ramp && !ramps.querySelector(`[id="${ramp.id}"]`)) ramps.append(ramp.cloneNode(true));
        }
      } else if (part.matches("img, canvas")) {
        const href = part.matches("canvas") ? part.toDataURL() : part.src;
        root.append(shape("image", { ...place, href, preserveAspectRatio: "none", "image-rendering": getComputedStyle(part).imageRendering }));
      } else {
        const own = getComputedStyle(part);
        const words = shape("text", { x: place.x, y: place.y + box.height * 0.85, fill: own.color, "font-size": own.fontSize }, part.textContent);
        root.append(words);
      }
    }
    for (const image of root.querySelectorAll("image")) image.setAttribute("href", await inlined(image.getAttribute("href")));
    return { text: new XMLSerializer().serializeToString(root), width, height };
  };
  const svg = async (figure) => new Blob([(await composed(figure)).text], { type: "image/svg+xml" });
  const png = async (figure) => {
    const { text, width, height } = await composed(figure);
    const sharp = Math.min(2, LARGEST / Math.max(width, height));
    const image = await loaded(`data:image/svg+xml,${encodeURIComponent(text)}`);
    return new Promise((done) => onCanvas(image, width * sharp, height * sharp).toBlob(done, "image/png"));
  };

  // A file as it is, or made of its columns: `page.carried` says what these are.
  const csv = async ([, start, length, table]) => {
    const packed = bytesOf(carried.dataset.packed).slice(start, start + length);
    if (!table) return inflated(packed).blob();
    const read = await unpack(packed, table.arrays.map(([rows, size, bytes]) => ({ rows, size, bytes })));
    const arrays = read.map((row) => new (row(0).constructor)(row(0).buffer));
    const powers = arrays.splice(table.kinds.filter((kind) => !kind.of).length);
    const cells = await Promise.all(table.kinds.map(async (kind) => {
      if (kind.of) {
        const { column, groups } = await known.get(kind.of).data();
        const count = groups[0].end;
        return (row) => {
          const level = column[kind.axis](Math.floor(row / count))[row % count];
          return level < 0 ? "" : Number((kind.low + (level / 4095) * (kind.high - kind.low)).toPrecision(6));
        };
      }
      const values = arrays.shift();
      if (kind === "whole") return (row) => (values[row] > NONE ? values[row] : "");
      if (kind !== "short") return (row) => kind[values[row]];
      const power = powers.shift();
      return (row) => (values[row] > NONE ? Number(`${values[row]}e${power[row]}`) : "");
    }));
    return new Blob([table.head, ...Array.from({ length: table.rows }, (_, row) => `${cells.map((cell) => cell(row))}\n`)]);
  };

  const save = (blob, name) => {
    const link = make("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  };
  const panel = (figure, number) => {
    const said = make("span", { role: "status" });
    const button = (label, done, act) => {
      const element = make("button", { type: "button", class: "plain" }, label);
      on(element, "click", () => act().then(() => { said.textContent = done; }, (error) => {
        said.textContent = `The browser does not allow that here (${error.message}).`;
      }));
      return element;
    };
    const saving = (label, file, blob) => button(label, `Saved as ${file}.`, async () => save(await blob(), file));
    const address = location.protocol === "about:" ? "" : `${location.href.split("#")[0]}#${figure.id}`;
    const origin = document.querySelector(".origin")?.textContent;
    const cited = [document.querySelector("h1").textContent, number, ...(origin ? [origin] : []), "Made by reportgen", ...(address ? [address] : [])].join(". ");
    const own = files.filter(([name]) => sections[figure.closest("section").id]?.includes(name));
    const listed = (some, note) => (some.length ? [` ${some.map(([name]) => name).join(", ")}: ${note} --numbers.`] : []);
    const row = (title, ...content) => make("p", {}, make("span", { class: "take-title" }, title), ...content);
    return make("div", { class: "take", role: "group", "aria-label": `Take ${number} with you` },
      row("Picture", saving("SVG", `${figure.id}.svg`, () => svg(figure)), saving("PNG", `${figure.id}.png`, () => png(figure)),
        button("copy SVG", "Copied.", async () => navigator.clipboard.writeText((await composed(figure)).text)),
        button("copy PNG", "Copied.", async () => navigator.clipboard.write([new ClipboardItem({ "image/png": png(figure) })]))),
      ...(own.length ? [row("Numbers", ...own.filter((file) => file[2]).map((file) => saving(file[0], file[0], () => csv(file))),
        ...listed(own.filter((file) => file[3]), "rounded, in full with"), ...listed(own.filter((file) => !file[2]), "with"))] : []),
      ...(address ? [row("Link", make("a", { href: `#${figure.id}` }, `#${figure.id}`), button("copy link", "Copied.", () => navigator.clipboard.writeText(address)))] : []),
      row("Citation", make("span", { class: "cite", dir: "auto" }, cited), button("copy citation", "Copied.", () => navigator.clipboard.writeText(cited))),
      make("p", {}, said));
  };

  for (const figure of document.querySelectorAll(".figure")) {
    const caption = figure.querySelector(":scope > figcaption");
    const number = caption.querySelector(".number").textContent.replace(/\.$/, "");
    const button = make("button", { type: "button", class: "plain takes", "aria-expanded": "false", "aria-label": `Save or cite ${number}` }, "Save or cite");
    let shown = null;
    on(button, "click", () => {
      if (!shown) caption.after(shown = panel(figure, number));
      else shown.hidden = !shown.hidden;
      button.setAttribute("aria-expanded", String(!shown.hidden));
    });
    caption.append(button);
  }
})();
