// Which class a recording and an image are of, and what each of them contributes.

import { bar, make, percent } from "./dom.js";

const SHOWN = 10;
const SAME = 1e-3; // logits of float16 files add up to their sum within this

/** Returns the probabilities of logits. */
export function softmax(logits) {
  const most = Math.max(...logits);
  const powers = Array.from(logits, (x) => Math.exp(x - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((x) => x / sum);
}

/** Returns the places of values, largest first. */
export function ranking(values) {
  return Array.from(values, (_, k) => k).sort((a, b) => values[b] - values[a] || a - b);
}

/**
 * Returns each modality's share of the lead of the likeliest class over the second: the shares add
 * to 1, and one below 0 speaks for the second. Null where the logits of the modalities do not add up
 * to those of all together.
 * @param {ArrayLike<number>} fused
 * @param {Object<string, ArrayLike<number>>} alone Modality to its logits.
 */
export function shares(fused, alone) {
  const parts = Object.entries(alone);
  const scale = Math.max(1, ...Array.from(fused, Math.abs));
  const additive = Array.from(fused).every(
    (x, k) => Math.abs(x - parts.reduce((sum, [, z]) => sum + z[k], 0)) < SAME * scale,
  );
  const [first, second] = ranking(fused);
  if (!additive || second === undefined) return null;
  const lead = fused[first] - fused[second];
  return Object.fromEntries(parts.map(([m, z]) => [m, lead > 0 ? (z[first] - z[second]) / lead : 0]));
}

/** Returns what `pair.panel` asks of a classifier. */
export function answerOf(model) {
  const { classes, items, words } = model.site;
  const outputs = Object.keys(items).map((modality) => `${modality}_logits`);
  return async (row, place) => {
    const found = await model.answer("classifier", "classify", row, ["logits", "probability", ...outputs]);
    const alone = Object.fromEntries(Object.keys(items).map((m) => [m, found[`${m}_logits`]]));
    const order = ranking(found.probability);
    const best = order[0];
    place.append(
      make(
        "ol",
        { class: "classes" },
        ...order.slice(0, SHOWN).map((k) =>
          make(
            "li",
            { class: k === best ? "best" : "" },
            make("b", { text: classes[k] }),
            make("span", { class: "score", text: percent(found.probability[k]) }),
            bar(found.probability[k]),
          ),
        ),
      ),
      ...(order.length > SHOWN
        ? [make("p", { class: "small", text: `The ${SHOWN} likeliest of ${order.length} classes.` })]
        : []),
      make("h3", { text: "What each of them says" }),
      ...contributions(found.logits, alone, classes, words),
    );
    return `${classes[best]}, with a probability of ${percent(found.probability[best])}.`;
  };
}

function contributions(fused, alone, classes, words) {
  const share = shares(fused, alone);
  const [first, second] = ranking(fused);
  const rows = Object.entries(alone).map(([modality, logits]) => {
    const own = softmax(logits), best = ranking(logits)[0];
    return make(
      "li",
      {},
      make("b", { text: `The ${words[modality].one} alone` }),
      make("span", { text: `${classes[best]} (${percent(own[best])})` }),
      share && make("span", { class: "score", text: `share ${share[modality] < 0 ? "−" : ""}${percent(Math.abs(share[modality]))}` }),
      share && bar(Math.abs(share[modality]), share[modality] < 0 ? "against" : modality),
    );
  });
  const legend =
    share &&
    make("p", {
      class: "small",
      text: `The share is how much of the lead of ${classes[first]} over ${classes[second]} comes from each; they add to 100\u00a0%. One with a minus speaks for ${classes[second]}.`,
    });
  return [make("ul", { class: "parts" }, ...rows), ...(legend ? [legend] : [])];
}
