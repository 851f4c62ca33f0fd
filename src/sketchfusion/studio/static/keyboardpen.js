/** A pen for the keyboard: arrow keys move it over a surface, space puts it down, lifts it, or sets a point. */

const STEP = 8;
const LEAP = 40;
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Keeps a cursor on `surface`, which is `size()` = [width, height] units large; calls `press(point)`, `drag(point)`, `lift()`. */
export class KeyboardPen {
  #at = null;
  #down = false;

  constructor(surface, cursor, { size, press, drag, lift, say }) {
    Object.assign(this, { surface, cursor, size, press, drag, lift, say });
    surface.addEventListener("keydown", (event) => this.#key(event));
    surface.addEventListener("blur", () => this.#leave());
    surface.addEventListener("pointerdown", () => this.#leave());
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const move = MOVES[event.key];
    if (move) this.#move(move, event.shiftKey ? LEAP : STEP);
    else if (event.key === " " || event.key === "Enter") this.#toggle();
    else if (event.key === "Escape" && this.#down) this.#lift();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #move([dx, dy], step) {
    const [width, height] = this.size();
    const [x, y] = this.#at ?? [width / 2, height / 2];
    const unit = Math.max(width, height) / 512;
    this.#at = [Math.min(width, Math.max(0, x + dx * step * unit)), Math.min(height, Math.max(0, y + dy * step * unit))];
    if (this.#down) this.drag?.([...this.#at]);
    this.#show();
  }

  #toggle() {
    const [width, height] = this.size();
    this.#at ??= [width / 2, height / 2];
    if (this.#down) this.#lift();
    else {
      this.#down = this.press([...this.#at]) === "held";
      if (this.#down) this.say("Pen down");
    }
    this.#show();
  }

  #lift() {
    this.#down = false;
    this.lift?.();
    this.say("Pen up");
    this.#show();
  }

  #leave() {
    if (this.#down) this.#lift();
    this.cursor.hidden = true;
  }

  #show() {
    const [width, height] = this.size();
    this.cursor.hidden = false;
    this.cursor.classList.toggle("down", this.#down);
    this.cursor.style.left = `${(100 * this.#at[0]) / width}%`;
    this.cursor.style.top = `${(100 * this.#at[1]) / height}%`;
  }
}
