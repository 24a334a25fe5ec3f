// Reads what `analysis.quantise.pack` wrote.
// unpack(base64, [{ rows, size, bytes }]) -> a function for each, (row) -> Int16Array or (4 bytes) Float32Array of `size`
const unpack = (() => {
  "use strict";
  // Bytes of each row: all lowest ones, then all next ones; words are differences from the row before.
  return async (text, columns) => {
    const packed = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
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
})();

// make("p", { class: "said" }, "text", element) -> the element with its attributes and contents; shape(...) one of SVG
const dressed = (element, attributes, content) => {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...content);
  return element;
};
const make = (tag, attributes = {}, ...content) => dressed(document.createElement(tag), attributes, content);
const shape = (tag, attributes = {}, ...content) => dressed(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, content);
