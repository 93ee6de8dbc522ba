// The microphone: raw blocks, without the browser's own cleaning, which Python never sees.

const WORDS = {
  NotAllowedError: "The microphone was not allowed. Allow it for this page in the browser's settings, or choose a file.",
  NotFoundError: "No microphone was found. Connect one, or choose a file.",
  NotReadableError: "The microphone is used by another program. Close that, or choose a file.",
};

/** Returns why there is no microphone or camera here, for the user; empty: there may be one. */
export function lacks(what) {
  if (!globalThis.isSecureContext) {
    return `A page may use the ${what} only over https or on this machine (localhost). Choose a file instead.`;
  }
  if (!navigator.mediaDevices?.getUserMedia) {
    return `This browser gives pages no ${what}. Choose a file instead.`;
  }
  return "";
}

/**
 * Records until `seconds` are there, or until `stop` of what it returns is called.
 * @param {number} seconds
 * @param {(level: number, seconds: number) => void} onBlock Is told the root mean square of each
 *   block in decibels below full scale, and how much there is.
 * @returns {Promise<{stop: () => void, done: Promise<{channels: Float32Array[], rateHz: number}>}>}
 */
export async function record(seconds, onBlock) {
  const missing = lacks("microphone");
  if (missing) throw new Error(missing);
  const context = new AudioContext(); // now: a browser starts it for who has just clicked
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    });
  } catch (error) {
    context.close();
    throw new Error(WORDS[error.name] ?? `The microphone cannot be used (${error.name}). Choose a file.`);
  }
  await context.audioWorklet.addModule(new URL("./recorder.js", import.meta.url));
  const node = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0 });
  const blocks = [];
  let count = 0, stop;
  const done = new Promise((resolve) => {
    stop = () => {
      if (context.state === "closed") return;
      stream.getTracks().forEach((track) => track.stop());
      context.close();
      resolve({ channels: joined(blocks, count), rateHz: context.sampleRate });
    };
  });
  const wanted = Math.ceil(seconds * context.sampleRate);
  node.port.onmessage = ({ data }) => {
    if (count >= wanted) return;
    blocks.push(data);
    count += data[0].length;
    const power = data[0].reduce((sum, x) => sum + x * x, 0) / data[0].length;
    onBlock(10 * Math.log10(power + 1e-12), count / context.sampleRate);
    if (count >= wanted) stop();
  };
  context.createMediaStreamSource(stream).connect(node);
  await context.resume();
  return { stop, done };
}

function joined(blocks, count) {
  const channels = (blocks[0] ?? [new Float32Array()]).map(() => new Float32Array(count));
  let at = 0;
  for (const block of blocks) {
    channels.forEach((channel, k) => channel.set(block[Math.min(k, block.length - 1)], at));
    at += block[0].length;
  }
  return channels;
}
