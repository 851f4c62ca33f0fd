/** The server, spoken to: JSON in and out, one kind of error for a refusal, another for a server that is away. */

import { at } from "./dom.js";

const HERE = at("/api/v1");
const FIRST_WAIT = 400;
const LONGEST_WAIT = 8000;

/** The server does not answer. */
export class Away extends Error {}

/** The server answered with one line why not. `retryAfter` is in seconds when it asked to come again. */
export class Refused extends Error {
  constructor(status, body, retryAfter) {
    super(body?.error || (status === 501 ? "Not in this version yet" : `The server answered ${status}`));
    this.status = status;
    this.superseded = Boolean(body?.superseded);
    this.retryAfter = retryAfter;
  }
}

const randomId = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Says "away" when the server stops answering and "back" when it does again. */
export class Api extends EventTarget {
  #client = randomId();
  #sequence = 0;
  #returning = null;

  get away() {
    return this.#returning !== null;
  }

  get(path) {
    return this.#json(path, {});
  }

  post(path, body) {
    const json = body instanceof FormData ? body : JSON.stringify(body);
    const headers = body instanceof FormData ? {} : { "Content-Type": "application/json" };
    return this.#json(path, { method: "POST", body: json, headers });
  }

  /** A question whose older ones the server may drop. */
  ask(path, body) {
    return this.post(path, { client: this.#client, sequence: ++this.#sequence, ...body });
  }

  delete(path, options = {}) {
    return this.#json(path, { method: "DELETE", ...options });
  }

  async blob(path, body) {
    const answer = await this.#fetch(path, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
    return this.#read(answer, "blob");
  }

  url(path) {
    return HERE + path;
  }

  /** Resolves when the server answers again; asks for its health with growing pauses until then. */
  back() {
    return this.#returning ?? Promise.resolve();
  }

  async #json(path, options) {
    return this.#read(await this.#fetch(path, options), "json");
  }

  /** What is in an answer; the server may go away in the middle of it. */
  async #read(answer, as) {
    try {
      return await answer[as]();
    } catch (error) {
      if (error instanceof SyntaxError) throw new Refused(answer.status, { error: "The server's answer cannot be read" });
      throw this.#lost();
    }
  }

  async #fetch(path, options) {
    let answer;
    try {
      answer = await fetch(HERE + path, options);
    } catch {
      throw this.#lost();
    }
    if (answer.ok) return answer;
    if (answer.status === 502 || answer.status === 504) throw this.#lost();
    const body = await answer.json().catch(() => null);
    const asked = Number(answer.headers.get("Retry-After"));
    const retry = answer.status === 503 ? Math.min(Math.max(asked || 1, 0.5), 30) : 0;
    throw new Refused(answer.status, body, retry);
  }

  /** Begin to wait for the server; gives the error that says so. */
  #lost() {
    if (!this.#returning) {
      this.#returning = this.#wait();
      this.dispatchEvent(new Event("away"));
    }
    return new Away("The server is away");
  }

  async #wait() {
    for (let pause = FIRST_WAIT; ; pause = Math.min(pause * 1.6, LONGEST_WAIT)) {
      await new Promise((done) => setTimeout(done, pause));
      const answer = await fetch(`${HERE}/health`, { cache: "no-store" }).catch(() => null);
      if (answer?.ok) break;
    }
    this.#returning = null;
    this.dispatchEvent(new Event("back"));
  }
}
