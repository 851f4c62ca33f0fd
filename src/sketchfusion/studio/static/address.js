/** The page's address: `#q=` with the drawing, then words, folder, date, marks, photo and view, so that reload, Back and a second tab show the same. */

import { keepPicture, keptPicture } from "./pictures.js";
import { pack, unpack } from "./packing.js";

const KEY = "sketchfusion.drawing";
const PAUSE = 300; // browsers refuse more than a few changes of the address a second
const PARTS = ["words", "folder", "date", "like", "right", "wrong", "photo", "view"];

const randomId = () => Array.from(crypto.getRandomValues(new Uint8Array(9)), (byte) => byte.toString(36)).join("");

/** A drawing as {q, picture}: its strokes packed, and the name under which its picture is kept; empty where there is nothing. */
export function packed(drawing) {
  if (drawing.blank) return { q: "", picture: "" };
  const { picture } = drawing.state;
  if (picture && !picture.id) {
    picture.id = randomId();
    keepPicture(picture);
  }
  return { q: pack(drawing.state), picture: picture?.id ?? "" };
}

/** The drawing {strokes, width, height, picture} of {q, picture}, or null if there is none; `lost` if this browser has not got the picture. */
export async function unpacked({ q, picture }) {
  const sheet = q ? unpack(q) : null;
  if (!sheet) return null;
  const found = picture ? await keptPicture(picture) : null;
  return { ...sheet, picture: found, lost: Boolean(picture) && !found };
}

/** The parts {q, picture, words, ..} of an address, or null if it has none. */
export function parts(hash) {
  if (!hash.startsWith("#q=")) return null;
  const given = new URLSearchParams(hash.slice(1));
  return Object.fromEntries(["q", "picture", ...PARTS].map((name) => [name, given.get(name) ?? ""]));
}

/** The address of these parts, empty where there is nothing. */
export const hashOf = (state) => {
  const given = new URLSearchParams({ q: state.q });
  for (const name of ["picture", ...PARTS]) if (state[name]) given.set(name, state[name]);
  return [...given].some(([, value]) => value) ? `#${given}` : "";
};

/** The address of what a photo was opened from, apart from marks, which are kept when one goes back. */
const listed = (state) => hashOf({ ...state, photo: "", view: "", right: "", wrong: "" });

/** The drawing that was on the paper when this browser last showed the page, as {q, picture}. */
export function lastDrawing() {
  try {
    return { q: "", picture: "", ...JSON.parse(localStorage.getItem(KEY)) };
  } catch {
    return { q: "", picture: "" };
  }
}

export class Address {
  #state;
  #turn = 0;
  #applying = false;
  #timer = 0;
  #due = null;
  #leaving = null; // the list that is gone back to, until one is there

  /** `read()` gives the parts of the page as it is, `apply(parts, current)` makes it so; `current()` is false once another address counts. */
  constructor(read, apply) {
    Object.assign(this, { read, apply });
    this.#state = parts(location.hash) ?? parts("#q=");
    addEventListener("popstate", () => this.#arrive());
    addEventListener("pagehide", () => this.#flush());
  }

  /** Going back takes a moment: what was done in it counts, not the address of the list that is reached. */
  #arrive() {
    const [leaving, there] = [this.#leaving, parts(location.hash) ?? parts("#q=")];
    this.#leaving = null;
    if (leaving === null || listed(there) !== leaving) return void this.follow();
    this.#due = null;
    this.#state = there;
    return this.write();
  }

  /** Make the page what its address says. */
  async follow() {
    this.#due = null;
    const turn = ++this.#turn;
    this.#state = parts(location.hash) ?? parts("#q=");
    this.#applying = true;
    try {
      await this.apply(this.#state, () => turn === this.#turn);
    } finally {
      if (turn === this.#turn) {
        this.#applying = false;
        this.write(false);
      }
    }
  }

  /** Write down what the page shows. Opening a photo, looking for more like one, and clearing the paper can be gone back from. */
  write(push = true) {
    if (this.#applying || this.#leaving !== null) return;
    const [was, now] = [this.#state, this.read()];
    const hash = hashOf(now);
    if (hash === hashOf(was)) return;
    this.#state = now;
    try {
      localStorage.setItem(KEY, JSON.stringify({ q: now.q, picture: now.picture }));
    } catch {
      // without storage the address alone keeps the drawing
    }
    if (push && ((now.photo && !was.photo) || now.like !== was.like || (was.q && !now.q))) {
      this.#flush();
      history.pushState({ from: now.photo ? listed(now) : null }, "", hash || location.pathname);
    } else {
      this.#due = hash;
      if (this.#timer) return;
      this.#flush();
      this.#timer = setTimeout(() => {
        this.#timer = 0;
        this.#flush();
      }, PAUSE);
    }
  }

  /** Write down several changes as one. */
  together(change) {
    this.#applying = true;
    change();
    this.#applying = false;
    this.write();
  }

  /** Write down that the photo was closed: by going back, if nothing else has changed since it was opened. */
  closed() {
    if (this.#applying || this.#leaving !== null) return;
    this.#flush();
    const now = this.read();
    if (history.state?.from !== listed(now)) return this.write();
    this.#state = now;
    this.#leaving = listed(now);
    return history.back();
  }

  #flush() {
    if (this.#due !== null) history.replaceState(history.state, "", this.#due || location.pathname);
    this.#due = null;
  }
}
