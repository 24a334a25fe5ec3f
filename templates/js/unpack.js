// What the other scripts share: listening, places in drawings, numbers that the page carries, elements.
const on = (target, event, act, options) => target.addEventListener(event, act, options);
const held = (event) => event.altKey || event.ctrlKey || event.metaKey;
const SIDES = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
const within = (svg, event) => new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());

// The bytes of a base64 text, and what zlib made of others.
const bytesOf = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
const inflated = (bytes) => new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate")));

// Reads what `core.scripted.pack` wrote.
// unpack(bytes, [{ rows, size, bytes }]) -> a function for each, (row) -> Int16Array or (4 bytes) Float32Array of `size`
// Bytes of each row: all lowest ones, then all next ones; words are differences from the row before.
const unpack = async (packed, columns) => {
  const bytes = new Uint8Array(await inflated(packed).arrayBuffer());
  let start = 0;
  return columns.map(({ rows, size, bytes: length }) => {
    const words = length === 4 ? new Uint32Array(size * rows) : new Uint16Array(size * rows);
    for (let row = 0; row < rows; row += 1) {
      const here = row * size;
      if (row) words.copyWithin(here, here - size, here);
      for (let octet = 0; octet < length; octet += 1) {
        const [from, unit] = [start + (row * length + octet) * size, 2 ** (8 * octet)];
        for (let place = 0; place < size; place += 1) words[here + place] += bytes[from + place] * unit; // mod 2 ** 16 or 32
      }
    }
    start += words.byteLength;
    const values = length === 4 ? new Float32Array(words.buffer) : new Int16Array(words.buffer);
    return (row) => values.subarray(row * size, (row + 1) * size);
  });
};

// make("p", { class: "said" }, "text", element) -> the element with its attributes and contents; shape(...) one of SVG
const dressed = (element, attributes, content) => {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...content);
  return element;
};
const make = (tag, attributes = {}, ...content) => dressed(document.createElement(tag), attributes, content);
const shape = (tag, attributes = {}, ...content) => dressed(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, content);
