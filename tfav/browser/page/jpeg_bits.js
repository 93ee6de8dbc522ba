// The bits of a scan of a JPEG file, and the blocks of coefficients that they stand for.

export const ZIGZAG = Uint8Array.of(
  0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,
  6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38,
  31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
);

/** Returns a table that maps a code and its length to a value: `length << 16 | code`. */
export function huffman(counts, values) {
  const table = new Map();
  let code = 0, at = 0;
  counts.forEach((count, k) => {
    for (let n = 0; n < count; n++) table.set(((k + 1) << 16) | code++, values[at++]);
    code <<= 1;
  });
  return table;
}

/** The bits of one scan, up to the next marker. */
export class Bits {
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
    const isRestart = (at) => this.bytes[at] === 0xff && (this.bytes[at + 1] & 0xf8) === 0xd0;
    while (this.at < this.bytes.length && !isRestart(this.at)) this.at++;
    this.at += 2;
  }
}

/** Decodes the blocks of a scan, one at a time; holds what lasts from block to block. */
export class Scan {
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
