/** The whole gallery, page after page, when nothing is searched for; and photos forgotten, with a way back. */

import { Away, Refused } from "./api.js";
import { notice } from "./notice.js";

const PAGE = 60;
const MOST = 500; // that the server gives at once

/** Says "page" (detail {photos, total, first}) and "refused". */
export class GalleryList extends EventTarget {
  #turn = 0;
  #shown = 0;
  #reached = 0; // how far one has scrolled, which stays so when the list begins again
  #total = 0;
  #loading = false;

  constructor(api) {
    super();
    this.api = api;
  }

  /** Begin again from the first photo; `narrowed` ends the address of the list. */
  async start(narrowed) {
    this.#turn++;
    this.#reached = narrowed === this.narrowed ? Math.max(this.#reached, this.#shown) : 0;
    this.narrowed = narrowed;
    this.#shown = 0;
    this.#loading = false;
    await this.more(Math.min(MOST, Math.max(PAGE, this.#reached)));
  }

  /** No page that is still to come will be shown. */
  stop() {
    this.#turn++;
    this.#loading = true;
  }

  async more(limit = PAGE) {
    if (this.#loading || (this.#shown && this.#shown >= this.#total)) return;
    this.#loading = true;
    const turn = this.#turn;
    try {
      const { photos, total } = await this.api.get(`/photos?offset=${this.#shown}&limit=${limit}${this.narrowed}`);
      if (turn !== this.#turn) return;
      const first = this.#shown === 0;
      this.#shown += photos.length;
      this.#total = photos.length ? total : this.#shown;
      this.dispatchEvent(new CustomEvent("page", { detail: { photos, total, first } }));
    } catch (error) {
      if (!(error instanceof Away || error instanceof Refused)) throw error;
      if (turn === this.#turn) this.dispatchEvent(new CustomEvent("refused", { detail: error }));
    } finally {
      if (turn === this.#turn) this.#loading = false;
    }
  }
}

/** Forget a photo after a while in which that can be undone; `hidden(true)` takes it off the page, `hidden(false)` brings it back, `done()` is called when it is gone. */
export function forget(api, photo, hidden, done) {
  let settled = false;
  const send = async (options) => {
    if (settled) return;
    settled = true;
    removeEventListener("pagehide", leave);
    try {
      await api.delete(`/photos/${encodeURIComponent(photo.id)}`, options);
      done();
    } catch (error) {
      if (!(error instanceof Away || error instanceof Refused)) throw error;
      hidden(false);
      notice(`${photo.name} is still in the gallery: ${error.message}`);
    }
  };
  const leave = () => send({ keepalive: true });
  addEventListener("pagehide", leave);
  hidden(true);
  const undo = () => {
    settled = true;
    removeEventListener("pagehide", leave);
    hidden(false);
  };
  notice(`${photo.name} is removed from the gallery; the file stays.`, { action: { label: "Undo", run: undo }, gone: (acted) => acted || send({}) });
}
