/** The search: what is asked of the gallery, when, and what came of it. */

import { Newest } from "./newest.js";

const PAUSE = 120;
const COUNT = 24;

/**
 * Says "asking", "found" (detail: the answer with `asked`, and `last`: none newer is on its way), "idle" when there is nothing to search with, and "refused" (detail: Refused).
 * Asks at most every 120 ms, also while a stroke goes on.
 */
export class Search extends EventTarget {
  text = "";
  category = "";
  like = null;
  group = false;
  /** Names that the drawing was wrongly taken for. */
  without = new Set();
  #timer = 0;
  #asked = "";
  #newest;

  constructor(api, drawing) {
    super();
    this.drawing = drawing;
    this.#newest = new Newest(api, {
      send: (body) => api.ask("/search", body),
      done: (answer, asked) => this.#say("found", { ...answer, asked, last: JSON.stringify(asked) === this.#asked && !this.#timer }),
      failed: (error) => {
        this.#asked = "";
        this.#say("refused", error);
      },
    });
    drawing.addEventListener("change", () => {
      if (drawing.blank) this.without.clear();
      this.soon();
    });
  }

  /** Ask as soon as it is time. */
  soon() {
    this.#timer ||= setTimeout(() => {
      this.#timer = 0;
      this.#now();
    }, PAUSE);
  }

  /** Ask the same again, for example after photos were added. */
  again() {
    this.#asked = "";
    this.soon();
  }

  /** Leave a name out of what the drawing is taken for, or take it back in. */
  drop(name) {
    if (!this.without.delete(name)) this.without.add(name);
    this.soon();
  }

  /** What a search would ask now, or null. */
  query() {
    const drawing = this.like ? null : this.drawing.payload();
    const text = this.text.trim() || null;
    if (!drawing && !text && !this.like) return null;
    return { drawing, like: this.like?.id ?? null, text, without: [...this.without], k: COUNT, category: this.category || null, min_score: null, group: this.group };
  }

  #now() {
    const body = this.query();
    const asked = JSON.stringify(body) + (body ? "" : this.category);
    if (asked === this.#asked) return;
    this.#asked = asked;
    if (body) {
      this.#say("asking");
      this.#newest.ask(body);
    } else {
      this.#newest.drop();
      this.#say("idle");
    }
  }

  #say(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
