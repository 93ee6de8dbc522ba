// The vectors that a probe is compared with, and what a cosine means.

/** The items of one modality of the gallery. */
export class Gallery {
  /**
   * @param {string} modality
   * @param {object} about Of `site.json`: `ids`, `labels`, `media`, `size`, `vectors`.
   * @param {Float32Array} vectors [N * size], of norm 1.
   */
  constructor(modality, about, vectors) {
    Object.assign(this, { modality, ...about, vectors });
  }

  static async load(modality, about) {
    const answer = await fetch(new URL(about.vectors, import.meta.url));
    if (!answer.ok) throw new Error(`${about.vectors} is missing from this site: write it again.`);
    return new Gallery(modality, about, new Float32Array(await answer.arrayBuffer()));
  }

  get length() {
    return this.ids.length;
  }

  vector(place) {
    return this.vectors.subarray(place * this.size, (place + 1) * this.size);
  }

  url(place) {
    const media = this.media[place];
    return media && new URL(media, import.meta.url).href;
  }

  /**
   * Returns the places of the items nearest to a vector, nearest first; the lower of two as near.
   * @param {Float32Array} vector
   * @param {number} top
   * @returns {{place: number, cosine: number}[]}
   */
  nearest(vector, top = 10) {
    const found = this.ids.map((_, place) => {
      let cosine = 0;
      for (let d = 0, at = place * this.size; d < this.size; d++, at++) {
        cosine += vector[d] * this.vectors[at];
      }
      return { place, cosine };
    });
    return found.sort((a, b) => b.cosine - a.cosine || a.place - b.place).slice(0, top);
  }
}

/**
 * Returns what an export decides of pairs by their scores.
 * @param {?object} decisions Of `site.json`.
 * @param {string} score Of what: `cosine`, or the `score` of `score_pairs`.
 * @returns {{probability: (score: number) => ?number, threshold: ?number}} Null where it is unknown.
 */
export function decided(decisions, score) {
  const its = decisions?.score === score ? decisions : {};
  const calibrated = typeof its.slope === "number" && typeof its.intercept === "number";
  return {
    threshold: its.threshold ?? null,
    probability: (value) => (calibrated ? 1 / (1 + Math.exp(-(its.slope * value + its.intercept))) : null),
  };
}
