// An image: from the camera, a file or the gallery; and the square that the network sees.

import { icon, ICONS, make } from "./dom.js";
import * as images from "./image_files.js";
import { Input } from "./input.js";
import * as microphone from "./microphone.js";

const WORDS = {
  NotAllowedError: "The camera was not allowed. Allow it for this page in the browser's settings, or choose a file.",
  NotFoundError: "No camera was found. Connect one, or choose a file.",
  NotReadableError: "The camera is used by another program. Close that, or choose a file.",
};

export class ImageInput extends Input {
  /** @param {object} about See `Input`; and `side`, of the square in pixels. */
  constructor(about) {
    super({ ...about, accept: "image/*" });
    this.side = about.side;
    this.start = make("button", { type: "button", class: "button main", on: { click: () => this.#camera() } });
    this.close = make(
      "button",
      { type: "button", class: "button", hidden: true, on: { click: () => this.#close() } },
      icon(ICONS.stop),
      "Close the camera",
    );
    this.tools.prepend(this.start, this.close);
    this.video = make("video", { muted: true, playsinline: true, hidden: true, "aria-label": "The camera" });
    this.tools.after(this.video);
    const missing = microphone.lacks("camera");
    if (missing) {
      this.start.disabled = true;
      this.say(missing);
    }
    this.#ready();
    this.canvas = make("canvas", { role: "img", class: "seen" });
    this.stage.append(
      make(
        "figure",
        {},
        this.canvas,
        make("figcaption", { class: "small", text: `What the network sees: ${this.side} × ${this.side} pixels.` }),
      ),
    );
  }

  decode(file) {
    return images.decode(file);
  }

  chip(url) {
    return make("img", { src: url, alt: "", loading: "lazy" });
  }

  #ready() {
    this.start.replaceChildren(icon(ICONS.camera), this.stream ? "Take the picture" : "Use the camera");
    this.close.hidden = this.video.hidden = !this.stream;
  }

  async #camera() {
    if (this.stream) {
      try {
        const { videoWidth: width, videoHeight: height } = this.video;
        this.give(await images.stored(this.video, width, height), "Taken with the camera");
      } catch (error) {
        this.fail(error);
      }
      this.#close();
      return;
    }
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user" } });
      this.video.srcObject = this.stream;
      this.video.hidden = false;
      await this.video.play();
      this.say("Look into the camera, with light on your face.");
    } catch (error) {
      this.#close();
      this.fail(new Error(WORDS[error.name] ?? `The camera cannot be used (${error.name}). Choose a file.`));
    }
    this.#ready();
  }

  #close() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = this.video.srcObject = null;
    this.#ready();
  }

  show(image) {
    const { size, data } = images.fit(image, this.side);
    images.draw(this.canvas, size, size, data);
    this.canvas.setAttribute("aria-label", "What the network sees of the image");
  }
}
