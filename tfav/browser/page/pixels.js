// Pixels at another size: a filter as wide as the step from one new pixel to the next, so that
// nothing aliases; `triangle` is TensorFlow's `resize(antialias=True)`, `lanczos` is Pillow's.

const KERNELS = {
  triangle: { reach: 1, at: (x) => Math.max(0, 1 - Math.abs(x)) },
  lanczos: { reach: 3, at: (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** For each new place the first old one that counts, and the weights from there on; they add to 1. */
function spans(from, to, kernel) {
  const step = from / to, wide = Math.max(1, step);
  return Array.from({ length: to }, (_, place) => {
    const middle = (place + 0.5) * step;
    const first = Math.max(0, Math.floor(middle - kernel.reach * wide));
    const last = Math.min(from - 1, Math.ceil(middle + kernel.reach * wide));
    const weights = [];
    for (let k = first; k <= last; k++) weights.push(kernel.at((k + 0.5 - middle) / wide));
    const sum = weights.reduce((a, b) => a + b, 0);
    return { first, weights: weights.map((w) => w / sum) };
  });
}

/**
 * Returns pixels at another size, not rounded.
 * @param {{width: number, height: number, data: ArrayLike<number>}} image RGB, row by row.
 * @param {number} width
 * @param {number} height
 * @param {"triangle"|"lanczos"} kernel
 * @returns {{width: number, height: number, data: Float32Array}}
 */
export function scale(image, width, height, kernel) {
  if (image.width === width && image.height === height) {
    return { width, height, data: Float32Array.from(image.data) };
  }
  const across = spans(image.width, width, KERNELS[kernel]);
  const narrow = new Float32Array(width * image.height * 3);
  for (let y = 0; y < image.height; y++) {
    for (let x = 0; x < width; x++) {
      const { first, weights } = across[x];
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let k = 0; k < weights.length; k++) {
          sum += weights[k] * image.data[(y * image.width + first + k) * 3 + c];
        }
        narrow[(y * width + x) * 3 + c] = sum;
      }
    }
  }
  const data = new Float32Array(width * height * 3);
  spans(image.height, height, KERNELS[kernel]).forEach(({ first, weights }, y) => {
    for (let at = 0; at < width * 3; at++) {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += weights[k] * narrow[(first + k) * width * 3 + at];
      data[y * width * 3 + at] = sum;
    }
  });
  return { width, height, data };
}
