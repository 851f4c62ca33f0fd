/** The line above the photos: words, folder, how sure at least, grouping, and the photo to find more like. */

import { byId, make } from "./dom.js";

const KEY = "sketchfusion.filters";

/** Says "change" when one of the words, the folder or the photo to find more like is another. */
export class QueryLine extends EventTarget {
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
    byId("category").addEventListener("change", () => this.#take());
    for (const input of [this.least, this.group]) input.addEventListener("input", () => this.#take());
    byId("like").querySelector("button").addEventListener("click", () => this.like(null));
    drawing.addEventListener("change", () => drawing.live && search.like && this.like(null));
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
    if (photo) byId("like").querySelector("img").src = photo.thumbnail;
    this.search.soon();
    this.dispatchEvent(new Event("change"));
  }

  /** The parts of the address that are said here. */
  get state() {
    const { text, category, like } = this.search;
    return { words: text.trim(), folder: category, like: like?.id ?? "" };
  }

  /** Ask for what an address says. */
  set({ words, folder, like }) {
    const select = byId("category");
    byId("text").value = words;
    if (![...select.options].some(({ value }) => value === folder)) select.append(make("option", { value: folder }, folder));
    select.value = folder;
    this.#take();
    if (like !== this.state.like) this.like(like ? { id: like, thumbnail: `/api/v1/photos/${encodeURIComponent(like)}/thumbnail` } : null);
  }

  categories(names) {
    const select = byId("category");
    const chosen = select.value;
    select.replaceChildren(make("option", { value: "" }, "All folders"), ...names.map((name) => make("option", { value: name }, name)));
    select.value = names.includes(chosen) ? chosen : "";
    select.closest("label").hidden = !names.length;
    if (select.value !== chosen) this.#take();
  }

  #take() {
    const others = byId("text").value.trim() !== this.search.text.trim();
    byId("least").textContent = `${Math.round(100 * Number(this.least.value))} %`;
    Object.assign(this.search, {
      text: byId("text").value,
      category: byId("category").value,
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
