// LiteRT.js: the export's `.tflite` files as they are, in WebAssembly.

const FOLDER = new URL("./runtime/", import.meta.url);
// A function with one vector instruction.
const SIMD = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15,
  253, 98, 11,
);

/** Returns why no model can run here, for the user; empty: it can. */
export function lacks() {
  if (typeof WebAssembly !== "object") {
    return "This browser has no WebAssembly, in which the model runs. Use a recent Chrome, Edge, Firefox or Safari.";
  }
  if (!WebAssembly.validate(SIMD)) {
    return "This browser has no WebAssembly SIMD, which the model needs. Update it: Chrome 91, Firefox 89 and Safari 16.4 have it.";
  }
  return "";
}

/** The files of one export. */
export class Runtime {
  /** @param {object} models Name to `{file}`, as in `site.json`. */
  constructor(models) {
    this.models = models;
    this.threads = false;
    this.compiled = new Map();
    this.turn = Promise.resolve(); // one run at a time: a model has one set of buffers
  }

  /** Loads the WebAssembly; with several threads where the server isolates the page. */
  async start() {
    this.litert = await import(new URL("index.js", FOLDER));
    const threads = Boolean(globalThis.crossOriginIsolated);
    try {
      await this.litert.loadLiteRt(FOLDER.href, { threads });
      this.threads = threads;
    } catch (error) {
      if (!threads) throw error;
      await this.litert.loadLiteRt(FOLDER.href, { threads: false });
    }
    return this;
  }

  /** Returns the model of a file, which is loaded the first time. */
  load(name) {
    if (!this.compiled.has(name)) {
      const url = new URL(this.models[name].file, import.meta.url).href;
      this.compiled.set(name, this.litert.loadAndCompile(url, { accelerator: "wasm" }));
    }
    return this.compiled.get(name);
  }

  /**
   * Returns the outputs of a signature by name.
   * @param {string} name Of the file.
   * @param {string} signature
   * @param {Object<string, {data: Float32Array|Int32Array|Uint8Array, shape: number[]}>} inputs
   * @param {string[]} wanted Names of the outputs to read.
   * @returns {Promise<Object<string, Float32Array>>}
   */
  run(name, signature, inputs, wanted) {
    const done = this.turn.then(() => this.#run(name, signature, inputs, wanted));
    this.turn = done.catch(() => {});
    return done;
  }

  async #run(name, signature, inputs, wanted) {
    const model = await this.load(name);
    const tensors = Object.fromEntries(
      Object.entries(inputs).map(([key, { data, shape }]) => [key, new this.litert.Tensor(data, shape)]),
    );
    const outputs = await model.signatures[signature].run(tensors);
    const found = {};
    for (const key of wanted) found[key] = Float32Array.from(await outputs[key].data());
    for (const tensor of [...Object.values(tensors), ...Object.values(outputs)]) tensor.delete();
    return found;
  }
}
