// The coefficients in a JPEG file, sequential or progressive, as ITU-T T.81 lays them down.

import { Bits, huffman, Scan, ZIGZAG } from "./jpeg_bits.js";

const RARE = "That image is a JPEG of a rare kind. Save it anew and try again.";
const SEQUENTIAL = [0xc0, 0xc1], PROGRESSIVE = 0xc2;

/**
 * Returns the frame of a JPEG file: its size, its components with their blocks of coefficients in
 * natural order, and what tells the colours.
 * @param {Uint8Array} bytes
 * @throws {Error} Not such a file, or damaged; its message is for the user.
 */
export function read(bytes) {
  const word = (at) => (bytes[at] << 8) | bytes[at + 1];
  const quantisers = [], tables = { dc: [], ac: [] };
  let frame = null, interval = 0, adobe = null, at = 2;
  if (word(0) !== 0xffd8) throw new Error("That image is no JPEG.");
  while (at < bytes.length) {
    if (bytes[at] !== 0xff) {
      at++;
      continue;
    }
    const marker = bytes[at + 1];
    if (marker === 0xd9) break;
    if (marker === 0xff || marker === 0 || (marker >= 0xd0 && marker <= 0xd8)) {
      at += marker === 0xff ? 1 : 2;
      continue;
    }
    const start = at + 4, end = at + 2 + word(at + 2);
    if (marker === 0xdb) {
      for (let p = start; p < end; ) {
        const wide = bytes[p] >> 4, table = (quantisers[bytes[p++] & 15] = new Uint16Array(64));
        for (let k = 0; k < 64; k++, p += wide ? 2 : 1) table[ZIGZAG[k]] = wide ? word(p) : bytes[p];
      }
    } else if (marker === 0xc4) {
      for (let p = start; p < end; ) {
        const kind = bytes[p] >> 4 ? tables.ac : tables.dc, number = bytes[p] & 15;
        const counts = [...bytes.subarray(p + 1, p + 17)], size = counts.reduce((a, b) => a + b, 0);
        kind[number] = huffman(counts, bytes.subarray(p + 17, p + 17 + size));
        p += 17 + size;
      }
    } else if (marker === 0xdd) {
      interval = word(start);
    } else if (marker === 0xee && String.fromCharCode(...bytes.subarray(start, start + 5)) === "Adobe") {
      adobe = bytes[start + 11];
    } else if (SEQUENTIAL.includes(marker) || marker === PROGRESSIVE) {
      frame = frameOf(bytes, start, word);
      frame.progressive = marker === PROGRESSIVE;
    } else if (marker >= 0xc3 && marker <= 0xcf && marker !== 0xc8 && marker !== 0xcc) {
      throw new Error(RARE);
    } else if (marker === 0xda) {
      at = scan(bytes, start, end, frame, tables, interval);
      continue;
    }
    at = end;
  }
  if (!frame) throw new Error("That image is cut short.");
  for (const component of frame.components) component.quantiser = quantisers[component.table];
  return { ...frame, adobe };
}

function frameOf(bytes, start, word) {
  const [height, width, count] = [word(start + 1), word(start + 3), bytes[start + 5]];
  if (bytes[start] !== 8 || !height) throw new Error(RARE);
  const components = Array.from({ length: count }, (_, k) => {
    const p = start + 6 + 3 * k;
    return { id: bytes[p], h: bytes[p + 1] >> 4, v: bytes[p + 1] & 15, table: bytes[p + 2], before: 0 };
  });
  const [h, v] = [Math.max(...components.map((c) => c.h)), Math.max(...components.map((c) => c.v))];
  const [across, down] = [Math.ceil(width / (8 * h)), Math.ceil(height / (8 * v))];
  for (const component of components) {
    component.width = Math.ceil((width * component.h) / h);
    component.height = Math.ceil((height * component.v) / v);
    component.across = across * component.h;
    component.blocks = new Int16Array(64 * component.across * down * component.v);
  }
  return { width, height, components, h, v, across, down };
}

/** Decodes a scan into the blocks; returns where it ends. */
function scan(bytes, start, end, frame, tables, interval) {
  const chosen = Array.from({ length: bytes[start] }, (_, k) => {
    const [id, number] = bytes.subarray(start + 1 + 2 * k, start + 3 + 2 * k);
    const component = frame.components.find((c) => c.id === id);
    return Object.assign(component, { dc: tables.dc[number >> 4], ac: tables.ac[number & 15], before: 0 });
  });
  const [first, last, bitsOf] = bytes.subarray(end - 3, end);
  const bits = new Bits(bytes, end);
  const about = { first, last, high: bitsOf >> 4, low: bitsOf & 15, progressive: frame.progressive };
  const its = new Scan(bits, about);
  const one = (component, row, column) => {
    const at = 64 * (row * component.across + column);
    its.block(component.blocks.subarray(at, at + 64), component);
  };
  const single = chosen.length === 1 ? chosen[0] : null;
  const across = single ? Math.ceil(single.width / 8) : frame.across;
  const count = across * (single ? Math.ceil(single.height / 8) : frame.down);
  for (let unit = 0; unit < count; unit++) {
    if (interval && unit && unit % interval === 0) {
      bits.restart();
      its.restart();
      for (const component of chosen) component.before = 0;
    }
    const [row, column] = [Math.floor(unit / across), unit % across];
    if (single) {
      one(single, row, column);
      continue;
    }
    for (const component of chosen) {
      for (let y = 0; y < component.v; y++) {
        for (let x = 0; x < component.h; x++) {
          one(component, row * component.v + y, column * component.h + x);
        }
      }
    }
  }
  return bits.at;
}
