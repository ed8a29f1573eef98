// Loads the network and runs it. Its input are prepared squares, its outputs those of its layers.

import {VisitorError, cannotFetch} from "./errors.js";

const RUNTIME = "./runtime/ort.mjs";
const RUNTIME_WASM = "./runtime/ort.wasm.gz";

// Returns the network and its description, network.json.
export async function loadNetwork() {
  if (typeof WebAssembly === "undefined") {
    throw new VisitorError(
      "This browser has no WebAssembly, which computes the network. Use a newer one.");
  }
  if (typeof DecompressionStream === "undefined") {
    throw new VisitorError("This browser cannot unpack the network. Use a newer one.");
  }
  const description = await (await fetchFile("./network.json")).json();
  // The hash in the address keeps browsers from mixing an old network with a new description.
  const file = `./network.onnx.gz?${description.sha256.slice(0, 16)}`;
  const [runtime, wasm, model] = await Promise.all(
    [importRuntime(), fetchUnpacked(RUNTIME_WASM), fetchUnpacked(file)]);
  runtime.env.wasm.numThreads = 1;  // more need headers that plain file servers do not send
  runtime.env.wasm.wasmBinary = wasm;
  const session = await runtime.InferenceSession.create(model, {executionProviders: ["wasm"]});
  return new Network(runtime, session, description);
}

class Network {
  #last = Promise.resolve();
  #runtime;
  #session;

  constructor(runtime, session, description) {
    this.#runtime = runtime;
    this.#session = session;
    this.description = description;
  }

  // Runs squares, Float32Array of count x size x size x 3, values 0 to 255. Returns {outputs,
  // milliseconds}: a Float32Array for each name, of all layers where no names are given.
  run(squares, names = this.#session.outputNames) {
    // A session runs one batch at a time; further ones wait for it.
    const result = this.#last.then(() => this.#runNow(squares, names));
    this.#last = result.catch(() => {});
    return result;
  }

  async #runNow(squares, names) {
    const size = this.description.image_size;
    const shape = [squares.length / (3 * size * size), size, size, 3];
    const input = new this.#runtime.Tensor("float32", squares, shape);
    const start = performance.now();
    const tensors = await this.#session.run({[this.#session.inputNames[0]]: input}, names);
    const milliseconds = performance.now() - start;
    const outputs = Object.fromEntries(names.map(name => [name, tensors[name].data]));
    return {outputs, milliseconds};
  }
}

async function importRuntime() {
  try {
    return await import(RUNTIME);
  } catch {
    throw cannotFetch(RUNTIME);
  }
}

async function fetchFile(path) {
  let response;
  try {
    response = await fetch(new URL(path, import.meta.url));
  } catch {
    throw cannotFetch(path);
  }
  if (!response.ok) throw cannotFetch(path);
  return response;
}

// Returns the content of a gzip file. Where a server declares the compression, the browser unpacks.
async function fetchUnpacked(path) {
  const response = await fetchFile(path);
  try {
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch {
    throw cannotFetch(path);
  }
}
