/** Example drawings: small pictures; a click draws one on the paper, stroke after stroke, or one of a guess in place of what is there. */

import { byId, calm, make, makeSvg } from "./dom.js";
import { SIDE, finished, fitted, path } from "./strokes.js";

const SECONDS = 0.9;
const MARGIN = 28;

const picture = ({ width, height, strokes }) => makeSvg("svg", { viewBox: `-6 -6 ${width + 12} ${height + 12}`, "aria-hidden": "true" }, makeSvg("path", { d: path(strokes) }));

export class Examples {
  #clean = new Map();

  constructor(api, drawing, say) {
    Object.assign(this, { api, drawing, say });
  }

  async load() {
    const examples = await this.api.get("/examples");
    byId("examples").replaceChildren(...examples.map((example) => make("li", {}, this.#button(example))));
    byId("examples").closest(".examples").hidden = !examples.length;
  }

  /** A button with the clean drawing of a label, which takes the place of the drawing on the paper. */
  clean(label) {
    const title = `Draw this ${label} in place of yours`;
    const button = make("button", { type: "button", className: "clean", title, "aria-label": title });
    if (!this.#clean.has(label)) this.#clean.set(label, this.api.get(`/examples/${encodeURIComponent(label)}`));
    this.#clean.get(label).then(
      (example) => {
        button.append(picture(example));
        button.addEventListener("click", () => this.#draw(example, true));
      },
      () => {
        this.#clean.delete(label);
        button.remove();
      },
    );
    return button;
  }

  #button(example) {
    return make("button", { type: "button", title: example.name, "aria-label": `Draw example ${example.name}`, onclick: () => this.#draw(example, calm()) }, picture(example));
  }

  async #draw({ name, width, height, strokes }, atOnce) {
    this.drawing.expect();
    const inner = fitted(strokes, { width, height }, { width: SIDE - 2 * MARGIN, height: SIDE - 2 * MARGIN });
    const moved = inner.map((stroke) => finished({ ...stroke, points: stroke.points.map(([x, y]) => [x + MARGIN, y + MARGIN]) }));
    if (atOnce) this.drawing.replace({ strokes: moved, picture: null, width: SIDE, height: SIDE });
    else if (!(await this.#replay(moved))) return;
    this.say(`${name} drawn`);
  }

  /** Draw as a hand would; stops, and says false, when the person begins to draw, clears the paper or takes another example. */
  async #replay(strokes) {
    const { drawing } = this;
    drawing.clear();
    const pace = strokes.reduce((sum, stroke) => sum + stroke.points.length, 0) / (60 * SECONDS);
    for (const { points, width } of strokes) {
      drawing.begin(points[0], width, false);
      const mine = drawing.live;
      for (let at = 1; at < points.length; at += Math.ceil(pace)) {
        drawing.extend(points.slice(at, at + Math.ceil(pace)));
        await new Promise((done) => requestAnimationFrame(done));
        if (drawing.live !== mine) return false;
      }
      drawing.end();
    }
    return true;
  }
}
