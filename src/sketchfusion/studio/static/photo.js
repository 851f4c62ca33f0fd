/** One photo, large: four views of it as tabs, its neighbours, more like it, and the way out of the gallery. */

import { byId, make } from "./dom.js";

/**
 * Views are {show(photo), hide()}, by the name of their tab. Says "close", "like" and "forget" (detail: the photo) and "shown".
 */
export class PhotoView extends EventTarget {
  photo = null;
  #list = [];
  #tab = "photo";

  constructor(views) {
    super();
    this.views = views;
    this.tabs = Object.keys(views).map((name) => byId(`tab-${name}`));
    byId("back").addEventListener("click", () => this.close());
    byId("previous").addEventListener("click", () => this.step(-1));
    byId("next").addEventListener("click", () => this.step(1));
    byId("more-like").addEventListener("click", () => this.#say("like"));
    byId("forget").addEventListener("click", () => this.#say("forget"));
    byId("large").addEventListener("error", () => this.#gone());
    for (const tab of this.tabs) {
      tab.addEventListener("click", () => this.choose(tab.id.slice(4)));
      tab.addEventListener("keydown", (event) => this.#key(event));
    }
  }

  get open() {
    return this.photo !== null;
  }

  /** Show this photo; `list` are those around it. */
  show(photo, list) {
    if (this.open) this.views[this.#tab].hide();
    this.photo = photo;
    this.#list = list;
    const sure = photo.confidence === undefined ? "" : `, ${Math.round(100 * photo.confidence)} % sure`;
    byId("photo-name").replaceChildren(photo.name, " ", make("small", {}, `${photo.category ?? ""}${sure}`.replace(/^, /, "")));
    const large = byId("large");
    large.src = `/api/v1/photos/${encodeURIComponent(photo.id)}`;
    large.alt = photo.category ? `Photo of a ${photo.category}: ${photo.name}` : photo.name;
    byId("stage").style.setProperty("--aspect", `${photo.width / photo.height}`);
    byId("stage").classList.remove("lost");
    const at = list.findIndex(({ id }) => id === photo.id);
    byId("previous").disabled = at <= 0;
    byId("next").disabled = at < 0 || at >= list.length - 1;
    this.#say("shown");
    this.choose(this.#tab);
  }

  step(by) {
    const at = this.#list.findIndex(({ id }) => id === this.photo.id);
    const next = this.#list[at + by];
    if (at >= 0 && next) this.show(next, this.#list);
  }

  choose(name) {
    this.views[this.#tab].hide();
    const walking = this.tabs.includes(document.activeElement);
    this.#tab = name;
    for (const tab of this.tabs) {
      const chosen = tab.id === `tab-${name}`;
      tab.setAttribute("aria-selected", `${chosen}`);
      tab.tabIndex = chosen ? 0 : -1;
      if (chosen && walking) tab.focus();
    }
    byId("panel").setAttribute("aria-labelledby", `tab-${name}`);
    byId("below").replaceChildren();
    byId("photo").dataset.view = name;
    if (this.open) this.views[name].show(this.photo);
  }

  close() {
    if (!this.open) return;
    this.views[this.#tab].hide();
    this.#say("close");
    this.photo = null;
  }

  #key(event) {
    const at = this.tabs.indexOf(event.target);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: this.tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.choose(this.tabs[(to + this.tabs.length) % this.tabs.length].id.slice(4));
  }

  #gone() {
    byId("stage").classList.add("lost");
  }

  #say(type) {
    this.dispatchEvent(new CustomEvent(type, { detail: this.photo }));
  }
}
