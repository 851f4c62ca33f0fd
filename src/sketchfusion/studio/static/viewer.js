/** The photo as large as it is: over the whole window, with zoom; drag, scroll or arrow keys move it. */

import { byId, pictureOf } from "./dom.js";

const STEP = 1.5;
const LARGEST = 8; // pixels of the screen for one of the photo

export class Viewer {
  #photo = null;
  #scale = 1; // CSS pixels for one pixel of the photo

  /** `step(by)` opens the photo before or after. */
  constructor(step) {
    this.box = byId("viewer");
    this.field = byId("viewer-field");
    this.image = byId("viewer-image");
    const zooms = { "zoom-out": () => this.#zoom(1 / STEP), "zoom-in": () => this.#zoom(STEP), "zoom-fit": () => this.#fitOrWhole(), "viewer-close": () => this.box.close(), "viewer-previous": () => step(-1), "viewer-next": () => step(1) };
    for (const [id, run] of Object.entries(zooms)) byId(id).addEventListener("click", run);
    this.box.addEventListener("keydown", (event) => this.#key(event, step));
    this.box.addEventListener("close", () => this.box.open || this.image.removeAttribute("src")); // it may be open again by then
    this.field.addEventListener("dblclick", (event) => this.#fitOrWhole(event));
    this.field.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.field.addEventListener("pointermove", (event) => {
      if (event.pointerType === "mouse" && event.buttons === 1) this.field.scrollBy(-event.movementX, -event.movementY);
    });
    new ResizeObserver(() => this.box.open && this.#set(Math.max(this.#scale, this.#fit))).observe(this.field);
  }

  /** Show a photo, first as the page has it already, then with all its pixels. */
  open(photo) {
    this.#photo = photo;
    if (!this.box.open) this.box.showModal();
    this.image.src = pictureOf(photo);
    this.image.alt = photo.name;
    byId("viewer-previous").disabled = byId("previous").disabled;
    byId("viewer-next").disabled = byId("next").disabled;
    this.#set(this.#fit);
    this.field.focus();
    const whole = new Image();
    whole.onload = () => { if (this.#photo === photo && this.box.open) this.image.src = whole.src; };
    whole.src = pictureOf(photo, { full: true });
  }

  /** Show the photo that was stepped to, if the viewer is open. */
  follow(photo) {
    if (this.box.open) this.open(photo);
  }

  get #fit() {
    const { clientWidth, clientHeight } = this.field;
    return Math.min(clientWidth / this.#photo.width, clientHeight / this.#photo.height) || 1;
  }

  get #fits() {
    return this.#scale <= this.#fit * 1.001;
  }

  /** Zoom so that what lies under the point, the middle by default, stays there. */
  #set(scale, { clientX, clientY } = {}) {
    const box = this.field.getBoundingClientRect();
    const [x, y] = [(clientX ?? box.left + box.width / 2) - box.left, (clientY ?? box.top + box.height / 2) - box.top];
    const before = this.image.getBoundingClientRect();
    const at = [(box.left + x - before.left) / (before.width || 1), (box.top + y - before.top) / (before.height || 1)];
    this.#scale = scale;
    this.image.style.width = `${this.#photo.width * scale}px`;
    this.image.style.height = `${this.#photo.height * scale}px`;
    const after = this.image.getBoundingClientRect();
    this.field.scrollBy(after.left + at[0] * after.width - box.left - x, after.top + at[1] * after.height - box.top - y);
    byId("zoom-share").textContent = `${Math.round(100 * scale * devicePixelRatio)} %`;
    this.field.classList.toggle("larger", !this.#fits);
  }

  #zoom(by, point) {
    const most = Math.max(LARGEST / devicePixelRatio, this.#fit);
    this.#set(Math.min(most, Math.max(this.#fit, this.#scale * by)), point);
  }

  #fitOrWhole(point) {
    this.#set(this.#fits ? Math.max(1 / devicePixelRatio, 1.001 * this.#fit) : this.#fit, point);
  }

  #wheel(event) {
    event.preventDefault();
    this.#zoom(Math.exp(-event.deltaY / 400), event);
  }

  #key(event, step) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = { "+": () => this.#zoom(STEP), "=": () => this.#zoom(STEP), "-": () => this.#zoom(1 / STEP), 0: () => this.#set(this.#fit), 1: () => this.#set(1 / devicePixelRatio), PageUp: () => step(-1), PageDown: () => step(1) };
    if (this.#fits) Object.assign(keys, { ArrowLeft: () => step(-1), ArrowRight: () => step(1) });
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  }
}
