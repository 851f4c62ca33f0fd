/** Which point is which: click on the sketch or on the photo, and see the other end; or colour both by what matches. */

import { byId, make, makeSvg } from "./dom.js";
import { Newest } from "./newest.js";

/** The view "Match". Points asked for are kept as {source, point}; the server's answers lie beside them, in the same order. */
export class Match {
  #photo = null;
  #asked = [];
  #matches = [];
  #tool = "pen";
  #points;
  #colours;

  constructor(api, drawing, paper, threads, setTool) {
    Object.assign(this, { drawing, paper, threads, setTool });
    const failed = (error) => this.#line(error.message);
    this.#points = new Newest(api, { send: (jobs) => this.#send(api, jobs), done: (answer) => this.#take(answer), failed });
    this.#colours = new Newest(api, { send: (body) => api.ask("/dense", body), done: (answer) => this.#colour(answer), failed });
    paper.addEventListener("point", (event) => this.#photo && this.add("sketch", event.detail));
    drawing.addEventListener("change", () => this.#photo && !drawing.live && this.#again());
    byId("stage").addEventListener("pointerdown", (event) => this.#onPhoto(event));
    for (const event of ["scroll", "resize"]) addEventListener(event, () => this.#draw(), { passive: true });
  }

  get active() {
    return this.#photo !== null;
  }

  show(photo) {
    this.#photo = photo;
    this.#asked = [];
    this.#matches = [];
    this.#tool = this.setTool("point");
    this.words = make("p", { className: "line" });
    this.dense = make("input", { type: "checkbox", role: "switch", onchange: () => this.#again() });
    this.all = make("button", { type: "button", onclick: () => this.#everywhere() }, "Match all over");
    this.none = make("button", { type: "button", onclick: () => this.#forget() }, "Take points away");
    const colours = make("label", { className: "switch" }, this.dense, make("span", {}, "Colour by match"));
    byId("below").replaceChildren(this.words, make("div", { className: "controls" }, this.all, this.none, colours));
    byId("stage").tabIndex = 0;
    byId("stage").setAttribute("role", "application");
    byId("stage").setAttribute("aria-label", "Photo. Arrow keys move a pointer, space matches the point under it");
    this.#hint();
    this.#draw();
  }

  hide() {
    if (!this.#photo) return;
    this.#photo = null;
    this.#points.drop();
    this.#colours.drop();
    this.setTool(this.#tool);
    for (const name of ["role", "aria-label", "tabindex"]) byId("stage").removeAttribute(name);
    this.#colour(null);
    this.#draw();
  }

  /** Ask for the other end of a point: drawing units on the sketch, original pixels on the photo. */
  add(source, point) {
    this.#asked.push({ source, point });
    this.#again();
  }

  #onPhoto(event) {
    if (!this.#photo || event.button > 0) return;
    const box = byId("stage").getBoundingClientRect();
    const { width, height } = this.#photo;
    this.add("photo", [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height]);
  }

  #everywhere() {
    this.#asked = [{ source: "sketch", point: null }];
    this.#again();
  }

  #forget() {
    this.#asked = [];
    this.#matches = [];
    this.#points.drop();
    this.#hint();
    this.#draw();
  }

  #again() {
    const drawing = this.drawing.payload();
    if (!drawing || !this.dense.checked) {
      this.#colours.drop();
      this.#colour(null);
    }
    if (!drawing) return this.#forget();
    if (this.#asked.length) this.#points.ask({ drawing, photo: this.#photo.id, asked: [...this.#asked] });
    else this.#hint();
    if (this.dense.checked) this.#colours.ask({ drawing, photo: this.#photo.id });
    return undefined;
  }

  /** One request for each source that was clicked on; the answers come back in the order of the clicks. */
  async #send(api, { drawing, photo, asked }) {
    const found = [];
    for (const source of ["sketch", "photo"]) {
      const mine = asked.filter((each) => each.source === source);
      if (!mine.length) continue;
      const points = mine.some(({ point }) => point === null) ? null : mine.map(({ point }) => point);
      const { matches } = await api.ask("/match", { drawing, photo, points, source });
      found.push(...matches.map((match, index) => ({ ...match, order: asked.indexOf(mine[index] ?? mine[0]) + index / 1000 })));
    }
    return found.sort((a, b) => a.order - b.order);
  }

  #take(matches) {
    if (!this.#photo) return;
    this.#matches = matches;
    const mutual = matches.filter((match) => match.mutual).length;
    this.#line(`${matches.length} ${matches.length === 1 ? "point" : "points"}, ${mutual} of them found back from the other side (filled).`);
    this.#draw();
  }

  #colour(answer) {
    for (const [id, url] of [["sketch-dense", answer?.sketch], ["photo-dense", answer?.photo]]) {
      byId(id).hidden = !url || !this.#photo;
      if (url) byId(id).src = url;
    }
  }

  #hint() {
    this.#line(this.drawing.blank ? "Draw something first." : "Click a point of the drawing or of the photo to see where it is in the other.");
  }

  #line(text) {
    if (this.words) this.words.textContent = text;
  }

  #draw() {
    const matches = this.#photo ? this.#matches : [];
    const { width, height } = this.drawing.state;
    dots(byId("sketch-marks"), matches, "sketch", width, height);
    if (this.#photo) dots(byId("photo-marks"), matches, "photo", this.#photo.width, this.#photo.height);
    else byId("photo-marks").replaceChildren();
    this.threads.draw(matches, [width, height], this.#photo ? [this.#photo.width, this.#photo.height] : [1, 1]);
  }
}

/** Numbered dots over a picture that is `width` x `height` units large; hollow where the way back leads elsewhere. */
function dots(svg, matches, side, width, height) {
  svg.replaceChildren(
    ...matches.map((match, index) => {
      const [x, y] = match[side];
      const at = { x: `${(100 * x) / width}%`, y: `${(100 * y) / height}%` };
      const circle = makeSvg("circle", { cx: at.x, cy: at.y, r: "10", class: match.mutual ? "mutual" : "oneway" });
      return makeSvg("g", {}, circle, makeSvg("text", { ...at, dy: "4" }, `${index + 1}`));
    }),
  );
}
