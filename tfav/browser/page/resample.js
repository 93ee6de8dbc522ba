// Audio of any rate at another one: a windowed sinc, as steep as the resampler of the Python side
// (soxr at HQ: flat up to 0.91 of the lower half rate, 120 dB down where that ends).

const PASS = 0.913, STOP = 1.0; // of half the lower rate
const DECIBELS = 120;

/** Modified Bessel function of the first kind, order 0. */
function bessel(x) {
  let sum = 1, term = 1;
  for (let k = 1; term > 1e-12 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function divisor(a, b) {
  return b ? divisor(b, a % b) : a;
}

/** The kernel at `x` input samples from its middle; `share` is the lower rate by the rate given. */
function kernelOf(share) {
  const cutoff = ((PASS + STOP) / 2) * share;
  const beta = 0.1102 * (DECIBELS - 8.7);
  const half = (DECIBELS - 7.95) / (2.285 * Math.PI * (STOP - PASS) * share) / 2;
  const edge = bessel(beta);
  return {
    half,
    at(x) {
      const place = x / half;
      if (Math.abs(place) >= 1) return 0;
      const sinc = x === 0 ? 1 : Math.sin(Math.PI * cutoff * x) / (Math.PI * cutoff * x);
      return (cutoff * sinc * bessel(beta * Math.sqrt(1 - place * place))) / edge;
    },
  };
}

/**
 * Returns samples at another rate; those of the same rate as they are.
 * @param {Float32Array} samples
 * @param {number} fromHz Whole number.
 * @param {number} toHz Whole number.
 * @returns {Float32Array} Of length `round(samples.length * toHz / fromHz)`.
 */
export function resample(samples, fromHz, toHz) {
  if (fromHz === toHz) return samples;
  const common = divisor(fromHz, toHz);
  const up = toHz / common, down = fromHz / common;
  const kernel = kernelOf(Math.min(1, toHz / fromHz));
  const reach = Math.ceil(kernel.half);
  const phases = new Map(); // of the places between two input samples, `up` in all
  const weights = (phase) => {
    if (!phases.has(phase)) {
      const found = new Float64Array(2 * reach + 1);
      for (let k = -reach; k <= reach; k++) found[k + reach] = kernel.at(k - phase / up);
      phases.set(phase, found);
    }
    return phases.get(phase);
  };
  const out = new Float32Array(Math.round((samples.length * toHz) / fromHz));
  for (let n = 0; n < out.length; n++) {
    const middle = Math.floor((n * down) / up);
    const its = weights((n * down) % up);
    const first = Math.max(0, middle - reach), last = Math.min(samples.length - 1, middle + reach);
    let sum = 0;
    for (let k = first; k <= last; k++) sum += samples[k] * its[k - middle + reach];
    out[n] = sum;
  }
  return out;
}
