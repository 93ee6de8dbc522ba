// A recording: from the microphone, a file or the gallery; its level, and what the network hears.

import * as audio from "./audio_files.js";
import { icon, ICONS, make } from "./dom.js";
import { heard } from "./hearing.js";
import { Input } from "./input.js";
import * as microphone from "./microphone.js";
import * as spectrograms from "./spectrogram.js";

const FLOOR_DB = -60, QUIET_DB = -45, LOUD_DB = -3;
const MAX_SECONDS = 10;

export class AudioInput extends Input {
  /** @param {object} about See `Input`; and `site`, what `site.json` says. */
  constructor(about) {
    super({ ...about, accept: "audio/*,.wav,.mp3,.flac,.ogg,.opus,.m4a" });
    this.site = about.site;
    this.seconds = Math.min(MAX_SECONDS, about.site.seconds);
    this.start = make("button", { type: "button", class: "button main", on: { click: () => this.#record() } });
    this.level = make("meter", {
      min: FLOOR_DB, max: 0, low: QUIET_DB, high: LOUD_DB, optimum: -20, value: FLOOR_DB,
      "aria-label": "Level of the microphone in decibels", hidden: true,
    });
    this.tools.prepend(this.start);
    this.tools.after(this.level);
    const missing = microphone.lacks("microphone");
    if (missing) {
      this.start.disabled = true;
      this.say(missing);
    }
    this.#ready();
    this.canvas = make("canvas", { role: "img" });
    this.player = make("audio", { controls: true });
    this.caption = make("figcaption", { class: "small" });
    this.stage.append(make("figure", {}, this.canvas, this.caption), this.player);
  }

  async decode(file) {
    return this.#kept(await audio.decode(file, this.site.hearing.max_seconds));
  }

  #kept({ clip, seconds }) {
    this.lasts = seconds;
    return clip;
  }

  chip() {
    return icon(ICONS.play);
  }

  chosen() {
    this.player.play().catch(() => {}); // where the browser wants another click first
  }

  #ready() {
    this.start.replaceChildren(icon(ICONS.record), `Record ${Number(this.seconds.toFixed(1))} s`);
    this.level.hidden = true;
  }

  async #record() {
    if (this.recording) {
      this.recording.stop();
      return;
    }
    try {
      this.level.hidden = false;
      let loudest = FLOOR_DB;
      this.recording = await microphone.record(this.seconds, (level, seconds) => {
        loudest = Math.max(loudest, level);
        this.level.value = Math.max(FLOOR_DB, level);
        this.start.lastChild.textContent = `Stop (${Math.max(0, this.seconds - seconds).toFixed(1)} s left)`;
      });
      this.say("Recording. Speak now.");
      this.start.replaceChildren(icon(ICONS.stop), "Stop");
      const { channels, rateHz } = await this.recording.done;
      const clip = this.#kept(audio.prepared(channels, rateHz, this.seconds));
      this.give(clip, `Recorded ${(clip.length / audio.RATE_HZ).toFixed(1)} s`);
      if (loudest < QUIET_DB) this.say("That was very quiet. Speak louder or closer to the microphone.");
      if (audio.peak(clip) > 0.99) this.say("That was too loud and is clipped. Speak more softly.");
    } catch (error) {
      this.fail(error);
    }
    this.recording = null;
    this.#ready();
  }

  show(clip) {
    const part = heard(clip, this.site.hearing);
    const seconds = (part.length / audio.RATE_HZ).toFixed(1);
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = URL.createObjectURL(audio.toWav(part));
    this.player.src = this.url;
    const rest = this.lasts - part.length / audio.RATE_HZ;
    const unheard = rest > 0.05 ? ` The ${rest.toFixed(1)} s after that are not heard.` : "";
    if (spectrograms.knows(this.site.frontend)) {
      spectrograms.draw(this.canvas, spectrograms.spectrogram(part, this.site.frontend));
      this.canvas.setAttribute("aria-label", `What the network hears: a spectrogram of ${seconds} s`);
      this.caption.textContent =
        `What the network hears of ${seconds} s: time to the right, low tones at the bottom.${unheard}`;
    } else {
      this.canvas.hidden = true;
      this.caption.textContent = `The network hears ${seconds} s.${unheard}`;
    }
  }
}
