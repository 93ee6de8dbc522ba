// Starts the page: what `site.json` says, the gallery, the runtime, and a panel per question.

import * as classify from "./classify.js";
import { make } from "./dom.js";
import { Gallery } from "./gallery.js";
import * as locate from "./locate.js";
import * as match from "./match.js";
import { Model } from "./model.js";
import * as pair from "./pair.js";
import { lacks, Runtime } from "./runtime.js";

const waiting = document.getElementById("waiting");
const app = document.getElementById("app");

function panels(model, galleries) {
  const { site } = model;
  const found = [];
  for (const [from, to] of site.directions) {
    const title = `${capital(site.words[from].one)} to ${site.words[to].one}`;
    found.push({ id: `${from}-${to}`, title, ...match.panel(model, galleries, from, to) });
  }
  if (site.models.classifier) {
    const its = pair.panel(model, galleries, "The class", classify.answerOf(model));
    found.push({ id: "classify", title: "What is it?", ...its });
  }
  if (site.models.localize || site.models.score_pairs) {
    const title = site.models.localize ? "Where does it come from?" : "Do they belong together?";
    found.push({ id: "locate", title, ...pair.panel(model, galleries, "The answer", locate.answerOf(model)) });
  }
  return found;
}

function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}

/** Shows the panels, one at a time: tabs that arrow keys move through. */
function tabs(shown) {
  const list = make("div", { role: "tablist", "aria-label": "What to ask", class: "tabs" });
  const buttons = shown.map(({ id, title, element }, at) => {
    Object.assign(element, { id: `panel-${id}` });
    element.setAttribute("role", "tabpanel");
    element.setAttribute("aria-labelledby", `tab-${id}`);
    return make("button", {
      type: "button", role: "tab", id: `tab-${id}`, "aria-controls": element.id, text: title,
      on: { click: () => choose(at) },
    });
  });
  const choose = (chosen) => {
    buttons.forEach((button, at) => {
      button.setAttribute("aria-selected", String(at === chosen));
      button.tabIndex = at === chosen ? 0 : -1;
      shown[at].element.hidden = at !== chosen;
    });
  };
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = (buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length;
    choose(next);
    buttons[next].focus();
  });
  list.append(...buttons);
  list.hidden = buttons.length < 2;
  choose(0);
  return [list, ...shown.map(({ element }) => element)];
}

function facts(site, runtime) {
  const threads = runtime.threads ? "several threads" : "one thread";
  const size = Object.values(site.models).reduce((sum, model) => sum + model.bytes, 0) / 1e6;
  const galleries = Object.entries(site.galleries).map(([m, its]) => `${its.ids.length} ${site.words[m].many}`);
  const rows = [
    ["Method", site.recipe],
    ["Gallery", galleries.join(" and ") || "none"],
    ["Model", `${size.toFixed(1)} MB in ${site.precision}, runs in WebAssembly on ${threads}`],
    ["Embedding space", site.embedding_space],
    ["Licence of the weights", site.license],
  ];
  const list = document.getElementById("facts");
  list.replaceChildren(...rows.flatMap(([name, value]) => [make("dt", { text: name }), make("dd", { text: value })]));
  document.getElementById("card").hidden = !site.card;
}

async function start() {
  const missing = lacks();
  if (missing) throw new Error(missing);
  const answer = await fetch(new URL("./site.json", import.meta.url));
  if (!answer.ok) throw new Error("site.json is missing from this folder: write the site again with tfav-web.");
  const site = await answer.json();
  document.title = site.title;
  document.querySelector("h1").textContent = site.title;
  document.getElementById("toy").hidden = !site.toy;
  const bytes = Object.values(site.models).reduce((sum, its) => sum + its.bytes, site.runtime_bytes);
  waiting.textContent = `Loading the model: ${Math.ceil(bytes / 1e6)} MB, once …`;
  const entries = Object.entries(site.galleries).map(async ([m, about]) => [m, await Gallery.load(m, about)]);
  const galleries = Object.fromEntries(await Promise.all(entries));
  const runtime = await new Runtime(site.models).start();
  await Promise.all(Object.keys(site.models).map((name) => runtime.load(name)));
  const model = new Model(site, runtime);
  const shown = panels(model, galleries);
  app.replaceChildren(...tabs(shown));
  facts(site, runtime);
  waiting.hidden = true;
  document.documentElement.dataset.ready = "";
  return { site, galleries, model, panels: shown };
}

/** What the page works with, for who tries it from the console; rejects where it cannot start. */
export const ready = start();

ready.catch((error) => {
  waiting.classList.add("bad");
  waiting.textContent = error.message;
});
