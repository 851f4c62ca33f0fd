/** The line above the photos: words, folder, date, how sure at least, grouping, and the photo to find more like. */

import { Chip, dates } from "./chips.js";
import { at, byId } from "./dom.js";

const KEY = "sketchfusion.filters";
const LOADED = "loaded"; // in place of a photo's identifier: the picture on the paper

/** Says "change" when one of the words, the folder, the date or the photo to find more like is another. */
export class QueryLine extends EventTarget {
  #folder = new Chip("folder", "All folders");
  #date = new Chip("date", "All dates");

  /** `cut(least)` is called with how sure a photo must be to stand above the line. */
  constructor(search, drawing, cut) {
    super();
    this.search = search;
    this.cut = cut;
    this.least = byId("min-score");
    this.group = byId("group");
    this.#recall();
    byId("query").addEventListener("submit", (event) => event.preventDefault());
    byId("filter-toggle").addEventListener("click", () => {
      const open = byId("query").classList.toggle("open");
      byId("filter-toggle").setAttribute("aria-expanded", `${open}`);
    });
    byId("text").addEventListener("input", () => this.#take());
    for (const chip of [this.#folder, this.#date]) chip.addEventListener("change", () => this.#take());
    for (const input of [this.least, this.group]) input.addEventListener("input", () => this.#take());
    byId("like").querySelector("button").addEventListener("click", () => this.like(null));
    this.drawing = drawing;
    drawing.addEventListener("change", () => {
      const { like } = search;
      if (like && (drawing.live || (like.picture && like.picture !== drawing.state.picture))) this.like(null);
    });
    this.#take();
  }

  /** Put a word into the text box. */
  say(word) {
    byId("text").value = word;
    this.#take();
  }

  /** Look for photos like this one instead of the drawing; null goes back to the drawing. */
  like(photo) {
    this.search.like = photo;
    this.search.marks.clear();
    byId("like").hidden = !photo;
    byId("like").querySelector("img").hidden = !photo?.thumbnail; // this browser cannot show every picture
    if (photo?.thumbnail) byId("like").querySelector("img").src = at(photo.thumbnail);
    this.search.soon();
    this.dispatchEvent(new Event("change"));
  }

  /** Look for photos like the picture on the paper. */
  likeLoaded() {
    const { picture } = this.drawing.state;
    this.like(picture?.kind === "image" ? { id: LOADED, picture, thumbnail: picture.url } : null);
  }

  /** The parts of the address that are said here. */
  get state() {
    const { text, folder, date, like } = this.search;
    return { words: text.trim(), folder, date, like: like?.id ?? "" };
  }

  /** Ask for what an address says. */
  set({ words, folder, date, like }) {
    byId("text").value = words;
    this.#folder.set(folder);
    this.#date.set(date);
    this.#take();
    if (like === this.state.like) return;
    if (like === LOADED) this.likeLoaded();
    else this.like(like ? { id: like, thumbnail: `/api/v1/photos/${encodeURIComponent(like)}/thumbnail` } : null);
  }

  /** Offer the folders and months of a gallery. */
  offer({ folders, months, undated }) {
    const others = `${undated.toLocaleString()} ${undated === 1 ? "photo" : "photos"} without one: the date of the file.`;
    this.#folder.offer(folders);
    this.#date.offer(months.length > 1 ? dates(months) : [], `The date that the camera wrote.${undated ? ` Of ${others}` : ""}`);
  }

  #take() {
    const others = byId("text").value.trim() !== this.search.text.trim();
    byId("least").textContent = `${Math.round(100 * Number(this.least.value))} %`;
    Object.assign(this.search, {
      text: byId("text").value,
      folder: this.#folder.value,
      date: this.#date.value,
      group: this.group.checked,
    });
    if (others) this.search.marks.clear();
    this.search.soon();
    this.cut(Number(this.least.value));
    try {
      localStorage.setItem(KEY, JSON.stringify({ least: this.least.value, group: this.group.checked }));
    } catch {
      // without storage the filters last as long as the page
    }
    this.dispatchEvent(new Event("change"));
  }

  #recall() {
    try {
      const kept = JSON.parse(localStorage.getItem(KEY));
      if (!kept) return;
      this.least.value = kept.least;
      this.group.checked = kept.group;
    } catch {
      // nothing that can be read was kept
    }
  }
}
