// An image of any kind in; the square of RGB pixels that an encoder takes out, as Python makes it.

import { scale } from "./pixels.js";

const FILL = 127; // grey of what the image does not cover
const MAX_SIDE = 512; // of an image that is stored, as in a data set
const MIN_SIDE = 16;

/**
 * Returns the pixels of an image: upright, on white where it is transparent.
 * @param {Blob} file JPEG, PNG, WebP, GIF, BMP or AVIF.
 * @returns {Promise<{width: number, height: number, data: Uint8Array}>} RGB.
 */
export async function decode(file) {
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
  return pixels(bitmap);
}

/** Returns the pixels of what a canvas can draw, such as the frame that a video shows. */
export function pixels(source, width = source.width, height = source.height) {
  if (Math.min(width, height) < MIN_SIDE) {
    throw new Error(
      `That image has ${width} × ${height} pixels. Its shorter side must have ${MIN_SIDE} or more.`,
    );
  }
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(source, 0, 0, width, height);
  const rgba = context.getImageData(0, 0, width, height).data;
  const data = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    data[to] = rgba[from];
    data[to + 1] = rgba[from + 1];
    data[to + 2] = rgba[from + 2];
  }
  return { width, height, data };
}

/** Rounds halves to the even neighbour, as NumPy and TensorFlow do. */
export function round(x) {
  const down = Math.floor(x);
  const rest = x - down;
  return rest > 0.5 || (rest === 0.5 && down % 2) ? down + 1 : down;
}

function toBytes(values) {
  return Uint8Array.from(values, (value) => Math.min(255, Math.max(0, round(value))));
}

/** Returns an image whose longer side is 512 pixels at most. */
export function stored(image) {
  const longest = Math.max(image.width, image.height);
  if (longest <= MAX_SIDE) return image;
  const [width, height] = [image.width, image.height].map((side) =>
    Math.floor((2 * side * MAX_SIDE + longest) / (2 * longest)),
  );
  const { data } = scale(image, width, height, "lanczos");
  return { width, height, data: toBytes(data) };
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
