// An image of any kind in; the pixels that Python sees of it out. Python stores images as JPEG, 512
// pixels at most, and reads that with TensorFlow: so does this, pixel for pixel where it is kept.

import * as jpeg from "./jpeg.js";
import { header, UPRIGHT } from "./jpeg_header.js";
import { scale } from "./pixels.js";
import { round } from "./rounding.js";

const FILL = 127; // grey of what the image does not cover
const MAX_SIDE = 512; // of an image that is stored, as in a data set
const MIN_SIDE = 16;
const QUALITY = 0.95;

/**
 * Returns the pixels of an image as they are stored: upright, on white where it is transparent.
 * @param {Blob} file JPEG, PNG, WebP, GIF, BMP or AVIF.
 * @returns {Promise<{width: number, height: number, data: Uint8Array}>} RGB.
 */
export async function decode(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const about = header(bytes);
  if (about) checkSide(about.width, about.height);
  if (about && isKept(about)) return jpeg.decode(bytes);
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, {
      imageOrientation: "from-image",
      colorSpaceConversion: "none",
      premultiplyAlpha: "none",
    });
  } catch {
    throw new Error("This browser cannot read that image. Save it as JPEG or PNG and try again.");
  }
  return stored(bitmap, bitmap.width, bitmap.height);
}

function isKept({ width, height, components, orientation }) {
  return components === 3 && orientation === UPRIGHT && Math.max(width, height) <= MAX_SIDE;
}

function checkSide(width, height) {
  if (Math.min(width, height) < MIN_SIDE) {
    throw new Error(
      `That image has ${width} × ${height} pixels. Its shorter side must have ${MIN_SIDE} or more.`,
    );
  }
}

/**
 * Returns the pixels of what a canvas can draw, such as the frame that a video shows, as Python
 * would store and read them.
 */
export async function stored(source, width, height) {
  checkSide(width, height);
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d", { willReadFrequently: true });
  [canvas.width, canvas.height] = [width, height];
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(source, 0, 0, width, height);
  const longest = Math.max(width, height);
  if (longest > MAX_SIDE) {
    const whole = { width, height, data: withoutAlpha(context.getImageData(0, 0, width, height).data) };
    const sides = [width, height].map((side) => Math.floor((2 * side * MAX_SIDE + longest) / (2 * longest)));
    const small = scale(whole, ...sides, "lanczos");
    draw(canvas, ...sides, toBytes(small.data));
  }
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
  return jpeg.decode(new Uint8Array(await blob.arrayBuffer()));
}

function withoutAlpha(rgba) {
  const data = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    [data[to], data[to + 1], data[to + 2]] = [rgba[from], rgba[from + 1], rgba[from + 2]];
  }
  return data;
}

/** Draws RGB pixels on a canvas, which gets their size. */
export function draw(canvas, width, height, data) {
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(width, height);
  for (let from = 0, to = 0; from < data.length; from += 3, to += 4) {
    pixels.data.set([data[from], data[from + 1], data[from + 2], 255], to);
  }
  context.putImageData(pixels, 0, 0);
}

function toBytes(values) {
  return Uint8Array.from(values, (value) => Math.min(255, Math.max(0, round(value))));
}

/**
 * Returns an image fitted whole into a square, grey on both sides of what it does not cover.
 * @param {{width: number, height: number, data: ArrayLike<number>}} image RGB.
 * @param {number} size Side of the square in pixels.
 * @returns {{size: number, data: Uint8Array, left: number, top: number, width: number,
 *   height: number}} The pixels [size, size, 3], and where in them the image lies.
 */
export function fit(image, size) {
  const longest = Math.max(image.width, image.height);
  const [width, height] = [image.width, image.height].map((side) =>
    Math.min(size, Math.max(1, round(side * (size / longest)))),
  );
  const left = Math.floor((size - width) / 2), top = Math.floor((size - height) / 2);
  const scaled = toBytes(scale(image, width, height, "triangle").data);
  const data = new Uint8Array(size * size * 3).fill(FILL);
  for (let y = 0; y < height; y++) {
    data.set(scaled.subarray(y * width * 3, (y + 1) * width * 3), ((top + y) * size + left) * 3);
  }
  return { size, data, left, top, width, height };
}
