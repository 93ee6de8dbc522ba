// The questions that take a recording and an image together.

import { AudioInput } from "./audio_input.js";
import { a, make } from "./dom.js";
import { ImageInput } from "./image_input.js";

/**
 * Returns a panel with an input for each modality, and what `answer` says once all are there.
 * @param {import("./model.js").Model} model
 * @param {Object<string, import("./gallery.js").Gallery>} galleries
 * @param {string} title Of the answer.
 * @param {(row: Object<string, object>, place: HTMLElement) => Promise<string>} answer Fills `place`
 *   and returns a sentence that says it.
 */
export function panel(model, galleries, title, answer) {
  const { site } = model;
  const row = {};
  const inputs = {};
  const modalities = Object.keys(site.items);
  const status = make("p", { class: "verdict", role: "status" });
  const place = make("div", {});
  let number = 0;
  const missing = () => modalities.filter((modality) => !row[modality]).map((m) => a(site.words[m].one));
  const ask = () => {
    status.textContent = `Give ${missing().join(" and ")} to see the answer.`;
  };
  for (const modality of modalities) {
    const spec = site.items[modality];
    const about = {
      title: `The ${site.words[modality].one}`,
      gallery: galleries[modality],
      onItem: async ({ item }) => {
        row[modality] = item;
        if (missing().length) return ask();
        const mine = ++number;
        try {
          const found = make("div", {});
          const text = await answer(row, found);
          if (mine !== number) return;
          place.replaceChildren(found);
          status.textContent = text;
        } catch (error) {
          status.textContent = error.message;
        }
      },
    };
    inputs[modality] = spec.clip
      ? new AudioInput({ ...about, site })
      : new ImageInput({ ...about, side: spec.side });
  }
  ask();
  const element = make(
    "div",
    { class: "columns" },
    make("div", { class: "stack" }, ...modalities.map((modality) => inputs[modality].element)),
    make("section", { class: "answers card", "aria-label": title }, make("h2", { text: title }), status, place),
  );
  return { element, inputs };
}
