/** The last drawings, kept in this browser: small pictures; a click puts one back on the paper. */

import { packed, unpacked } from "./address.js";
import { byId, make, makeSvg } from "./dom.js";
import { OffscreenSheet } from "./drawing.js";
import { notice } from "./notice.js";
import { unpack } from "./packing.js";
import { fromKept } from "./picture.js";
import { path } from "./strokes.js";

const KEY = "sketchfusion.recents";
const MOST = 30;
const PAUSE = 1500; // without a stroke until a drawing is kept
const SIDE = 112;
const STRIPS = ["examples", "recents", "saved"];

/** Drawings are kept as {q, picture, small, when}: as an address names them, with a small copy of a loaded picture. */
export class Recents {
  #timer = 0;
  #list = [];

  constructor(drawing) {
    this.drawing = drawing;
    this.#recall();
    drawing.addEventListener("change", () => {
      clearTimeout(this.#timer);
      if (!drawing.live && !drawing.blank) this.#timer = setTimeout(() => this.#keep(), PAUSE);
    });
    addEventListener("pagehide", () => drawing.blank || this.#keep(false)); // a page that goes loads no pictures
    addEventListener("storage", ({ key }) => key === KEY && this.#recall());
    for (const name of STRIPS) byId(`show-${name}`).addEventListener("click", () => this.#choose(name));
    this.#choose("examples");
  }

  #choose(name) {
    for (const each of STRIPS) {
      byId(`show-${each}`).setAttribute("aria-pressed", `${each === name}`);
      byId(each).hidden = each !== name;
    }
  }

  /** Keep the drawing; one that goes on, or goes back by a few strokes, takes the place of what it was. */
  #keep(show = true) {
    const now = packed(this.drawing);
    const [newest] = this.#list;
    const same = newest && newest.picture === now.picture && (now.q.startsWith(newest.q) || newest.q.startsWith(now.q));
    const others = this.#list.slice(same ? 1 : 0).filter(({ q, picture }) => q !== now.q || picture !== now.picture);
    this.#list = [{ ...now, small: this.#small(), when: Date.now() }, ...others].slice(0, MOST);
    try {
      localStorage.setItem(KEY, JSON.stringify(this.#list));
    } catch {
      // without storage, or without room in it, they last as long as the page
    }
    if (show) this.#fill();
  }

  #recall() {
    try {
      const kept = JSON.parse(localStorage.getItem(KEY));
      if (Array.isArray(kept)) this.#list = kept.filter(({ q }) => typeof q === "string" && unpack(q));
    } catch {
      // nothing that can be read was kept
    }
    this.#fill();
  }

  #small() {
    const { picture, width, height } = this.drawing.state;
    if (!picture?.full) return "";
    const scale = SIDE / Math.max(width, height);
    const sheet = new OffscreenSheet(width * scale, height * scale);
    sheet.context.drawImage(picture.full, 0, 0, sheet.width, sheet.height);
    return sheet.url();
  }

  #fill() {
    byId("show-recents").hidden = !this.#list.length;
    byId("recents").replaceChildren(...this.#list.map((kept, index) => make("li", {}, this.#button(kept, index))));
  }

  #button(kept, index) {
    const { width, height, strokes } = unpack(kept.q);
    const picture = makeSvg("svg", { viewBox: `-6 -6 ${width + 12} ${height + 12}`, "aria-hidden": "true" });
    if (kept.small) picture.append(makeSvg("image", { href: kept.small, width, height }));
    picture.append(makeSvg("path", { d: path(strokes) }));
    const when = new Date(kept.when).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
    return make("button", { type: "button", title: when, "aria-label": `Your drawing ${index + 1}, of ${when}`, onclick: () => this.#draw(kept) }, picture);
  }

  async #draw(kept) {
    const newest = this.drawing.expect();
    const { lost, ...state } = await unpacked(kept);
    if (lost) return notice("The picture of this drawing is not kept in this browser.");
    const full = await fromKept(state);
    return newest() && this.drawing.replace(full);
  }
}
