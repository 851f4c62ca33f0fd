/** What the models see: the features of sketch and photo as colours, their spectra, and how the fused feature is mixed. */

import { spectraChart, weightBars } from "./charts.js";
import { byId, make } from "./dom.js";
import { Newest } from "./newest.js";

/** The view "Inside". */
export class Inside {
  #photo = null;
  #newest;

  constructor(api, drawing) {
    this.drawing = drawing;
    this.#newest = new Newest(api, {
      send: (body) => api.ask("/inspect", body),
      done: (answer) => this.#fill(answer),
      failed: (error) => byId("below").replaceChildren(make("p", { className: "line" }, error.message)),
    });
    drawing.addEventListener("change", () => this.#photo && !drawing.live && this.#ask());
  }

  show(photo) {
    this.#photo = photo;
    byId("below").replaceChildren(make("p", { className: "line" }, "Looking inside .."));
    this.#ask();
  }

  hide() {
    this.#photo = null;
    this.#newest.drop();
  }

  #ask() {
    const drawing = this.drawing.payload();
    if (drawing) return this.#newest.ask({ drawing, photo: this.#photo.id });
    this.#newest.drop();
    return byId("below").replaceChildren(make("p", { className: "line" }, "Draw something first, to see what the models see of it."));
  }

  #fill({ maps, spectra, branch_weights: weights }) {
    if (!this.#photo) return;
    const picture = (url, feature, kind) => (url ? make("img", { src: url, alt: `${feature} features of the ${kind}` }) : null);
    const columns = maps.map(({ feature, sketch, photo }) => make("figure", {}, picture(sketch, feature, "drawing"), picture(photo, feature, "photo"), make("figcaption", {}, feature)));
    byId("below").replaceChildren(
      make("h3", {}, "What each model sees"),
      make("p", { className: "line" }, "The same colour is the same feature, in the drawing (above) and in the photo (below)."),
      make("div", { className: "maps" }, ...columns),
      make("div", { className: "pair" }, this.#spectra(spectra), this.#weights(weights)),
    );
  }

  #spectra(spectra) {
    if (!spectra?.length) return null;
    const legend = make("p", { className: "legend" }, make("span", { className: "solid" }), "photo", make("span", { className: "dashed" }), "drawing");
    return make("section", {}, make("h3", {}, "Detail: log amplitude by frequency"), spectraChart(spectra), legend);
  }

  #weights(weights) {
    if (!weights || !Object.keys(weights).length) return null;
    return make("section", {}, make("h3", {}, "How the fused feature is mixed"), weightBars(weights));
  }
}
