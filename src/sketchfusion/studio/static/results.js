/** The grid of photos: what was found, or the whole gallery; a photo that stays keeps its place on the page and its node. */

import { calm, make } from "./dom.js";

const percent = (share) => `${Math.round(100 * share)} %`;

/** Says "open" with detail = the photo. Photos are the server's: {id, name, category, thumbnail, confidence?, similar?, ..}. */
export class Results extends EventTarget {
  #tiles = new Map();
  photos = [];

  constructor(grid) {
    super();
    this.grid = grid;
    grid.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Show exactly these, in this order; tiles that stay glide to their new places. */
  show(photos) {
    const before = this.#places();
    const stays = new Set(photos.map((photo) => photo.id));
    for (const [id, tile] of this.#tiles) {
      if (stays.has(id)) continue;
      tile.remove();
      this.#tiles.delete(id);
    }
    photos.forEach((photo, index) => {
      const tile = this.#tile(photo);
      if (this.grid.children[index] !== tile) this.grid.insertBefore(tile, this.grid.children[index] ?? null);
    });
    this.photos = photos;
    this.#rove();
    this.#glide(before);
  }

  /** More of the same, at the end. */
  append(photos) {
    const fresh = photos.filter((photo) => !this.#tiles.has(photo.id));
    this.grid.append(...fresh.map((photo) => this.#tile(photo)));
    this.photos = [...this.photos, ...fresh];
    this.#rove();
  }

  remove(id) {
    this.show(this.photos.filter((photo) => photo.id !== id));
  }

  focus(id) {
    (this.#tiles.get(id) ?? this.grid.firstElementChild)?.querySelector("button").focus();
  }

  #tile(photo) {
    let tile = this.#tiles.get(photo.id);
    if (!tile) {
      const image = make("img", { src: photo.thumbnail, alt: "", decoding: "async", draggable: false });
      image.addEventListener("error", () => tile.classList.add("lost"));
      const button = make("button", { type: "button", tabIndex: -1 }, image, make("span", { className: "sure" }), make("span", { className: "folded" }));
      tile = make("li", {}, button);
      this.#tiles.set(photo.id, tile);
    }
    const button = tile.firstElementChild;
    button.onclick = () => this.dispatchEvent(new CustomEvent("open", { detail: photo }));
    const sure = photo.confidence;
    const words = [photo.category || photo.name, sure === undefined ? null : `${percent(sure)} sure`];
    const folded = photo.similar?.length ?? 0;
    if (folded) words.push(`and ${folded} like it`);
    button.setAttribute("aria-label", words.filter(Boolean).join(", "));
    button.title = `${photo.path ?? photo.name}${sure === undefined ? "" : `, ${percent(sure)} sure`}`;
    tile.style.setProperty("--sure", `${sure ?? 0}`);
    button.querySelector(".folded").textContent = folded ? `+${folded}` : "";
    return tile;
  }

  #rove() {
    const buttons = [...this.grid.querySelectorAll("button")];
    const focused = buttons.find((button) => button === document.activeElement);
    buttons.forEach((button, index) => { button.tabIndex = button === (focused ?? buttons[0]) || (index === 0 && !focused) ? 0 : -1; });
  }

  #key(event) {
    const buttons = [...this.grid.querySelectorAll("button")];
    const at = buttons.indexOf(document.activeElement);
    if (at < 0) return;
    const columns = getComputedStyle(this.grid).gridTemplateColumns.split(" ").length;
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -at, End: buttons.length - 1 - at };
    if (!(event.key in steps)) return;
    event.preventDefault();
    const next = buttons[at + steps[event.key]];
    if (!next) return;
    buttons[at].tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }

  #places() {
    if (calm() || this.grid.hidden) return new Map();
    return new Map([...this.#tiles].slice(0, 60).map(([id, tile]) => [id, tile.getBoundingClientRect()]));
  }

  #glide(before) {
    if (calm() || this.grid.hidden) return;
    for (const [id, tile] of this.#tiles) {
      const from = before.get(id);
      const to = from && tile.getBoundingClientRect();
      if (from && (from.left !== to.left || from.top !== to.top)) {
        tile.animate([{ transform: `translate(${from.left - to.left}px, ${from.top - to.top}px)` }, { transform: "none" }], { duration: 180, easing: "ease-out" });
      } else if (!from && before.size) {
        tile.animate([{ opacity: 0 }, { opacity: 1 }], { duration: 180 });
      }
    }
  }
}
