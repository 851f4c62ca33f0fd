/** Of many questions only the newest matters: one is under way, at most one waits, and an older one is forgotten. */

import { Away, Refused } from "./api.js";

export class Newest {
  #api;
  #send;
  #done;
  #failed;
  #waiting = null;
  #busy = false;
  #dropped = 0;

  /** `send(body)` asks, `done(answer, body)` shows, `failed(error, body)` says a refusal in one line. */
  constructor(api, { send, done, failed }) {
    this.#api = api;
    this.#send = send;
    this.#done = done;
    this.#failed = failed;
  }

  ask(body) {
    this.#waiting = { body };
    this.#pump();
  }

  /** No answer that is still to come will be shown. */
  drop() {
    this.#waiting = null;
    this.#dropped++;
  }

  async #pump() {
    if (this.#busy || !this.#waiting) return;
    const { body } = this.#waiting;
    const dropped = this.#dropped;
    this.#waiting = null;
    this.#busy = true;
    try {
      const answer = await this.#send(body);
      if (dropped === this.#dropped) this.#done(answer, body);
    } catch (error) {
      if (!(error instanceof Away || error instanceof Refused)) throw error;
      if (dropped === this.#dropped) await this.#again(error, body);
    } finally {
      this.#busy = false;
      queueMicrotask(() => this.#pump());
    }
  }

  async #again(error, body) {
    if (error instanceof Refused && error.superseded) return;
    if (error instanceof Refused && !error.retryAfter) {
      this.#failed(error, body);
      return;
    }
    const dropped = this.#dropped;
    if (error instanceof Away) await this.#api.back();
    else await new Promise((done) => setTimeout(done, 1000 * error.retryAfter));
    if (dropped === this.#dropped) this.#waiting ??= { body };
  }
}
