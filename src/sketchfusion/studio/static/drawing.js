/** The drawing: strokes over an optional picture, with undo, as the server wants it. */

import { History } from "./history.js";
import { SIDE, finished, paint } from "./strokes.js";

export const EMPTY = Object.freeze({ strokes: [], picture: null, width: SIDE, height: SIDE });

/**
 * Says "change" whenever it looks different, also while a stroke goes on.
 * A state is {strokes, picture, width, height}; a picture is {kind: "image", data} or {kind: "svg", svg}, with `url` to show it
 * where the browser can, `full` (an <img>) once that is loaded, and `id` once an address names it.
 */
export class Drawing extends EventTarget {
  #history = new History(EMPTY);
  #live = null;
  #turn = 0;

  get state() {
    return this.#history.state;
  }

  get live() {
    return this.#live;
  }

  get canUndo() {
    return this.#history.canUndo;
  }

  get canRedo() {
    return this.#history.canRedo;
  }

  /** Whether there is anything to search with. */
  get blank() {
    return !this.state.picture && !this.#strokes().some((stroke) => !stroke.erase);
  }

  begin(point, width, erase) {
    this.#live = { points: [point], width, erase };
    this.#changed();
  }

  extend(points) {
    if (!this.#live) return;
    this.#live.points.push(...points);
    this.#changed();
  }

  end() {
    if (!this.#live) return;
    const stroke = finished(this.#live);
    this.#live = null;
    this.replace({ ...this.state, strokes: [...this.state.strokes, stroke] });
  }

  cancel() {
    if (!this.#live) return;
    this.#live = null;
    this.#changed();
  }

  /** Begin what takes a while to become the drawing. Gives a function that says whether nothing else was begun since. */
  expect() {
    const turn = ++this.#turn;
    return () => turn === this.#turn;
  }

  /** Put another state in place of this one; a stroke that goes on is given up. */
  replace(state) {
    this.#live = null;
    this.#history.push(state);
    this.#changed();
  }

  clear() {
    this.cancel();
    if (this.state !== EMPTY) this.replace(EMPTY);
  }

  undo() {
    this.cancel();
    this.#history.undo();
    this.#changed();
  }

  redo() {
    this.#history.redo();
    this.#changed();
  }

  /** The Drawing of a request, or null when there is no ink. */
  payload() {
    if (this.blank) return null;
    const { picture, width, height } = this.state;
    const strokes = this.#strokes();
    if (!picture) return { kind: "strokes", width, height, strokes };
    if (!strokes.length || !picture.full) {
      return picture.kind === "svg" ? { kind: "svg", svg: picture.svg, width, height } : { kind: "image", data: picture.data, width, height };
    }
    return { kind: "image", data: this.#composed().split(",")[1], width, height };
  }

  #strokes() {
    return this.#live ? [...this.state.strokes, finished(this.#live)] : this.state.strokes;
  }

  #composed() {
    const { picture, width, height } = this.state;
    const canvas = new OffscreenSheet(width * 2, height * 2);
    canvas.context.drawImage(picture.full, 0, 0, canvas.width, canvas.height);
    canvas.context.scale(2, 2);
    for (const stroke of this.#strokes()) paint(canvas.context, stroke, stroke.erase ? "#fff" : "#000");
    return canvas.url(picture.type === "image/png" ? "image/png" : "image/jpeg");
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }

  restore(state) {
    this.#history = new History(state);
    this.#changed();
  }
}

/** White paper off the page, to paint a picture on. */
export class OffscreenSheet {
  constructor(width, height) {
    this.canvas = document.createElement("canvas");
    this.width = this.canvas.width = Math.max(1, Math.round(width));
    this.height = this.canvas.height = Math.max(1, Math.round(height));
    this.context = this.canvas.getContext("2d");
    this.context.fillStyle = "#fff";
    this.context.fillRect(0, 0, this.width, this.height);
  }

  url(type = "image/jpeg") {
    return this.canvas.toDataURL(type, 0.92);
  }
}
