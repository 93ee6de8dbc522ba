// The pixels of a JPEG file exactly as TensorFlow's `decode_jpeg` makes them. It takes libjpeg's
// fast transform, which is a level or two off what browsers and phones decode, and is what a network
// was trained on: a small image is turned by that to a cosine of 0.998.

import { read } from "./jpeg_scans.js";

// Scales of the AAN transform, 14 bits.
const AAN = [1, 1.387039845, 1.306562965, 1.175875602, 1, 0.785694958, 0.541196100, 0.275899379];
const MULTIPLIERS = AAN.flatMap((a) => AAN.map((b) => Math.round(16384 * a * b)));

/** One pass of the fast inverse transform over eight values, `step` apart. */
function pass(v, at, step) {
  const [a, b, c, d] = [v[at], v[at + 2 * step], v[at + 4 * step], v[at + 6 * step]];
  const [even, odd, both] = [a + c, a - c, b + d];
  const half = (((b - d) * 362) >> 8) - both;
  const [t0, t3, t1, t2] = [even + both, even - both, odd + half, odd - half];
  const [p, q, r, s] = [v[at + step], v[at + 3 * step], v[at + 5 * step], v[at + 7 * step]];
  const [z13, z10, z11, z12] = [r + q, r - q, p + s, p - s];
  const t7 = z11 + z13;
  const z5 = ((z10 + z12) * 473) >> 8;
  const t6 = ((z10 * -669) >> 8) + z5 - t7;
  const t5 = (((z11 - z13) * 362) >> 8) - t6;
  const t4 = ((z12 * 277) >> 8) - z5 + t5;
  v[at] = t0 + t7;
  v[at + 7 * step] = t0 - t7;
  v[at + step] = t1 + t6;
  v[at + 6 * step] = t1 - t6;
  v[at + 2 * step] = t2 + t5;
  v[at + 5 * step] = t2 - t5;
  v[at + 4 * step] = t3 + t4;
  v[at + 3 * step] = t3 - t4;
}

function clamp(value) {
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

/** Returns the samples of a component, its width rounded up to whole blocks. */
function samples(component) {
  const { blocks, across } = component;
  const scale = Int32Array.from(component.quantiser, (q, k) => (q * MULTIPLIERS[k] + 2048) >> 12);
  const stride = 8 * across, count = blocks.length / 64;
  const found = new Uint8Array(blocks.length);
  const work = new Int16Array(64);
  for (let b = 0; b < count; b++) {
    for (let k = 0; k < 64; k++) work[k] = blocks[64 * b + k] * scale[k];
    for (let x = 0; x < 8; x++) pass(work, x, 8);
    const corner = Math.floor(b / across) * 8 * stride + (b % across) * 8;
    for (let y = 0; y < 8; y++) {
      pass(work, 8 * y, 1);
      for (let x = 0; x < 8; x++) found[corner + y * stride + x] = clamp((work[8 * y + x] >> 5) + 128);
    }
  }
  return { data: found, stride, width: component.width, height: component.height };
}

/** Returns a plane twice as wide: each new sample lies between two old ones, 3 : 1. */
function wider({ data, stride, width, height }, [left, right, sum] = [1, 2, 4]) {
  const found = new Int32Array(2 * width * height);
  const shift = Math.log2(sum);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const here = data[y * stride + x];
      const before = x ? data[y * stride + x - 1] : here;
      const after = x < width - 1 ? data[y * stride + x + 1] : here;
      const at = 2 * (y * width + x);
      found[at] = (3 * here + before + left) >> shift;
      found[at + 1] = (3 * here + after + right) >> shift;
    }
  }
  return { data: found, stride: 2 * width, width: 2 * width, height };
}

/** Returns three parts of each row and one of its neighbour's: twice as high, four times as large. */
function higher({ data, stride, width, height }) {
  const found = new Int32Array(2 * width * height);
  for (let y = 0; y < 2 * height; y++) {
    const row = y >> 1;
    const other = Math.max(0, Math.min(height - 1, row + (y & 1 ? 1 : -1)));
    for (let x = 0; x < width; x++) found[y * width + x] = 3 * data[row * stride + x] + data[other * stride + x];
  }
  return { data: found, stride: width, width, height: 2 * height };
}

/** Returns a plane as large as the image, `h` times as wide and `v` times as high. */
function upsampled(plane, h, v) {
  if (h === 1 && v === 1) return plane;
  if (h === 2 && plane.width > 2 && v === 1) return wider(plane);
  if (h === 2 && plane.width > 2 && v === 2) return wider(higher(plane), [8, 7, 16]);
  if (h === 1 && v === 2) {
    const tall = higher(plane);
    tall.data.forEach((value, at) => (tall.data[at] = (value + 1 + (Math.floor(at / tall.width) & 1)) >> 2));
    return tall;
  }
  const [width, height] = [h * plane.width, v * plane.height];
  const data = new Int32Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      data[y * width + x] = plane.data[Math.floor(y / v) * plane.stride + Math.floor(x / h)];
    }
  }
  return { data, stride: width, width, height };
}

const fixed = (x) => Math.round(65536 * x);
const [RED, BLUE, GREEN_RED, GREEN_BLUE] = [1.402, 1.772, 0.71414, 0.34414].map(fixed);

/**
 * Returns the pixels of a JPEG file of one or three components; EXIF is not looked at.
 * @param {Uint8Array} bytes
 * @returns {{width: number, height: number, data: Uint8Array}} RGB.
 */
export function decode(bytes) {
  const frame = read(bytes);
  const { width, height, components, h, v } = frame;
  const planes = components.map((c) => upsampled(samples(c), h / c.h, v / c.v));
  const data = new Uint8Array(3 * width * height);
  const named = components.map((c) => String.fromCharCode(c.id)).join("");
  const isRgb = frame.adobe === null ? named === "RGB" : frame.adobe === 0;
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to += 3) {
      const [a, b, c] = planes.map((plane) => plane.data[y * plane.stride + x]);
      if (planes.length === 1) {
        data.fill(a, to, to + 3);
      } else if (isRgb) {
        data.set([a, b, c], to);
      } else {
        const [blue, red] = [b - 128, c - 128];
        data[to] = clamp(a + ((RED * red + 32768) >> 16));
        data[to + 1] = clamp(a + ((-GREEN_BLUE * blue - GREEN_RED * red + 32768) >> 16));
        data[to + 2] = clamp(a + ((BLUE * blue + 32768) >> 16));
      }
    }
  }
  return { width, height, data };
}
