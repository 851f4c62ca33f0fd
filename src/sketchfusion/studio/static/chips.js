/** Chips of the query line that narrow the photos: a button whose menu leads down a tree, with the number of photos at each place. */

import { byId, make, placeBelow } from "./dom.js";

/** Says "change" when another place is chosen. */
export class Chip extends EventTarget {
  /** What is chosen: the identifier of a place, or "" for all. */
  value = "";
  #places = new Map();
  #note = "";
  #filled = ""; // what the menu was filled with

  /** `id` is the button's, and begins that of its menu; `all` stands on it when nothing is chosen. */
  constructor(id, all) {
    super();
    Object.assign(this, { all, button: byId(id), menu: byId(`${id}-menu`) });
    this.place = placeBelow(this.menu, this.button);
    this.menu.addEventListener("toggle", ({ newState }) => newState === "open" && this.#focus());
    this.menu.addEventListener("beforetoggle", ({ newState }) => newState === "open" && this.#fill());
    this.#show();
  }

  /** What there is to choose: places {id, parent, name, photos, label?}, each before those in it, and a `note` on them. A chosen place that is gone is given up. */
  offer(places, note = "") {
    this.#places = new Map(places.map((place) => [place.id, place]));
    this.#note = note;
    if (this.value && !this.#places.has(this.value)) this.#choose("");
    else this.#show();
    if (!this.menu.matches(":popover-open") || this.#content === this.#filled) return; // a place that is replaced while it is pressed is not clicked
    const focused = this.menu.contains(document.activeElement) ? document.activeElement.value : null;
    this.#fill();
    if (focused !== null) this.#focus(focused);
  }

  /** Choose without saying so. */
  set(value) {
    this.value = value;
    this.#show();
  }

  #choose(value) {
    this.set(value);
    this.dispatchEvent(new Event("change"));
  }

  /** The places from the top down to this one. */
  #way(id) {
    const place = this.#places.get(id);
    return place ? [...this.#way(place.parent), place] : [];
  }

  #in(id) {
    return [...this.#places.values()].filter(({ parent }) => parent === id);
  }

  #show() {
    const way = this.#way(this.value);
    const { name, label = name } = way.at(-1) ?? {};
    this.button.hidden = !this.#places.size && !this.value;
    this.button.classList.toggle("on", Boolean(this.value));
    this.button.lastElementChild.textContent = label ?? (this.value ? ".." : this.all);
    this.button.title = way.map((place) => place.name).join(" › ");
  }

  get #content() {
    return JSON.stringify([this.value, [...this.#places.values()], this.#note]);
  }

  /** The way down to the chosen place, and what lies in it, or beside it if nothing does. */
  #fill() {
    this.#filled = this.#content;
    const at = this.#in(this.value).length ? this.value : (this.#places.get(this.value)?.parent ?? "");
    const step = ({ id, name }) => make("li", {}, make("button", { type: "button", value: id, "aria-current": id === this.value ? "true" : null, onclick: () => this.#take(id) }, name));
    const row = ({ id, name, photos }) => {
      const unit = make("span", { className: "unseen" }, photos === 1 ? " photo" : " photos");
      const parts = [make("span", {}, name), " ", make("span", { className: "number" }, photos.toLocaleString(), unit)];
      return make("li", {}, make("button", { type: "button", value: id, "aria-pressed": `${id === this.value}`, onclick: () => this.#take(id) }, ...parts));
    };
    const way = make("ol", { className: "way", "aria-label": "Chosen" }, ...[{ id: "", name: this.all }, ...this.#way(at)].map(step));
    const list = make("ul", {}, ...this.#in(at).filter(({ id, photos }) => photos || id === this.value).map(row));
    this.menu.replaceChildren(way, list, ...(this.#note ? [make("p", {}, this.#note)] : []));
  }

  #take(id) {
    this.#choose(id);
    if (id && !this.#in(id).length) return this.menu.hidePopover();
    this.#fill();
    this.place();
    return this.#focus();
  }

  #focus(id = this.value) {
    [...this.menu.querySelectorAll("button")].find(({ value }) => value === id)?.focus();
  }
}

const monthName = (month) => new Date(2000, Number(month.slice(5)) - 1).toLocaleString(undefined, { month: "long" });

/** Years and their months as places, of [{month, photos}]. */
export function dates(months) {
  const years = new Map();
  for (const { month, photos } of months) years.set(month.slice(0, 4), (years.get(month.slice(0, 4)) ?? 0) + photos);
  const inside = (year) => months.filter(({ month }) => month.startsWith(year)).map(({ month, photos }) => ({ id: month, parent: year, name: monthName(month), label: `${monthName(month)} ${year}`, photos }));
  return [...years].flatMap(([year, photos]) => [{ id: year, parent: "", name: year, photos }, ...inside(year)]);
}
