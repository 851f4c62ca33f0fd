/** The toolbar: pen, eraser, width, undo, redo, clear; one tab stop for the buttons, arrow keys between them. */

import { byId } from "./dom.js";

const WIDTH = "sketchfusion.width";

export class Tools {
  constructor(drawing, paper) {
    Object.assign(this, { drawing, paper });
    this.slider = byId("stroke-width");
    byId("tool-pen").addEventListener("click", () => this.choose("pen"));
    byId("tool-eraser").addEventListener("click", () => this.choose("eraser"));
    byId("undo").addEventListener("click", () => drawing.undo());
    byId("redo").addEventListener("click", () => drawing.redo());
    byId("clear").addEventListener("click", () => drawing.clear());
    this.slider.addEventListener("input", () => this.#widen(Number(this.slider.value)));
    drawing.addEventListener("change", () => this.#enable());
    this.#widen(Number(stored()) || paper.width);
    this.#enable();
  }

  /** Take a tool ("pen", "eraser" or "point"); says which one it was before. */
  choose(tool) {
    const before = this.paper.tool;
    this.paper.tool = tool;
    this.paper.root.dataset.tool = tool;
    byId("tool-pen").setAttribute("aria-pressed", `${tool === "pen"}`);
    byId("tool-eraser").setAttribute("aria-pressed", `${tool === "eraser"}`);
    return before;
  }

  wider(by) {
    this.#widen(this.paper.width + by);
  }

  #widen(width) {
    const { min, max } = this.slider;
    this.paper.width = Math.min(Number(max), Math.max(Number(min), width));
    this.slider.value = `${this.paper.width}`;
    try {
      localStorage.setItem(WIDTH, this.slider.value);
    } catch {
      // without storage the width lasts as long as the page
    }
  }

  #enable() {
    byId("undo").disabled = !this.drawing.canUndo;
    byId("redo").disabled = !this.drawing.canRedo;
    byId("clear").disabled = this.drawing.blank && !this.drawing.state.strokes.length;
  }
}

function stored() {
  try {
    return localStorage.getItem(WIDTH);
  } catch {
    return null;
  }
}
