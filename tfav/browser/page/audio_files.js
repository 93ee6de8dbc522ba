// A recording of any kind in; one channel at the rate that encoders take out, as Python makes it.

import { resample } from "./resample.js";
import { round } from "./rounding.js";
import * as wav from "./wav.js";

export const RATE_HZ = 16000;
const MIN_SECONDS = 0.1;
const MIN_PEAK = 1e-4; // -80 dBFS
const USUAL_HZ = 48000;
const MP3_RATES_HZ = [[11025, 12000, 8000], [], [22050, 24000, 16000], [44100, 48000, 32000]];

/**
 * Returns the sample rate that a file says it has; 0 where it does not say, or not where we look.
 * Decoded at its own rate, a recording is resampled once, by us, and not by the browser before.
 * @param {Uint8Array} bytes
 */
export function rateOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const stands = (text, at) => [...text].every((c, k) => bytes[at + k] === c.charCodeAt(0));
  const place = (text, end = Math.min(bytes.length, 4096)) => {
    for (let at = 0; at < end; at++) if (stands(text, at)) return at;
    return -1;
  };
  if (stands("RIFF", 0)) {
    const at = place("fmt ");
    return at < 0 ? 0 : view.getUint32(at + 12, true);
  }
  if (stands("fLaC", 0)) return (bytes[18] << 12) | (bytes[19] << 4) | (bytes[20] >> 4);
  if (stands("OggS", 0)) {
    if (place("OpusHead") >= 0) return USUAL_HZ;
    const at = place("\x01vorbis");
    return at < 0 ? 0 : view.getUint32(at + 12, true);
  }
  let at = 0;
  if (stands("ID3", 0)) {
    at = 10 + ((bytes[6] << 21) | (bytes[7] << 14) | (bytes[8] << 7) | bytes[9]);
  }
  for (const end = Math.min(bytes.length - 4, at + 4096); at < end; at++) {
    const layer = (bytes[at + 1] >> 1) & 3;
    if (bytes[at] !== 0xff || bytes[at + 1] < 0xe0 || !layer) continue;
    return MP3_RATES_HZ[(bytes[at + 1] >> 3) & 3][(bytes[at + 2] >> 2) & 3] || 0;
  }
  return 0;
}

/**
 * Returns the beginning of a recording as one channel, see `prepared`.
 * @param {Blob} file WAV, MP3, FLAC, Ogg, or what else the browser plays.
 * @param {number} most Seconds that are wanted.
 */
export async function decode(file, most) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const plain = wav.read(bytes);
  if (plain) return prepared(plain.channels, plain.rateHz, most);
  let buffer;
  for (const rate of new Set([rateOf(bytes) || USUAL_HZ, USUAL_HZ])) {
    try {
      // Decoding takes the bytes away, so each try has its own.
      buffer = await new OfflineAudioContext(1, 1, rate).decodeAudioData(bytes.slice().buffer);
      break;
    } catch {
      // A rate that this browser lacks, or no audio: the next one tells.
    }
  }
  if (!buffer) {
    throw new Error("This browser cannot play that file. Save it as WAV or MP3 and try again.");
  }
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, k) => buffer.getChannelData(k));
  return prepared(channels, buffer.sampleRate, most);
}

/**
 * Returns the mean of channels, at 16 kHz.
 * @param {Float32Array[]} channels Of one length.
 * @param {number} rateHz
 * @param {number} most Seconds that are wanted: the rest need not be resampled.
 * @returns {{clip: Float32Array, seconds: number}} Its beginning, and how long all of it lasts.
 * @throws {Error} Too short, or silent; its message is for the user.
 */
export function prepared(channels, rateHz, most) {
  const mono = Float32Array.from(channels[0], (_, at) => {
    let sum = 0;
    for (const channel of channels) sum += channel[at];
    return sum / channels.length;
  });
  if (mono.length / rateHz < MIN_SECONDS) {
    throw new Error(`That recording lasts less than ${MIN_SECONDS} s. Give a longer one.`);
  }
  if (peak(mono) < MIN_PEAK) {
    throw new Error(
      channels.some((channel) => peak(channel) >= MIN_PEAK)
        ? "The channels of that recording cancel each other out. Keep one of them."
        : "That recording is silent. Check the microphone, or choose another file.",
    );
  }
  // A little more than is wanted, so that the end of that does not hang on where it was cut.
  const beginning = mono.subarray(0, Math.ceil((most + MIN_SECONDS) * rateHz));
  const clip = resample(beginning, rateHz, RATE_HZ).subarray(0, Math.max(1, Math.round(most * RATE_HZ)));
  return { clip: throughPcm16(clip), seconds: mono.length / rateHz };
}

/** Returns samples as 16 bits keep them, in which data sets are stored: it shows where all is quiet. */
function throughPcm16(samples) {
  return samples.map((x) => Math.max(-32768, Math.min(32767, round(32768 * x))) / 32768);
}

/** Returns the largest size of a sample. */
export function peak(samples) {
  let found = 0;
  for (const sample of samples) found = Math.max(found, Math.abs(sample));
  return found;
}

/** Returns samples as a WAV file of 16 bits, which every browser plays. */
export function toWav(samples, rateHz = RATE_HZ) {
  const bytes = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at, words) => [...words].forEach((c, k) => bytes.setUint8(at + k, c.charCodeAt(0)));
  text(0, "RIFF");
  bytes.setUint32(4, 36 + 2 * samples.length, true);
  text(8, "WAVEfmt ");
  [[16, 16, 4], [20, 1, 2], [22, 1, 2], [24, rateHz, 4], [28, 2 * rateHz, 4], [32, 2, 2], [34, 16, 2]].forEach(
    ([at, value, size]) => (size === 4 ? bytes.setUint32(at, value, true) : bytes.setUint16(at, value, true)),
  );
  text(36, "data");
  bytes.setUint32(40, 2 * samples.length, true);
  samples.forEach((sample, k) =>
    bytes.setInt16(44 + 2 * k, Math.max(-32768, Math.min(32767, Math.round(32767 * sample))), true),
  );
  return new Blob([bytes], { type: "audio/wav" });
}
