// The wasm's functions, as verifier/wasm/src/lib.rs has them: bytes in, JSON out.

/** The verifier in one instance. After a trap it is of no use any more. */
export class Verifier {
  #exports;

  constructor(instance) {
    this.#exports = instance.exports;
  }

  /** What has to be known before a file is read: limits in bytes. */
  about() {
    this.#exports.about();
    return this.#output();
  }

  /** Verifies: the request, and the bytes of trust file, policy, evidence, updates and older files, in this order. */
  verify(request, files) {
    for (const part of [new TextEncoder().encode(JSON.stringify(request)), ...files]) {
      this.#write(this.#room(part.byteLength), part);
      this.#exports.part();
    }
    this.#exports.verify();
    return this.#output();
  }

  /** Hashes chunks as they come, each of at most `chunk` bytes, and returns size and digests. */
  async hash(chunks, chunk) {
    const room = this.#room(chunk);
    this.#exports.hash_begin();
    for await (const piece of chunks) {
      this.#write(room, piece);
      this.#exports.hash_chunk(piece.byteLength);
    }
    this.#exports.hash_end();
    return this.#output();
  }

  #room(length) {
    const room = this.#exports.room(length) >>> 0;
    if (room === 0) throw new WebAssembly.RuntimeError("no room");
    return room;
  }

  #write(room, bytes) {
    new Uint8Array(this.#exports.memory.buffer, room, bytes.byteLength).set(new Uint8Array(bytes));
  }

  #output() {
    const { memory, output, output_length } = this.#exports;
    const bytes = new Uint8Array(memory.buffer, output() >>> 0, output_length() >>> 0);
    return JSON.parse(new TextDecoder().decode(bytes));
  }
}
