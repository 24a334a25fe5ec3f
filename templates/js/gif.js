// Reads a GIF's frames, so that the player can show any of them from the one copy that the page holds.
// decodeGif(bytes) -> { width, height, durations (ms), draw(index, Uint8ClampedArray of RGBA) }
const decodeGif = (() => {
  "use strict";

  const subBlocks = (bytes, start) => {
    const parts = [];
    let at = start;
    while (bytes[at] !== 0) {
      if (at >= bytes.length) throw new Error("the GIF ends within a block");
      parts.push(bytes.subarray(at + 1, at + 1 + bytes[at]));
      at += bytes[at] + 1;
    }
    const data = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let filled = 0;
    for (const part of parts) {
      data.set(part, filled);
      filled += part.length;
    }
    return { data, end: at + 1 };
  };

  // LZW as in the GIF89a specification, appendix F: codes grow to 12 bits, a table entry is the entry
  // of its prefix and one more index.
  const unpack = (data, minimum, length) => {
    const clear = 1 << minimum;
    const end = clear + 1;
    const prefix = new Uint16Array(4096);
    const last = new Uint8Array(4096);
    const first = new Uint8Array(4096);
    const size = new Uint16Array(4096);
    for (let code = 0; code < clear; code += 1) {
      last[code] = first[code] = code;
      size[code] = 1;
    }
    const out = new Uint8Array(length);
    let width = minimum + 1, next = end + 1, previous = -1, bits = 0, held = 0, filled = 0;
    for (let at = 0; filled < length; ) {
      while (held < width && at < data.length) {
        bits |= data[at] << held;
        held += 8;
        at += 1;
      }
      if (held < width) break;
      const code = bits & ((1 << width) - 1);
      bits >>>= width;
      held -= width;
      if (code === end) break;
      if (code === clear) {
        width = minimum + 1;
        next = end + 1;
        previous = -1;
        continue;
      }
      if (code > next || (previous < 0 && code >= clear)) throw new Error("the GIF has a code out of order");
      if (previous >= 0 && next < 4096) {
        prefix[next] = previous;
        first[next] = first[previous];
        last[next] = code === next ? first[previous] : first[code];
        size[next] = size[previous] + 1;
        next += 1;
        if (next === 1 << width && width < 12) width += 1;
      }
      let write = filled + size[code] - 1;
      filled += size[code];
      for (let entry = code; write >= filled - size[code]; write -= 1, entry = prefix[entry]) {
        if (write < length) out[write] = last[entry];
      }
      previous = code;
    }
    return out;
  };

  const word = (bytes, at) => bytes[at] | (bytes[at + 1] << 8);
  const colors = (flags) => (flags & 0x80 ? 3 * (2 << (flags & 7)) : 0);

  return (bytes) => {
    if (String.fromCharCode(...bytes.subarray(0, 4)) !== "GIF8") throw new Error("not a GIF");
    const width = word(bytes, 6);
    const height = word(bytes, 8);
    const globalPalette = bytes.subarray(13, 13 + colors(bytes[10]));
    const frames = [];
    let control = { delay: 0, clear: -1, disposal: 0 };
    let at = 13 + globalPalette.length;
    while (at < bytes.length && bytes[at] !== 0x3b) {
      if (bytes[at] === 0x21) {
        if (bytes[at + 1] === 0xf9) {
          const flags = bytes[at + 3];
          control = { delay: 10 * word(bytes, at + 4), clear: flags & 1 ? bytes[at + 6] : -1, disposal: (flags >> 2) & 7 };
        }
        at = subBlocks(bytes, at + 2).end;
      } else if (bytes[at] === 0x2c) {
        const [x, y, w, h] = [1, 3, 5, 7].map((offset) => word(bytes, at + offset));
        const flags = bytes[at + 9];
        const palette = flags & 0x80 ? bytes.subarray(at + 10, at + 10 + colors(flags)) : globalPalette;
        at += 10 + colors(flags);
        const minimum = bytes[at];
        const { data, end } = subBlocks(bytes, at + 1);
        if (flags & 0x40) throw new Error("the GIF is interlaced");
        frames.push({ x, y, w, h, palette, minimum, data, ...control });
        control = { delay: 0, clear: -1, disposal: 0 };
        at = end;
      } else {
        throw new Error("the GIF has an unknown block");
      }
    }
    if (!frames.length) throw new Error("the GIF has no frame");

    const paint = (frame, rgba) => {
      frame.pixels ??= unpack(frame.data, frame.minimum, frame.w * frame.h);
      for (let row = 0, from = 0; row < frame.h; row += 1) {
        let to = 4 * ((frame.y + row) * width + frame.x);
        for (let column = 0; column < frame.w; column += 1, from += 1, to += 4) {
          const index = frame.pixels[from];
          if (index === frame.clear) continue;
          rgba.set(frame.palette.subarray(3 * index, 3 * index + 3), to);
          rgba[to + 3] = 255;
        }
      }
    };
    const wipe = (frame, rgba) => {
      for (let row = 0; row < frame.h; row += 1) {
        const start = 4 * ((frame.y + row) * width + frame.x);
        rgba.fill(0, start, start + 4 * frame.w);
      }
    };
    const whole = (frame) => frame.clear < 0 && frame.w === width && frame.h === height;

    const draw = (index, rgba) => {
      let start = index;
      while (start > 0 && !whole(frames[start])) start -= 1;
      rgba.fill(0);
      for (let i = start; i <= index; i += 1) {
        const before = i < index && frames[i].disposal === 3 ? rgba.slice() : null;
        paint(frames[i], rgba);
        if (i < index && frames[i].disposal === 2) wipe(frames[i], rgba);
        if (before) rgba.set(before);
      }
    };
    return { width, height, durations: frames.map((frame) => frame.delay), draw };
  };
})();
