// The coefficients in a JPEG file, sequential or progressive, as ITU-T T.81 lays them down.

const ZIGZAG = Uint8Array.of(
  0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,
  6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38,
  31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
);
const SEQUENTIAL = [0xc0, 0xc1], PROGRESSIVE = 0xc2;

/** Returns a table that maps a code and its length to a value: `length << 16 | code`. */
function huffman(counts, values) {
  const table = new Map();
  let code = 0, at = 0;
  counts.forEach((count, k) => {
    for (let n = 0; n < count; n++) table.set(((k + 1) << 16) | code++, values[at++]);
    code <<= 1;
  });
  return table;
}

/** The bits of one scan, up to the next marker. */
class Bits {
  constructor(bytes, at) {
    Object.assign(this, { bytes, at, left: 0, byte: 0 });
  }

  bit() {
    if (!this.left) {
      this.byte = this.bytes[this.at];
      if (this.byte === undefined) throw new Error("That image is cut short.");
      if (this.byte === 0xff) {
        if (this.bytes[this.at + 1]) throw new Error("That image is cut short.");
        this.at++;
      }
      this.at++;
      this.left = 8;
    }
    return (this.byte >> --this.left) & 1;
  }

  number(size) {
    let value = 0;
    for (let k = 0; k < size; k++) value = (value << 1) | this.bit();
    return value;
  }

  /** A number of `size` bits whose first bit tells the sign. */
  signed(size) {
    const value = this.number(size);
    return size && value < 1 << (size - 1) ? value - (1 << size) + 1 : value;
  }

  symbol(table) {
    for (let code = 0, length = 1; length <= 16; length++) {
      code = (code << 1) | this.bit();
      const value = table.get((length << 16) | code);
      if (value !== undefined) return value;
    }
    throw new Error("That image is damaged.");
  }

  /** Passes over a restart marker. */
  restart() {
    this.left = 0;
    while (this.at < this.bytes.length && !(this.bytes[this.at] === 0xff && this.bytes[this.at + 1] >= 0xd0 && this.bytes[this.at + 1] <= 0xd7)) this.at++;
    this.at += 2;
  }
}

/** Decodes the blocks of a scan, one at a time; holds what lasts from block to block. */
class Scan {
  constructor(bits, { first, last, high, low, progressive }) {
    Object.assign(this, { bits, first, last, high, low, progressive, run: 0 });
  }

  restart() {
    this.run = 0;
  }

  block(block, component) {
    if (!this.progressive) {
      this.#start(block, component, 0);
      this.#fill(block, component, 1, 63, 0);
    } else if (!this.first) {
      if (this.high) block[0] |= this.bits.bit() << this.low;
      else this.#start(block, component, this.low);
    } else if (this.high) {
      this.#refine(block, component);
    } else if (this.run) {
      this.run--;
    } else {
      this.#fill(block, component, this.first, this.last, this.low);
    }
  }

  #start(block, component, low) {
    const size = this.bits.symbol(component.dc);
    component.before += this.bits.signed(size);
    block[0] = component.before << low;
  }

  #fill(block, component, first, last, low) {
    for (let k = first; k <= last; k++) {
      const symbol = this.bits.symbol(component.ac);
      const zeros = symbol >> 4, size = symbol & 15;
      if (!size && zeros < 15) {
        this.run = zeros ? (1 << zeros) + this.bits.number(zeros) - 1 : 0;
        return;
      }
      k += zeros;
      if (size) block[ZIGZAG[k]] = this.bits.signed(size) * (1 << low);
    }
  }

  /** Adds one bit to the coefficients that are there, and new ones between them. */
  #refine(block, component) {
    const one = 1 << this.low;
    let k = this.first;
    const correct = (place) => {
      if (this.bits.bit() && !(Math.abs(block[place]) & one)) block[place] += block[place] < 0 ? -one : one;
    };
    if (!this.run) {
      while (k <= this.last) {
        const symbol = this.bits.symbol(component.ac);
        let zeros = symbol >> 4, value = 0;
        if (symbol & 15) {
          value = this.bits.bit() ? one : -one;
        } else if (zeros < 15) {
          this.run = (1 << zeros) + this.bits.number(zeros);
          break;
        }
        for (; k <= this.last; k++) {
          const place = ZIGZAG[k];
          if (block[place]) correct(place);
          else if (zeros-- === 0) {
            if (value) block[place] = value;
            k++;
            break;
          }
        }
      }
    }
    if (this.run) {
      for (; k <= this.last; k++) if (block[ZIGZAG[k]]) correct(ZIGZAG[k]);
      this.run--;
    }
  }
}

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
      throw new Error("That image is a JPEG of a rare kind. Save it anew and try again.");
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
