// Where in an image a recording comes from, and whether the two belong together.

import { make, percent } from "./dom.js";
import { decided } from "./gallery.js";
import * as images from "./image_files.js";
import { scale } from "./pixels.js";
import { colour } from "./spectrogram.js";

const MAX_WIDTH = 480;

/**
 * Returns the map [side * side] as seen over the image alone, without the grey beside it.
 * @param {ArrayLike<number>} map Of the square that the image is fitted into.
 * @param {number} side Of the map.
 * @param {{size: number, left: number, top: number, width: number, height: number}} fitted
 * @returns {{width: number, height: number, data: number[]}} One value per pixel.
 */
export function overImage(map, side, fitted) {
  const [left, top, width, height] = [fitted.left, fitted.top, fitted.width, fitted.height].map((x) =>
    Math.round((x * side) / fitted.size),
  );
  const data = [];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) data.push(map[(top + y) * side + left + x]);
  }
  return { width, height, data };
}

/** Returns in words where the maximum of a map lies; empty: it is the same everywhere. */
export function where({ width, height, data }) {
  const most = Math.max(...data);
  if (most - Math.min(...data) < 1e-6) return "";
  const place = data.indexOf(most);
  const third = (at, size, names) => names[Math.min(2, Math.floor((3 * (at + 0.5)) / size))];
  const row = third(Math.floor(place / width), height, ["at the top", "in the middle", "at the bottom"]);
  const column = third(place % width, width, [" left", "", " right"]);
  return row + column;
}

/** Returns what `pair.panel` asks of a model that localises or scores pairs. */
export function answerOf(model) {
  const { models, items, threshold, decisions } = model.site;
  const [image] = Object.keys(items).filter((m) => !items[m].clip);
  return async (row, place) => {
    const words = [];
    if (models.localize) {
      const { map } = await model.answer("localize", "localize", row, ["map"]);
      words.push(overlay(place, row[image], map, items[image].side));
    }
    if (models.score_pairs) {
      const { score } = await model.answer("score_pairs", "score_pairs", row, ["score"]);
      const chance = decided(decisions, "score").probability(score[0]);
      const told = `score ${score[0].toFixed(3)}`;
      const likely = chance === null ? "" : `; probability ${percent(chance)}`;
      if (threshold === null) words.push(`The two have the ${told}${likely}.`);
      else if (score[0] >= threshold) words.push(`They belong together: ${told}, and ${threshold.toFixed(3)} is enough${likely}.`);
      else words.push(`Not sure that they belong together: ${told}, below the threshold of ${threshold.toFixed(3)}${likely}.`);
    }
    return words.join(" ");
  };
}

function overlay(place, image, map, side) {
  const seen = overImage(map, Math.round(Math.sqrt(map.length)), images.fit(image, side));
  const found = where(seen);
  const text = found
    ? `The network hears it ${found} of the image.`
    : "The map is the same everywhere: it points nowhere.";
  const height = Math.round((MAX_WIDTH * image.height) / image.width);
  const canvas = make("canvas", { role: "img", "aria-label": `The image under its map. ${text}` });
  const large = scale(image, MAX_WIDTH, height, "triangle").data;
  // One value per pixel, as three equal ones.
  const three = { ...seen, data: seen.data.flatMap((x) => [x, x, x]) };
  const heat = scale(three, MAX_WIDTH, height, "triangle").data;
  const strength = make("input", {
    type: "range", min: 0, max: 100, value: 60, "aria-label": "How strong the map is drawn",
    on: { input: () => paint() },
  });
  const paint = () => {
    const data = new Uint8Array(large.length);
    for (let at = 0; at < large.length; at += 3) {
      const hot = colour(heat[at]);
      const alpha = (strength.value / 100) * Math.min(1, 0.35 + heat[at]);
      for (let c = 0; c < 3; c++) data[at + c] = large[at + c] * (1 - alpha) + hot[c] * alpha;
    }
    images.draw(canvas, MAX_WIDTH, height, data);
  };
  paint();
  place.append(
    make(
      "figure",
      { class: "heat" },
      canvas,
      make("label", { class: "strength" }, "The map over the image", strength),
      make("figcaption", { class: "small", text: "Dark: not from here. Bright: from here." }),
    ),
  );
  return text;
}
