/** The grid of photos: what was found, or the whole gallery; a photo that stays keeps its place on the page and its node. */

import { at, calm, icon, make } from "./dom.js";

const MEASURED = 60; // tiles that glide; those further down are out of sight

const percent = (share) => `${Math.round(100 * share)} %`;

/** The first of `buttons` in another row than `button`, in the column of that row which is nearest to it. */
function beside(buttons, button) {
  const { top, left } = button.getBoundingClientRect();
  const places = buttons.map((each) => [each, each.getBoundingClientRect()]);
  const row = places.find(([, box]) => Math.abs(box.top - top) > 4)?.[1].top;
  const near = places.filter(([, box]) => box.top === row);
  return near.sort(([, one], [, other]) => Math.abs(one.left - left) - Math.abs(other.left - left))[0]?.[0];
}

/** Says "open" with detail = the photo, "mark" with detail {photo, mark: "right" or "wrong"}, and "selected" when others are. Photos are the server's: {id, name, category, thumbnail, confidence?, similar?, ..}. */
export class Results extends EventTarget {
  #tiles = new Map();
  #last = null; // the photo that was chosen last, from which Shift chooses
  photos = [];
  /** Photos that are chosen, by identifier; they stay so when others are shown. */
  selected = new Map();

  /** `marks` tells which photos are right, `fresh` which are new. */
  constructor(grid, marks, fresh) {
    super();
    Object.assign(this, { grid, marks, fresh });
    this.rule = make("li", { className: "rule" });
    grid.addEventListener("keydown", (event) => this.#key(event));
    grid.addEventListener("click", (event) => this.#click(event));
  }

  /** How many photos fill the window, and a row more. */
  get room() {
    const style = getComputedStyle(this.grid);
    const columns = style.gridTemplateColumns.split(" ").length;
    const side = parseFloat(style.gridTemplateColumns) + parseFloat(style.columnGap) || innerWidth / 4;
    return columns * Math.ceil(innerHeight / side);
  }

  /** Show exactly these, in this order, with `words` over a hairline before the photo at place `line`, if it is given; tiles that stay glide to their new places. */
  show(photos, line = null, words = "") {
    const before = this.#places();
    const focused = this.grid.contains(document.activeElement) ? document.activeElement : null;
    const place = this.photos.indexOf(focused && this.photoAt(focused));
    const stays = new Set(photos.map((photo) => photo.id));
    for (const [id, tile] of this.#tiles) {
      if (stays.has(id)) continue;
      tile.remove();
      this.#tiles.delete(id);
    }
    const nodes = photos.map((photo) => this.#tile(photo));
    this.rule.textContent = words;
    if (line === null) this.rule.remove();
    else nodes.splice(line, 0, this.rule);
    nodes.forEach((node, index) => {
      if (this.grid.children[index] !== node) this.grid.insertBefore(node, this.grid.children[index] ?? null);
    });
    this.photos = photos;
    if (focused && focused !== document.activeElement) this.#refocus(focused, place);
    this.#rove();
    this.#glide(before);
  }

  /** Whether a click chooses a photo instead of opening it. */
  get selecting() {
    return this.grid.classList.contains("selecting");
  }

  set selecting(on) {
    this.grid.classList.toggle("selecting", on);
    if (!on) this.selected.clear();
    this.#mark();
  }

  /** The photo whose tile an element belongs to, or null. */
  photoAt(element) {
    const tile = element.closest?.("li");
    return this.photos.find(({ id }) => this.#tiles.get(id) === tile) ?? null;
  }

  /** Ask again for small pictures that did not come. */
  reload() {
    for (const image of this.grid.querySelectorAll(".lost img")) {
      image.closest("li").classList.remove("lost");
      image.src = image.getAttribute("src");
    }
  }

  focus(id) {
    (this.#tiles.get(id) ?? this.grid.firstElementChild)?.querySelector("button").focus();
  }

  /** A tile that is moved loses the focus; of one that is gone the tile takes it which is in its place. */
  #refocus(element, place) {
    const { id } = this.photos[Math.min(place, this.photos.length - 1)] ?? {};
    if (element.isConnected) element.focus({ preventScroll: true });
    else if (place >= 0 && id) this.focus(id);
  }

  #tile(photo) {
    let tile = this.#tiles.get(photo.id);
    if (!tile) {
      const image = make("img", { src: at(photo.thumbnail), alt: "", decoding: "async", loading: "lazy", draggable: false });
      image.addEventListener("error", () => tile.classList.add("lost"));
      const button = make("button", { type: "button", className: "tile", tabIndex: -1, draggable: true }, image, make("span", { className: "sure" }), make("span", { className: "folded" }));
      const check = make("input", { type: "checkbox", tabIndex: -1, "aria-label": `Select ${photo.name}` });
      const right = make("button", { type: "button", className: "mark right", tabIndex: -1, title: "This is right (+)", "aria-label": `This is right: ${photo.name}` }, icon("tick"));
      const wrong = make("button", { type: "button", className: "mark wrong", tabIndex: -1, title: "Not this (-)", "aria-label": `Not this: ${photo.name}` }, icon("close"));
      tile = make("li", {}, button, check, wrong, right);
      this.#tiles.set(photo.id, tile);
    }
    const button = tile.firstElementChild;
    const image = button.querySelector("img");
    if (image.src !== at(photo.thumbnail)) image.src = at(photo.thumbnail); // its file is another now
    tile.querySelector("input").checked = this.selected.has(photo.id);
    tile.querySelector(".right").setAttribute("aria-pressed", `${this.marks.right.has(photo.id)}`);
    const sure = photo.confidence;
    const words = [photo.category || photo.name, sure === undefined ? null : `${percent(sure)} sure`];
    const folded = photo.similar?.length ?? 0;
    if (folded) words.push(`and ${folded} like it`);
    const isNew = this.fresh.has(photo.id);
    if (isNew) words.push("new");
    button.setAttribute("aria-label", words.filter(Boolean).join(", "));
    button.title = `${photo.path ?? photo.name}${sure === undefined ? "" : `, ${percent(sure)} sure`}`;
    tile.style.setProperty("--sure", `${sure ?? 0}`);
    button.querySelector(".folded").textContent = [isNew ? "new" : "", folded ? `+${folded}` : ""].filter(Boolean).join(" ");
    return tile;
  }

  #rove(to = document.activeElement?.closest?.("#results .tile")) {
    const buttons = [...this.grid.querySelectorAll(".tile")];
    const stop = buttons.includes(to) ? to : buttons[0];
    for (const button of buttons) {
      for (const part of button.parentElement.children) part.tabIndex = button === stop ? 0 : -1;
    }
  }

  /** A click on a check box chooses, with Shift all from the last one; so does a click on a photo with Ctrl or Shift, or once one is chosen. */
  #click(event) {
    const photo = this.photoAt(event.target);
    if (!photo) return;
    const box = event.target.matches("input");
    const mark = event.target.closest(".mark");
    if (mark) this.dispatchEvent(new CustomEvent("mark", { detail: { photo, mark: mark.classList.contains("right") ? "right" : "wrong" } }));
    else if (box || this.selecting || event.ctrlKey || event.metaKey || event.shiftKey) this.#choose(photo, event.shiftKey);
    else this.dispatchEvent(new CustomEvent("open", { detail: photo }));
  }

  #choose(photo, through) {
    const ids = this.photos.map(({ id }) => id);
    const [from, to] = [ids.indexOf(this.#last), ids.indexOf(photo.id)];
    const chosen = through && from >= 0 ? this.photos.slice(Math.min(from, to), Math.max(from, to) + 1) : [photo];
    const on = chosen.length > 1 || !this.selected.has(photo.id);
    for (const each of chosen) {
      if (on) this.selected.set(each.id, each);
      else this.selected.delete(each.id);
    }
    this.#last = photo.id;
    this.grid.classList.add("selecting");
    this.#mark();
  }

  #mark() {
    for (const [id, tile] of this.#tiles) tile.querySelector("input").checked = this.selected.has(id);
    this.dispatchEvent(new Event("selected"));
  }

  #key(event) {
    const buttons = [...this.grid.querySelectorAll(".tile")];
    const at = buttons.indexOf(document.activeElement);
    if (at < 0) return;
    if (event.key === "x") this.#choose(this.photoAt(buttons[at]), false);
    const goals = {
      ArrowLeft: () => buttons[at - 1],
      ArrowRight: () => buttons[at + 1],
      ArrowUp: () => beside(buttons.slice(0, at).reverse(), buttons[at]),
      ArrowDown: () => beside(buttons.slice(at + 1), buttons[at]),
      Home: () => buttons[0],
      End: () => buttons[buttons.length - 1],
    };
    if (!(event.key in goals)) return;
    event.preventDefault();
    const next = goals[event.key]();
    if (!next) return;
    this.#rove(next);
    next.focus();
  }

  #places() {
    if (calm() || this.grid.hidden) return new Map();
    return new Map([...this.#tiles].slice(0, MEASURED).map(([id, tile]) => [id, tile.getBoundingClientRect()]));
  }

  #glide(before) {
    if (calm() || this.grid.hidden) return;
    for (const { id } of this.photos.slice(0, MEASURED)) {
      const tile = this.#tiles.get(id);
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
