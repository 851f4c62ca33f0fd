/** One photo, large: four views of it as tabs, its neighbours, more like it, and the way out of the gallery. */

import { byId, make, pictureOf } from "./dom.js";

/**
 * Views are {show(photo), hide()}, by the name of their tab. Says "close", "like" and "forget" (detail: the photo), "shown", and "view".
 */
export class PhotoView extends EventTarget {
  photo = null;
  #tab = "photo";

  /** `around()` gives the photos that it is one of. */
  constructor(views, around) {
    super();
    Object.assign(this, { views, around });
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

  /** The view that is chosen. */
  get view() {
    return this.#tab;
  }

  show(photo) {
    if (this.open) this.views[this.#tab].hide();
    this.photo = photo;
    const large = byId("large");
    large.src = pictureOf(photo);
    large.alt = photo.category ? `Photo of a ${photo.category}: ${photo.name}` : photo.name;
    byId("stage").style.setProperty("--aspect", `${photo.width / photo.height}`);
    byId("stage").classList.remove("lost");
    this.place();
    this.#say("shown");
    this.choose(this.#tab);
  }

  /** Say anew how sure it is and whether there are photos before and after it, once the photos around it are others. */
  place() {
    if (!this.open) return;
    const list = this.around();
    const at = list.findIndex(({ id }) => id === this.photo.id);
    const { category, confidence } = list[at] ?? this.photo;
    const sure = confidence === undefined ? "" : `, ${Math.round(100 * confidence)} % sure`;
    byId("photo-name").replaceChildren(this.photo.name, " ", make("small", {}, `${category ?? ""}${sure}`.replace(/^, /, "")));
    byId("previous").disabled = at <= 0;
    byId("next").disabled = at < 0 || at >= list.length - 1;
  }

  /** Ask again for the picture, if it did not come. */
  reload() {
    if (!byId("stage").classList.contains("lost")) return;
    byId("stage").classList.remove("lost");
    byId("large").src = byId("large").getAttribute("src");
  }

  step(by) {
    const list = this.around();
    const at = list.findIndex(({ id }) => id === this.photo.id);
    const next = list[at + by];
    if (at >= 0 && next) this.show(next);
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
    if (!this.open) return;
    this.views[name].show(this.photo);
    this.#say("view");
  }

  close() {
    if (!this.open) return;
    this.views[this.#tab].hide();
    const { photo } = this;
    this.photo = null;
    this.dispatchEvent(new CustomEvent("close", { detail: photo }));
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
