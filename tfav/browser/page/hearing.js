// How much of a clip is heard: the twin of `tfav.hearing`.

import { RATE_HZ } from "./audio_files.js";

/** Returns what is heard of a clip: its first seconds; a short one repeats itself. */
export function heard(clip, hearing) {
  const most = Math.max(1, Math.round(hearing.max_seconds * RATE_HZ));
  const least = Math.round(hearing.min_seconds * RATE_HZ);
  const found = clip.subarray(0, most);
  if (found.length >= least) return found;
  return Float32Array.from({ length: least }, (_, at) => found[at % found.length]);
}

/** Returns the consecutive windows of what is heard; without such, all of it. */
export function windows(clip, hearing) {
  const size = Math.round(hearing.window_seconds * RATE_HZ) || clip.length;
  const found = [];
  for (let at = 0; at < clip.length; at += size) found.push(clip.subarray(at, at + size));
  return found;
}

/** Returns the embedding of a clip: the mean of those of its windows by their samples, of norm 1. */
export function mean(embeddings, counts) {
  const sum = embeddings[0].map((_, d) =>
    embeddings.reduce((total, one, k) => total + one[d] * counts[k], 0),
  );
  const norm = Math.hypot(...sum) || 1e-12;
  return sum.map((value) => value / norm);
}
