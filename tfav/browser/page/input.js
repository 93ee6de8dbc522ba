// What both kinds of input have: a title, tools, a place to drop a file, the gallery, a status line.

import { icon, ICONS, make } from "./dom.js";

const SHOWN = 60; // items of the gallery to choose from

/** One side of a question: a recording or an image. */
export class Input {
  /**
   * @param {object} about
   * @param {string} about.title
   * @param {string} about.accept Kinds of files, as an `<input type="file">` has them.
   * @param {import("./gallery.js").Gallery} [about.gallery] To choose from.
   * @param {(given: {item: object, name: string, place: number}) => void} about.onItem Is told each
   *   new item; `place` is that in the gallery, -1 of others.
   */
  constructor({ title, accept, gallery, onItem }) {
    this.onItem = onItem;
    this.gallery = gallery;
    this.tools = make("div", { class: "tools" });
    this.stage = make("div", { class: "stage", hidden: true });
    this.status = make("p", { class: "status", role: "status" });
    const chooser = make("input", {
      type: "file",
      accept,
      class: "chooser",
      "aria-label": `${title}: choose a file`,
      on: { change: () => chooser.files[0] && this.take(chooser.files[0]) },
    });
    this.tools.append(make("label", { class: "button" }, chooser, icon(ICONS.file), "Choose a file"));
    this.element = make(
      "section",
      { class: "input card", "aria-label": title },
      make("h2", { text: title }),
      this.tools,
      make("p", { class: "hint", text: "or drop a file here" }),
      this.stage,
      this.status,
      gallery?.length ? this.#strip(title) : null,
    );
    this.element.addEventListener("dragover", (event) => {
      event.preventDefault();
      this.element.classList.add("over");
    });
    this.element.addEventListener("dragleave", () => this.element.classList.remove("over"));
    this.element.addEventListener("drop", (event) => {
      event.preventDefault();
      this.element.classList.remove("over");
      if (event.dataTransfer.files[0]) this.take(event.dataTransfer.files[0]);
    });
  }

  /** Decodes a file and hands its item on; says so where it cannot. */
  async take(file, name = file.name, place = -1) {
    this.say("Reading …");
    try {
      const item = await this.decode(file);
      this.give(item, name, place);
    } catch (error) {
      this.fail(error);
    }
  }

  give(item, name, place = -1) {
    this.item = item;
    this.show(item);
    this.stage.hidden = false;
    this.say(name);
    this.onItem({ item, name, place });
  }

  /** Is called once an item of the gallery was taken. */
  chosen() {}

  say(text) {
    this.status.classList.remove("bad");
    this.status.textContent = text;
  }

  fail(error) {
    this.status.classList.add("bad");
    this.status.textContent = error.message;
  }

  #strip(title) {
    const items = this.gallery.ids.slice(0, SHOWN).flatMap((id, place) => {
      const url = this.gallery.url(place);
      if (!url) return [];
      const choose = async () => {
        strip.querySelectorAll("[aria-pressed=true]").forEach((b) => b.setAttribute("aria-pressed", "false"));
        button.setAttribute("aria-pressed", "true");
        await this.take(await (await fetch(url)).blob(), this.gallery.labels[place], place);
        this.chosen();
      };
      const button = make(
        "button",
        { type: "button", class: "chip", "aria-pressed": "false", title: id, on: { click: choose } },
        this.chip(url),
        make("span", { text: this.gallery.labels[place] }),
      );
      return [make("li", {}, button)];
    });
    if (!items.length) return null;
    const rest = this.gallery.length > SHOWN ? ` (the first ${SHOWN} of ${this.gallery.length})` : "";
    const strip = make("ul", { class: "strip", tabindex: "-1" }, ...items);
    return make(
      "details",
      { class: "pick", open: true },
      make("summary", { text: `or take one from the gallery${rest}` }),
      make("div", { role: "group", "aria-label": `${title}: the gallery` }, strip),
    );
  }
}
