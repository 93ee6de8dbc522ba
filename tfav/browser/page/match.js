// The question of a shared space: which items of the gallery fit this one.

import { AudioInput } from "./audio_input.js";
import { a, bar, icon, ICONS, make, percent } from "./dom.js";
import { decided } from "./gallery.js";
import { ImageInput } from "./image_input.js";

/**
 * Returns the panel of one direction.
 * @param {import("./model.js").Model} model
 * @param {Object<string, import("./gallery.js").Gallery>} galleries
 * @param {string} from Modality of the probe.
 * @param {string} to Modality of the answers.
 */
export function panel(model, galleries, from, to) {
  const { site } = model;
  const words = site.words;
  const status = make("p", { class: "verdict", role: "status" });
  const list = make("ol", { class: "hits" });
  const time = make("p", { class: "small" });
  const answers = make(
    "section",
    { class: "answers card", "aria-label": `The closest ${words[to].many}` },
    make("h2", { text: `The closest ${words[to].many}` }),
    status,
    list,
    time,
  );
  const gallery = galleries[to];
  const decisions = decided(site.decisions, "cosine");
  const hint = `Give ${a(words[from].one)}, and the ${gallery.length} ${words[to].many} of the gallery are sorted by how well they fit it.`;
  status.textContent = hint;
  let number = 0; // of the probe: a slow answer must not stand over a later one
  const onItem = async ({ item, place }) => {
    const mine = ++number;
    try {
      const began = performance.now();
      const vector = await model.embed(from, item);
      const spent = performance.now() - began;
      if (mine !== number) return;
      const hits = gallery.nearest(vector);
      const label = place < 0 ? null : galleries[from].labels[place];
      list.replaceChildren(...hits.map((hit, rank) => card(hit, rank, { gallery, site, decisions, label, word: words[to].one })));
      status.textContent = verdict(hits[0], gallery, decisions, words[to].one);
      time.textContent = `Found in ${Math.max(1, Math.round(spent))} ms, in this browser. ${legend(decisions)}`;
    } catch (error) {
      status.textContent = error.message;
    }
  };
  const about = { title: `Your ${words[from].one}`, gallery: galleries[from], onItem };
  const input = site.items[from].clip
    ? new AudioInput({ ...about, site })
    : new ImageInput({ ...about, side: site.items[from].side });
  const element = make("div", { class: "columns" }, input.element, answers);
  return { element, input };
}

function legend(decisions) {
  return decisions.probability(0) === null
    ? "The number is the cosine of the two embeddings, from -1 to 1: this export holds no calibration, so it is no probability."
    : "The percentage is the calibrated probability that the two belong together, if every second pair did.";
}

function isSure(cosine, { threshold }) {
  return threshold === null || cosine >= threshold;
}

function verdict(best, gallery, decisions, word) {
  const name = gallery.labels[best.place];
  if (!isSure(best.cosine, decisions)) {
    return `Not sure: no ${word} of the gallery is close enough. The nearest is ${name}.`;
  }
  const chance = decisions.probability(best.cosine);
  return chance === null
    ? `The nearest ${word} is ${name}.`
    : `The nearest ${word} is ${name}, with a probability of ${percent(chance)}.`;
}

function card(hit, rank, { gallery, site, decisions, label, word }) {
  const name = gallery.labels[hit.place], url = gallery.url(hit.place);
  const chance = decisions.probability(hit.cosine), sure = isSure(hit.cosine, decisions);
  const same = label !== null && label === name;
  return make(
    "li",
    { class: `hit${sure ? "" : " unsure"}` },
    make("span", { class: "rank", "aria-hidden": "true", text: rank + 1 }),
    site.items[gallery.modality].clip ? player(url, name, word) : picture(url, name, word),
    make("b", { text: name, title: gallery.ids[hit.place] }),
    make("span", { class: "score", text: chance === null ? hit.cosine.toFixed(2) : percent(chance) }),
    bar(chance ?? hit.cosine),
    same ? make("span", { class: "tag good", text: "same name" }) : null,
    sure ? null : make("span", { class: "tag", text: "not sure" }),
  );
}

function picture(url, name, word) {
  return url
    ? make("img", { src: url, alt: `The ${word} ${name}`, loading: "lazy" })
    : make("span", { class: "blank", text: name.slice(0, 2), "aria-hidden": "true" });
}

let playing = null;

function player(url, name, word) {
  if (!url) return make("span", { class: "blank", text: name.slice(0, 2), "aria-hidden": "true" });
  const audio = new Audio();
  audio.preload = "none";
  audio.src = url;
  const sign = (path) => button.replaceChildren(icon(path));
  const stop = () => {
    audio.pause();
    audio.currentTime = 0;
  };
  const button = make("button", {
    type: "button",
    class: "play",
    "aria-pressed": "false",
    "aria-label": `Play the ${word} ${name}`,
    on: {
      click: () => {
        if (!audio.paused) return stop();
        playing?.pause();
        playing = audio;
        audio.play().catch(() => {}); // stopped before it began
      },
    },
  });
  audio.addEventListener("play", () => {
    button.setAttribute("aria-pressed", "true");
    sign(ICONS.stop);
  });
  for (const event of ["pause", "ended"]) {
    audio.addEventListener(event, () => {
      button.setAttribute("aria-pressed", "false");
      sign(ICONS.play);
    });
  }
  sign(ICONS.play);
  return button;
}
