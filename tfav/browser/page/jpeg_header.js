// What a JPEG file says of itself: size, components, and which way up it is to be shown.

const ORIENTATION = 0x0112, SHORT = 3, LONG = 4;
export const UPRIGHT = 1;

/**
 * Returns the header of a JPEG file; null where it is none.
 * @param {Uint8Array} bytes
 * @returns {?{width: number, height: number, components: number, orientation: number}}
 */
export function header(bytes) {
  const word = (at) => (bytes[at] << 8) | bytes[at + 1];
  if (word(0) !== 0xffd8) return null;
  let orientation = null;
  for (let at = 2; at + 4 <= bytes.length; ) {
    const marker = word(at);
    if (marker < 0xff01 || marker === 0xffda) return null;
    if (marker === 0xffff) {
      at++;
      continue;
    }
    if (marker === 0xffe1 && orientation === null && text(bytes, at + 4, 6) === "Exif\0\0") {
      orientation = ofTiff(bytes, at + 10);
    }
    if (marker >= 0xffc0 && marker <= 0xffcf && ![0xffc4, 0xffc8, 0xffcc].includes(marker)) {
      const [height, width] = [word(at + 5), word(at + 7)];
      return { width, height, components: bytes[at + 9], orientation: orientation ?? UPRIGHT };
    }
    at += 2 + Math.max(word(at + 2), 2);
  }
  return null;
}

function text(bytes, at, length) {
  return String.fromCharCode(...bytes.subarray(at, at + length));
}

/** Returns the orientation in a TIFF header, from its first directory alone. */
function ofTiff(bytes, at) {
  const little = text(bytes, at, 2) === "II";
  const number = (place, width) => {
    const its = [...bytes.subarray(place, place + width)];
    return (little ? its.reverse() : its).reduce((sum, byte) => 256 * sum + byte, 0);
  };
  const first = at + number(at + 4, 4);
  const end = Math.min(first + 2 + 12 * number(first, 2), bytes.length);
  for (let entry = first + 2; entry + 12 <= end; entry += 12) {
    if (number(entry, 2) !== ORIENTATION) continue;
    const width = { [SHORT]: 2, [LONG]: 4 }[number(entry + 2, 2)];
    return width ? number(entry + 8, width) : UPRIGHT;
  }
  return UPRIGHT;
}
