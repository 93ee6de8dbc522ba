// WAV files of plain numbers, read as libsndfile reads them: browsers scale the two halves of the
// wave differently, which is heard where a sample has 8 bits.

const PCM = 1, FLOAT = 3, EXTENSIBLE = 0xfffe;
const READERS = {
  [`${PCM}/8`]: (view, at) => (view.getUint8(at) - 128) / 128,
  [`${PCM}/16`]: (view, at) => view.getInt16(at, true) / 2 ** 15,
  [`${PCM}/24`]: (view, at) => ((view.getInt8(at + 2) << 16) | view.getUint16(at, true)) / 2 ** 23,
  [`${PCM}/32`]: (view, at) => view.getInt32(at, true) / 2 ** 31,
  [`${FLOAT}/32`]: (view, at) => view.getFloat32(at, true),
  [`${FLOAT}/64`]: (view, at) => view.getFloat64(at, true),
};

/**
 * Returns the channels of a WAV file; null of another file, or of a WAV of another kind.
 * @param {Uint8Array} bytes
 * @returns {?{channels: Float32Array[], rateHz: number}}
 */
export function read(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const name = (at) => String.fromCharCode(...bytes.subarray(at, at + 4));
  if (bytes.length < 12 || name(0) !== "RIFF" || name(8) !== "WAVE") return null;
  let format = null;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const size = view.getUint32(at + 4, true), start = at + 8;
    if (name(at) === "fmt " && start + 16 <= bytes.length) {
      const told = view.getUint16(start, true);
      format = {
        kind: told === EXTENSIBLE && size >= 40 ? view.getUint16(start + 24, true) : told,
        count: view.getUint16(start + 2, true),
        rateHz: view.getUint32(start + 4, true),
        bits: view.getUint16(start + 14, true),
      };
    } else if (name(at) === "data") {
      const reader = format && READERS[`${format.kind}/${format.bits}`];
      if (!reader || !format.count || !format.rateHz) return null;
      return { channels: channels(view, start, Math.min(start + size, bytes.length), format, reader), rateHz: format.rateHz };
    }
    at = start + size + (size % 2);
  }
  return null;
}

function channels(view, start, end, { count, bits }, reader) {
  const width = bits / 8, frames = Math.floor((end - start) / (width * count));
  return Array.from({ length: count }, (_, channel) => {
    const samples = new Float32Array(frames);
    for (let k = 0; k < frames; k++) samples[k] = reader(view, start + (k * count + channel) * width);
    return samples;
  });
}
