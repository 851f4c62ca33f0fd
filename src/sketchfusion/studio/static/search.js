/** The search: what is asked of the gallery, when, and what came of it. */

import { Marks } from "./marks.js";
import { Newest } from "./newest.js";

const PAUSE = 120;
const MOST = 200; // photos that the server gives at once
const FURTHEST = 10_000; // photos of one answer that it counts up to

const key = (body) => JSON.stringify({ ...body, k: 0, offset: 0 });
const unmarked = (body) => key({ ...body, right: [], wrong: [] });

/** Whether a sheet is the earlier one drawn on: that was empty, or something of it is still there. */
const goesOn = (sheet, before) => !(before.picture || before.strokes.length) || (sheet.picture && sheet.picture === before.picture) || sheet.strokes.some((stroke) => before.strokes.includes(stroke));

/**
 * Says "asking", "found" (detail: the answer with `asked`, `last`: none newer is on its way, and `fresh`: something else was asked), "more" (detail: the photos after those),
 * "settled" when that is still what is asked, "idle" when there is nothing to search with, and "refused" (detail: Refused).
 * Asks at most every 120 ms, also while a stroke goes on.
 */
export class Search extends EventTarget {
  text = "";
  folder = "";
  date = "";
  /** The photo {id, thumbnail} to find more like; with `picture`, as a drawing has it, for one that is not in the gallery. */
  like = null;
  group = false;
  /** Photos to ask for at a time. */
  count = 24;
  /** Names that the drawing was wrongly taken for. */
  without = new Set();
  /** Finds that are right and wrong. */
  marks = new Marks();
  #sheet; // the drawing as it was last
  #timer = 0;
  #asked = "";
  #newest;
  #answer = null; // {asked, shown, asking, ended} of the answer that is shown
  #anew = 0; // how many photos are wanted at least of what was asked before
  #later = false; // whether more is wanted once it is clear that nothing else is asked

  constructor(api, drawing) {
    super();
    this.drawing = drawing;
    this.#sheet = drawing.state;
    this.#newest = new Newest(api, {
      send: (body) => api.ask("/search", body),
      done: (answer, asked) => (asked.offset ? this.#more(answer, asked) : this.#found(answer, asked)),
      failed: (error, asked) => this.#failed(error, asked),
    });
    drawing.addEventListener("change", () => {
      const before = this.#sheet;
      this.#sheet = drawing.state;
      if (drawing.blank || (this.#sheet !== before && !goesOn(this.#sheet, before))) {
        this.without.clear();
        this.marks.clear();
      }
      this.soon();
    });
    this.marks.addEventListener("change", () => {
      this.#anew = 1;
      this.soon();
    });
  }

  /** Folder and date as the end of an address of the server: "&folder=..&date=..". */
  get narrowed() {
    const { folder, date } = this;
    return Object.entries({ folder, date }).map(([name, value]) => value && `&${name}=${encodeURIComponent(value)}`).join("");
  }

  /** Whether there are more photos to this answer than were asked for so far. */
  get endless() {
    return Boolean(this.#answer && !this.#answer.ended);
  }

  /** Ask as soon as it is time. */
  soon() {
    this.#timer ||= setTimeout(() => {
      this.#timer = 0;
      this.#now();
    }, PAUSE);
  }

  /** Ask the same again, for example after photos were added, for so many photos at least. */
  again(least = 1) {
    this.#asked = "";
    this.#anew = least;
    this.soon();
  }

  /** Ask for the photos after those that were found, unless another answer is on its way. */
  more() {
    if (!this.endless || this.#answer.asking) return;
    this.#later = Boolean(this.#timer);
    if (this.#later || this.#asked !== key(this.#answer.asked)) return;
    const { asked, shown } = this.#answer;
    this.#answer.asking = true;
    this.#newest.ask({ ...asked, offset: shown, k: Math.min(2 * this.count, MOST, FURTHEST - shown) });
  }

  /** Leave a name out of what the drawing is taken for, or take it back in. */
  drop(name) {
    if (!this.without.delete(name)) this.without.add(name);
    this.soon();
  }

  /** What a search would ask now, or null. */
  query() {
    const { like } = this;
    const drawing = like ? null : this.drawing.payload();
    const text = this.text.trim() || null;
    if (!drawing && !text && !like) return null;
    const photo = like?.picture ? { kind: "image", data: like.picture.data } : null;
    return { drawing, like: photo ? null : (like?.id ?? null), photo, text, without: [...this.without], right: [...this.marks.right], wrong: [...this.marks.wrong], k: this.count, offset: 0, folder: this.folder || null, date: this.date || null, min_score: null, group: this.group };
  }

  #now() {
    const body = this.query();
    const asked = body ? key(body) : `all of ${this.narrowed}`;
    if (asked === this.#asked) {
      if (this.#answer && asked === key(this.#answer.asked)) this.#say("settled");
      if (this.#later) this.more();
      return;
    }
    this.#asked = asked;
    if (body) {
      if (this.#anew) body.k = Math.min(MOST, Math.max(this.count, this.#answer?.shown ?? 0, this.#anew));
      this.#anew = 0;
      this.#say("asking");
      this.#newest.ask(body);
    } else {
      this.#newest.drop();
      this.#answer = null;
      this.marks.clear();
      this.#say("idle");
    }
  }

  #found(answer, asked) {
    const fresh = asked.k <= this.count && (!this.#answer || unmarked(asked) !== unmarked(this.#answer.asked));
    this.#answer = { asked, shown: answer.hits.length, ended: answer.hits.length < asked.k };
    const last = key(asked) === this.#asked && (!this.#timer || key(this.query()) === this.#asked);
    this.#say("found", { ...answer, asked, fresh, last });
  }

  #more({ hits }, asked) {
    if (!this.#isNext(asked)) return; // another answer is shown by now
    this.#answer.asking = false;
    this.#answer.shown += hits.length;
    this.#answer.ended = hits.length < asked.k || this.#answer.shown >= FURTHEST;
    this.#say("more", hits);
  }

  /** Whether these are the photos that come next after those of the answer that is shown. */
  #isNext(asked) {
    return Boolean(this.#answer?.asking) && asked.offset === this.#answer.shown && key(asked) === key(this.#answer.asked);
  }

  #failed(error, asked) {
    if (asked.offset) {
      if (this.#isNext(asked)) Object.assign(this.#answer, { asking: false, ended: true });
      return;
    }
    this.#asked = "";
    this.#say("refused", error);
  }

  #say(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
