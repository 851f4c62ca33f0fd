/** The paper: shows the drawing, and turns mouse, pen and finger into strokes or into points. */

import { paint } from "./strokes.js";

/** Says "point" with detail [x, y] when the tool is "point". */
export class Paper extends EventTarget {
  #base = document.createElement("canvas"); // strokes that are finished, painted once
  #painted = null;
  #pointer = null;
  #frame = 0;
  tool = "pen";
  width = 6;

  constructor(root, drawing) {
    super();
    this.root = root;
    this.drawing = drawing;
    this.canvas = root.querySelector("canvas");
    this.underlay = root.querySelector(".underlay");
    this.hint = root.querySelector(".hint");
    drawing.addEventListener("change", () => this.#soon());
    new ResizeObserver(() => this.#soon(true)).observe(this.canvas);
    this.canvas.addEventListener("pointerdown", (event) => this.#down(event));
    this.canvas.addEventListener("pointermove", (event) => this.#move(event));
    this.canvas.addEventListener("pointerup", (event) => this.#up(event));
    this.canvas.addEventListener("pointercancel", () => this.#cancel());
    this.canvas.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
    this.canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  /** Paint anew, for example in the ink of another theme. */
  refresh() {
    this.#soon(true);
  }

  /** From the window's pixels to drawing units. */
  toUnits(clientX, clientY) {
    const box = this.canvas.getBoundingClientRect();
    const { width, height } = this.drawing.state;
    return [((clientX - box.left) / box.width) * width, ((clientY - box.top) / box.height) * height];
  }

  /** A point as the pen leaves it: pressure only where the device knows it. */
  #point(event) {
    const [x, y] = this.toUnits(event.clientX, event.clientY);
    return event.pointerType === "pen" && event.pressure > 0 ? [x, y, event.pressure] : [x, y];
  }

  #down(event) {
    if (this.#pointer !== null || event.button > 0) {
      // a second finger means that the first one was no stroke; the eraser end of a pen is button 5
      if (event.button !== 5) return this.#pointer !== null && event.pointerType === "touch" ? this.#cancel() : undefined;
    }
    if (this.tool === "point") {
      const [x, y] = this.toUnits(event.clientX, event.clientY);
      this.dispatchEvent(new CustomEvent("point", { detail: [x, y] }));
      return;
    }
    this.#pointer = event.pointerId;
    this.canvas.setPointerCapture(event.pointerId);
    const erase = this.tool === "eraser" || event.button === 5;
    this.drawing.begin(this.#point(event), erase ? this.width * 3 : this.width, erase);
  }

  #move(event) {
    if (event.pointerId !== this.#pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    this.drawing.extend((events.length ? events : [event]).map((each) => this.#point(each)));
  }

  #up(event) {
    if (event.pointerId !== this.#pointer) return;
    this.#pointer = null;
    this.drawing.end();
  }

  #cancel() {
    this.#pointer = null;
    this.drawing.cancel();
  }

  #soon(anew = false) {
    if (anew) this.#painted = null;
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#paint();
    });
  }

  #paint() {
    const { state, live } = this.drawing;
    this.root.classList.toggle("wide", state.width > state.height);
    this.root.style.setProperty("--aspect", `${state.width / state.height}`);
    const { clientWidth } = this.canvas;
    if (!clientWidth) return;
    const scale = (clientWidth * devicePixelRatio) / state.width;
    const width = Math.round(state.width * scale);
    const height = Math.round(state.height * scale);
    for (const canvas of [this.canvas, this.#base]) {
      if (canvas.width === width && canvas.height === height) continue;
      canvas.width = width;
      canvas.height = height;
      this.#painted = null;
    }
    if (this.#painted !== state) this.#paintBase(state, scale);
    const context = this.canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    context.drawImage(this.#base, 0, 0);
    context.scale(scale, scale);
    if (live) this.#stroke(context, live, state.picture);
    this.hint.hidden = !this.drawing.blank || Boolean(live);
  }

  #paintBase(state, scale) {
    this.#painted = state;
    const context = this.#base.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.#base.width, this.#base.height);
    context.scale(scale, scale);
    for (const stroke of state.strokes) this.#stroke(context, stroke, state.picture);
    this.underlay.hidden = !state.picture;
    this.root.classList.toggle("unseen-picture", Boolean(state.picture && !state.picture.url));
    if (state.picture?.url) this.underlay.src = state.picture.url;
    else this.underlay.removeAttribute("src");
  }

  #stroke(context, stroke, picture) {
    const { color, backgroundColor } = getComputedStyle(this.root);
    const cut = stroke.erase && !picture;
    context.globalCompositeOperation = cut ? "destination-out" : "source-over";
    paint(context, stroke, stroke.erase ? backgroundColor : color);
    context.globalCompositeOperation = "source-over";
  }
}
