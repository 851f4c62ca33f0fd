/** The line above the photos: words, category, how sure at least, grouping, and the photo to find more like. */

import { byId, make } from "./dom.js";

const KEY = "sketchfusion.filters";

export class QueryLine {
  /** `cut(least)` is called with how sure a photo must be to be shown, or null. */
  constructor(search, drawing, cut) {
    this.search = search;
    this.cut = cut;
    this.confident = byId("confident");
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
    for (const input of [this.confident, this.least, this.group]) input.addEventListener("input", () => this.#take());
    byId("rest").addEventListener("click", () => {
      this.confident.checked = false;
      this.#take();
    });
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
    byId("like").hidden = !photo;
    if (photo) byId("like").querySelector("img").src = photo.thumbnail;
    this.search.soon();
  }

  categories(names) {
    const select = byId("category");
    const chosen = select.value;
    select.replaceChildren(make("option", { value: "" }, "All categories"), ...names.map((name) => make("option", { value: name }, name)));
    select.value = names.includes(chosen) ? chosen : "";
    select.closest("label").hidden = !names.length;
  }

  #take() {
    this.least.disabled = !this.confident.checked;
    this.least.title = `At least ${Math.round(100 * Number(this.least.value))} % sure`;
    Object.assign(this.search, {
      text: byId("text").value,
      category: byId("category").value,
      group: this.group.checked,
    });
    this.search.soon();
    this.cut(this.confident.checked ? Number(this.least.value) : null);
    try {
      localStorage.setItem(KEY, JSON.stringify({ confident: this.confident.checked, least: this.least.value, group: this.group.checked }));
    } catch {
      // without storage the filters last as long as the page
    }
  }

  #recall() {
    try {
      const kept = JSON.parse(localStorage.getItem(KEY));
      if (!kept) return;
      this.confident.checked = kept.confident;
      this.least.value = kept.least;
      this.group.checked = kept.group;
    } catch {
      // nothing that can be read was kept
    }
  }
}
