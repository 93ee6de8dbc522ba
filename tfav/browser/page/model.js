// What the export's files answer to recordings and images: the twin of `tfav.load`.

import { RATE_HZ } from "./audio_files.js";
import * as hearing from "./hearing.js";
import * as images from "./image_files.js";

/** An export in the browser. */
export class Model {
  /**
   * @param {object} site What `site.json` says.
   * @param {import("./runtime.js").Runtime} runtime
   */
  constructor(site, runtime) {
    this.site = site;
    this.runtime = runtime;
  }

  /**
   * Returns the embedding of an item, of norm 1.
   * @param {string} modality
   * @param {Float32Array|{width: number, height: number, data: Uint8Array}} item A clip at 16 kHz,
   *   or an image.
   */
  async embed(modality, item) {
    const parts = this.site.items[modality].clip
      ? hearing.windows(hearing.heard(item, this.site.hearing), this.site.hearing)
      : [item];
    const found = [];
    for (const part of parts) {
      const signature = this.#shortest(modality, part);
      const inputs = this.#feed(modality, part, this.site.models[modality].lengths[signature]);
      found.push((await this.runtime.run(modality, signature, inputs, ["embedding"])).embedding);
    }
    return found.length === 1 ? found[0] : hearing.mean(found, parts.map((part) => part.length));
  }

  /**
   * Returns what the file of a signature that takes all modalities answers.
   * @param {string} file `classifier`, `localize` or `score_pairs`.
   * @param {string} signature
   * @param {Object<string, object>} row Modality to its item.
   * @param {string[]} wanted Names of the outputs.
   */
  answer(file, signature, row, wanted) {
    const length = this.site.models[file].lengths[signature];
    const inputs = {};
    for (const [modality, item] of Object.entries(row)) {
      const heard = this.site.items[modality].clip ? hearing.heard(item, this.site.hearing) : item;
      Object.assign(inputs, this.#feed(modality, heard, length));
    }
    return this.runtime.run(file, signature, inputs, wanted);
  }

  /** Returns the signature with the shortest input that holds a clip. */
  #shortest(modality, item) {
    const names = Object.entries(this.site.models[modality].lengths);
    names.sort(([, a], [, b]) => a - b);
    const holds = ([, length]) => !this.site.items[modality].clip || length >= item.length;
    return (names.find(holds) ?? names.at(-1))[0];
  }

  #feed(modality, item, length) {
    const spec = this.site.items[modality];
    if (spec.clip) {
      if (item.length > length) {
        throw new Error(
          `The model takes ${length / RATE_HZ} s, and that recording lasts longer. Give a shorter one.`,
        );
      }
      const data = new Float32Array(length);
      data.set(item);
      return {
        [spec.tensor]: { data, shape: [1, length] },
        [spec.length]: { data: Int32Array.of(item.length), shape: [1] },
      };
    }
    const { size, data } = images.fit(item, spec.side);
    if (spec.frames === 1) return { [spec.tensor]: { data, shape: [1, size, size, 3] } };
    const frames = new Uint8Array(spec.frames * data.length);
    for (let k = 0; k < spec.frames; k++) frames.set(data, k * data.length);
    return { [spec.tensor]: { data: frames, shape: [1, spec.frames, size, size, 3] } };
  }
}
