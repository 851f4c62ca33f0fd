/** Searches saved in this browser under a name: opened again, they tell what the gallery has got since. */

import { hashOf } from "./address.js";
import { byId, make, makeSvg, placeBelow } from "./dom.js";
import { notice } from "./notice.js";
import { unpack } from "./packing.js";
import { path } from "./strokes.js";

const KEY = "sketchfusion.saved";
const MOST = 200; // photos of an answer that are remembered, as many as the server gives at once

const when = (time) => new Date(time).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });

/** Kept as {name, gallery, q, hash, seen, when}: `hash` is the address, `seen` the best photos of the last look. */
export class Saved {
  #list = [];
  #gallery = null;
  #open = ""; // the address of the one that was opened last
  #looking = false; // until its answer has come

  /** `state()` gives the parts of the address without the open photo, `least()` how sure a find must be to be told, and `fresh` is the set that new ones are put into. */
  constructor(search, state, least, fresh) {
    Object.assign(this, { search, state, least, fresh });
    search.addEventListener("found", ({ detail }) => this.#found(detail));
    placeBelow(byId("save-menu"), byId("save"));
    byId("save-menu").addEventListener("beforetoggle", ({ newState }) => newState === "open" && this.#ask());
    byId("save-form").addEventListener("submit", (event) => {
      event.preventDefault();
      byId("save-menu").hidePopover();
      this.#save(byId("save-name").value.trim());
    });
    byId("unsave").addEventListener("click", () => {
      const current = this.#current;
      byId("save-menu").hidePopover();
      this.#put(this.#list.filter((kept) => kept !== current));
    });
    addEventListener("storage", ({ key }) => key === KEY && this.#gallery !== null && this.of(this.#gallery));
  }

  /** Show the searches of a gallery. */
  of(gallery) {
    this.#gallery = gallery;
    byId("save").disabled = false; // before that nobody could list what was saved
    try {
      const kept = JSON.parse(localStorage.getItem(KEY));
      if (Array.isArray(kept)) this.#list = kept.filter(({ hash, seen }) => typeof hash === "string" && Array.isArray(seen));
    } catch {
      // nothing that can be read was kept
    }
    this.#fill();
  }

  /** The saved search that the page shows. */
  get #current() {
    const hash = hashOf(this.state());
    return this.#list.find((kept) => kept.hash === hash && kept.gallery === this.#gallery);
  }

  #ask() {
    const current = this.#current;
    byId("save-name").value = current?.name ?? (this.search.text.trim() || document.querySelector("#guesses .name")?.textContent || "");
    byId("unsave").hidden = !current;
  }

  #save(name) {
    const [state, current] = [this.state(), this.#current];
    const entry = { name, gallery: this.#gallery, q: state.q, hash: hashOf(state), seen: [], when: Date.now() };
    this.#put([entry, ...this.#list.filter((kept) => kept !== current && (kept.name !== name || kept.gallery !== this.#gallery))]);
    notice("Saved. It lies below the drawing and says what is new when you open it.");
    this.#look(entry);
  }

  #put(list) {
    this.#list = list;
    try {
      localStorage.setItem(KEY, JSON.stringify(list));
    } catch {
      // without storage, or without room in it, they last as long as the page
    }
    this.#fill();
  }

  #look({ hash }) {
    this.#open = hash;
    this.#looking = true;
    if (hashOf(this.state()) === hash) this.search.again(MOST);
    else location.hash = hash;
  }

  /** Compare the best photos with those of the last look; where fewer were asked for, ask for them first. */
  #found({ hits, asked, last }) {
    const entry = this.#current;
    if (entry?.hash !== this.#open) return this.fresh.clear();
    if (!last || !this.#looking) return;
    if (hits.length === asked.k && asked.k < MOST) return void this.search.again(MOST);
    const known = new Set(entry.seen);
    const sure = hits.filter(({ confidence }) => confidence >= this.least());
    this.fresh.clear();
    for (const { id } of known.size ? sure : []) if (!known.has(id)) this.fresh.add(id);
    if (known.size) notice(`${this.fresh.size || "Nothing"} new since ${when(entry.when)}.`);
    Object.assign(entry, { seen: hits.map(({ id }) => id), when: Date.now() });
    this.#looking = false;
    this.#put(this.#list);
  }

  #fill() {
    const mine = this.#list.filter(({ gallery }) => gallery === this.#gallery);
    byId("show-saved").hidden = !mine.length;
    if (!mine.length && !byId("saved").hidden) byId("show-examples").click();
    byId("saved").replaceChildren(...mine.map((entry) => make("li", {}, this.#button(entry))));
  }

  #button(entry) {
    const { width, height, strokes } = (entry.q && unpack(entry.q)) || { width: 1, height: 1, strokes: [] };
    const picture = makeSvg("svg", { viewBox: `-6 -6 ${width + 12} ${height + 12}`, "aria-hidden": "true" }, makeSvg("path", { d: path(strokes) }));
    const title = `Saved search, last looked at ${when(entry.when)}`;
    return make("button", { type: "button", title, onclick: () => this.#look(entry) }, ...(strokes.length ? [picture] : []), make("span", {}, entry.name));
  }
}
