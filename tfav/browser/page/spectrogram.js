// What the network hears: its own front-end, from the constants that the export tells
// (`golden.json`). For the eye only: the encoder computes it anew from the waveform.

/** Returns what is left of a clip when silence is cut; see `tfav.ops.level.without_silence`. */
function withoutSilence(clip, constants) {
  const step = constants.silence_step_samples, size = constants.silence_steps;
  const count = Math.ceil(clip.length / step);
  const loudest = Array.from({ length: count }, (_, k) =>
    clip.subarray(k * step, (k + 1) * step).reduce((most, x) => Math.max(most, Math.abs(x)), 0),
  );
  const edge = new Array(size - 1).fill(0);
  const most = sliding([...edge, ...loudest, ...edge], size, Math.max);
  const envelope = sliding(most, size, Math.min);
  let sum = 0, squares = 0;
  for (const x of clip) [sum, squares] = [sum + Math.abs(x), squares + x * x];
  const least = squares * 10 ** (-constants.silence_db / 20);
  const kept = [];
  envelope.forEach((level, k) => {
    if (level * sum >= least) kept.push(...clip.subarray(k * step, (k + 1) * step));
  });
  return kept.length ? Float32Array.from(kept) : clip.subarray(0, 1);
}

function sliding(values, size, choose) {
  return Array.from({ length: values.length - size + 1 }, (_, at) => choose(...values.slice(at, at + size)));
}

function levelled(clip, constants) {
  let sum = 0, squares = 0;
  for (const x of clip) [sum, squares] = [sum + Math.abs(x), squares + x * x];
  return clip.map((x) => (x * sum) / Math.max(squares, constants.level_least_squares));
}

/** Returns the sample at a place of a clip that is mirrored at both ends for ever. */
function mirrored(clip, at) {
  const period = Math.max(2 * (clip.length - 1), 1);
  const place = ((at % period) + period) % period;
  return clip[Math.min(place, period - place)];
}

function frames(clip, constants) {
  const length = constants.frame_length_samples, step = constants.frame_step_samples;
  const before = constants.centered ? length / 2 : 0;
  const count = constants.centered
    ? Math.floor(clip.length / step) + 1
    : Math.max(1, Math.floor((clip.length - length) / step) + 1);
  return Array.from({ length: count }, (_, k) =>
    Float64Array.from({ length }, (_, n) => {
      const at = k * step + n - before;
      return constants.centered ? mirrored(clip, at) : (clip[at] ?? 0);
    }),
  );
}

/** Returns the power of a frame in each bin of the transform. */
function transform(constants) {
  const size = constants.fft_length, bins = size / 2 + 1;
  const cosines = Float64Array.from({ length: size }, (_, k) => Math.cos((2 * Math.PI * k) / size));
  const sines = Float64Array.from({ length: size }, (_, k) => Math.sin((2 * Math.PI * k) / size));
  return (frame) => {
    const average = constants.detrend ? frame.reduce((a, b) => a + b, 0) / frame.length : 0;
    const wave = frame.map((x, n) => (x - average) * constants.window[n]);
    return Float64Array.from({ length: bins }, (_, bin) => {
      let real = 0, imaginary = 0;
      for (let n = 0, at = 0; n < wave.length; n++, at = (at + bin) % size) {
        real += wave[n] * cosines[at];
        imaginary -= wave[n] * sines[at];
      }
      return real * real + imaginary * imaginary;
    });
  };
}

function logMel(power, constants) {
  const image = power.map((bins) =>
    constants.bands.map(({ first_bin: first, weights }) => {
      let sum = 0;
      weights.forEach((w, k) => (sum += w * bins[first + k] ** (constants.power / 2)));
      return Math.log(sum + constants.log_offset);
    }),
  );
  if (!constants.instance_norm) return image;
  const mean = image[0].map((_, b) => image.reduce((sum, row) => sum + row[b], 0) / image.length);
  const spread = mean.map(
    (m, b) => image.reduce((sum, row) => sum + (row[b] - m) ** 2, 0) / image.length,
  );
  return image.map((row) =>
    row.map((x, b) => (x - mean[b]) / Math.sqrt(spread[b] + constants.instance_norm_epsilon)),
  );
}

function logSpectrogram(power, constants) {
  const image = power.map((bins) =>
    Array.from(bins, (x, k) => Math.log1p((x * constants.density[k]) / constants.log_offset)),
  );
  const all = image.flat();
  const mean = all.reduce((a, b) => a + b, 0) / all.length;
  const spread = Math.sqrt(all.reduce((sum, x) => sum + (x - mean) ** 2, 0) / all.length);
  return image.map((row) => row.map((x) => (x - mean) / (spread + constants.deviation_epsilon)));
}

const IMAGES = { log_mel: logMel, log_spectrogram: logSpectrogram };

/** Says whether `spectrogram` knows a front-end by its constants. */
export function knows(constants) {
  return Boolean(constants && IMAGES[constants.name]);
}

/**
 * Returns what a front-end gives, [frames][bands].
 * @param {Float32Array} clip At 16 kHz.
 * @param {object} constants `frontend` of a `golden.json`.
 */
export function spectrogram(clip, constants) {
  let wave = clip;
  if (constants.silence_db) wave = withoutSilence(wave, constants);
  if (constants.level_norm) wave = levelled(wave, constants);
  if (constants.amplitude && constants.amplitude !== 1) wave = wave.map((x) => constants.amplitude * x);
  if (constants.preemphasis) {
    const before = (k) => (k ? wave[k - 1] : wave[Math.min(1, wave.length - 1)]);
    wave = wave.map((x, k) => x - constants.preemphasis * before(k));
  }
  return IMAGES[constants.name](frames(wave, constants).map(transform(constants)), constants);
}

// Black, violet, orange, pale yellow: the ramp of the report pages.
const RAMP = [[0, 0, 4], [66, 10, 104], [147, 38, 103], [221, 81, 58], [252, 165, 10], [252, 255, 164]];

/** Returns the colour of a value in [0, 1], [red, green, blue]. */
export function colour(value) {
  const at = Math.max(0, Math.min(1, value)) * (RAMP.length - 1);
  const low = Math.min(Math.floor(at), RAMP.length - 2);
  return RAMP[low].map((c, k) => Math.round(c + (RAMP[low + 1][k] - c) * (at - low)));
}

/** Draws [frames][bands] on a canvas: time to the right, low bands at the bottom. */
export function draw(canvas, image) {
  const bands = image[0].length;
  const sorted = image.flat().sort((a, b) => a - b);
  const low = sorted[Math.floor(0.02 * sorted.length)];
  const high = sorted[Math.floor(0.98 * (sorted.length - 1))];
  [canvas.width, canvas.height] = [image.length, bands];
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(image.length, bands);
  image.forEach((row, x) =>
    row.forEach((value, band) => {
      const at = ((bands - 1 - band) * image.length + x) * 4;
      pixels.data.set([...colour((value - low) / (high - low || 1)), 255], at);
    }),
  );
  context.putImageData(pixels, 0, 0);
}
