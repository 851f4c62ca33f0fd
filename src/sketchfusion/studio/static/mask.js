/** Where in the photo the drawn thing is: a heat map from the server, cut at a threshold here, live. */

import { byId, download, make } from "./dom.js";
import { Newest } from "./newest.js";

const loaded = (url) =>
  new Promise((done, failed) => {
    const image = new Image();
    image.onload = () => done(image);
    image.onerror = () => failed(new Error("no picture"));
    image.src = url;
  });

/** The view "Mask". */
export class Mask {
  #photo = null;
  #heat = null; // {values: Uint8Array, width, height}
  #turn = 0; // of the answer that is painted, or asked for
  #newest;

  constructor(api, drawing) {
    this.drawing = drawing;
    this.canvas = byId("mask-canvas");
    this.#newest = new Newest(api, {
      send: (body) => api.ask("/segment", body),
      done: (answer) => this.#take(answer),
      failed: (error) => this.#line(error.message),
    });
    drawing.addEventListener("change", () => this.#photo && !drawing.live && this.#ask());
  }

  show(photo) {
    this.#photo = photo;
    this.#controls();
    this.#ask();
  }

  hide() {
    this.#photo = null;
    this.#drop();
  }

  /** Take the mask away; one that is still to come will not be shown. */
  #drop() {
    this.#turn++;
    this.#newest.drop();
    this.#heat = null;
    this.canvas.hidden = true;
  }

  #ask() {
    const drawing = this.drawing.payload();
    if (!drawing) {
      this.#drop();
      this.save.disabled = this.cut.disabled = true;
      this.#line("Draw what to cut out; the mask appears by itself.");
      return;
    }
    this.#newest.ask({ drawing, photo: this.#photo.id });
  }

  async #take({ score, threshold, heat, width, height }) {
    const turn = ++this.#turn;
    const image = await loaded(heat);
    if (turn !== this.#turn) return;
    const sheet = document.createElement("canvas");
    Object.assign(sheet, { width, height });
    const context = sheet.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0, width, height);
    const { data } = context.getImageData(0, 0, width, height);
    const values = new Uint8Array(width * height);
    for (let i = 0; i < values.length; i++) values[i] = data[4 * i];
    this.#heat = { values, width, height };
    this.threshold.value = `${threshold}`;
    const sure = `${Math.round(100 * score)} % sure that it is there`;
    this.#line(threshold >= 1 ? `Perhaps it is not in this photo (${sure}).` : sure);
    this.#paint();
  }

  #paint() {
    if (!this.#heat) return;
    const { width, height } = this.#heat;
    Object.assign(this.canvas, { width, height, hidden: false });
    const context = this.canvas.getContext("2d");
    const picture = context.createImageData(width, height);
    const inside = this.#inside();
    const veil = Math.round(255 * Number(this.opacity.value));
    const [red, green, blue] = getComputedStyle(this.canvas).color.match(/\d+/g).map(Number);
    const thick = Math.max(1, Math.round(width / 260));
    for (let y = 0, i = 0; y < height; y++) {
      for (let x = 0; x < width; x++, i++) {
        const edge = inside[i] && (!inside[i - thick] || !inside[i + thick] || !inside[i - thick * width] || !inside[i + thick * width]);
        if (edge) picture.data.set([red, green, blue, 255], 4 * i);
        else if (!inside[i]) picture.data.set([18, 20, 23, veil], 4 * i);
      }
    }
    context.putImageData(picture, 0, 0);
    const share = inside.reduce((sum, value) => sum + value, 0) / inside.length;
    this.canvas.setAttribute("aria-label", `Mask over ${Math.round(100 * share)} % of the photo`);
    this.save.disabled = this.cut.disabled = share === 0;
  }

  #inside() {
    const limit = 255 * Number(this.threshold.value);
    return this.#heat.values.map((value) => (value > limit ? 1 : 0));
  }

  #controls() {
    const slider = (label, min, max, value) => {
      const input = make("input", { type: "range", min: `${min}`, max: `${max}`, step: "0.01", value: `${value}`, oninput: () => this.#paint() });
      return [input, make("label", { className: "slider" }, make("span", {}, label), input)];
    };
    const [threshold, thresholdRow] = slider("Threshold", 0.01, 1, 0.5);
    const [opacity, opacityRow] = slider("Veil", 0, 1, 0.72);
    Object.assign(this, { threshold, opacity });
    this.save = make("button", { type: "button", disabled: true, onclick: () => this.#save("mask", () => this.#sheet(false)) }, "Save mask");
    this.cut = make("button", { type: "button", disabled: true, onclick: () => this.#save("cut-out", () => this.#cut()) }, "Save cut-out");
    this.words = make("p", { className: "line" }, "Looking for it ..");
    byId("below").replaceChildren(this.words, make("div", { className: "controls" }, thresholdRow, opacityRow, this.save, this.cut));
  }

  #line(text) {
    this.words.textContent = text;
  }

  /** The mask at the size of the photo that is shown: white inside, as an <canvas>; `soft` gives it as transparency. */
  #sheet(soft) {
    const { width, height } = this.#heat;
    const small = document.createElement("canvas");
    Object.assign(small, { width, height });
    const context = small.getContext("2d");
    const picture = context.createImageData(width, height);
    this.#inside().forEach((value, i) => picture.data.set(soft ? [255, 255, 255, 255 * value] : [255 * value, 255 * value, 255 * value, 255], 4 * i));
    context.putImageData(picture, 0, 0);
    const large = document.createElement("canvas");
    const photo = byId("large");
    Object.assign(large, { width: photo.naturalWidth, height: photo.naturalHeight });
    large.getContext("2d").drawImage(small, 0, 0, large.width, large.height);
    return large;
  }

  /** Save what `paint()` gives, once the photo is there: until then the page has the one before. */
  async #save(kind, paint) {
    const photo = this.#photo;
    await byId("large").decode().catch(() => {});
    if (photo === this.#photo && this.#heat) paint().toBlob((blob) => download(blob, `${stem(photo.name)}-${kind}.png`));
  }

  #cut() {
    const sheet = this.#sheet(true);
    const context = sheet.getContext("2d");
    context.globalCompositeOperation = "source-in";
    context.drawImage(byId("large"), 0, 0);
    return sheet;
  }
}

const stem = (name) => name.replace(/\.[^.]*$/, "");
