/** Finds that were called right or wrong: the search moves towards the right ones and leaves the wrong ones out. */

import { byId } from "./dom.js";

const MOST = 64; // of each kind that the server takes

/** Identifiers of photos, `right` and `wrong`. Says "change". */
export class Marks extends EventTarget {
  right = new Set();
  wrong = new Set();

  /** What is marked, such as "2 right, 1 not", or "". */
  get words() {
    const [right, wrong] = [this.right.size, this.wrong.size];
    return [right ? `${right} right` : "", wrong ? `${wrong} not` : ""].filter(Boolean).join(", ");
  }

  /** The parts of the address that are said here. */
  get state() {
    return { right: [...this.right].join(" "), wrong: [...this.wrong].join(" ") };
  }

  /** Mark what an address says. */
  restore({ right, wrong }) {
    this.right = new Set(right.split(" ").filter(Boolean).slice(-MOST));
    this.wrong = new Set(wrong.split(" ").filter(Boolean).slice(-MOST));
    this.#changed();
  }

  /** The mark of a photo: "right", "wrong" or null. */
  of(id) {
    return this.right.has(id) ? "right" : this.wrong.has(id) ? "wrong" : null;
  }

  /** Mark a photo; null takes its mark away. Beyond the most that the server takes the oldest mark goes. */
  set(id, mark) {
    if (this.of(id) === mark) return;
    this.right.delete(id);
    this.wrong.delete(id);
    if (mark) {
      const marked = this[mark].add(id);
      if (marked.size > MOST) marked.delete(marked.values().next().value);
    }
    this.#changed();
  }

  clear() {
    if (this.words) this.restore({ right: "", wrong: "" });
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

/** Show in the query line what is marked, with a cross that takes all marks away. */
export function connectMarks(marks) {
  const chip = byId("marks");
  chip.querySelector("button").addEventListener("click", () => {
    marks.clear();
    byId("finds").focus(); // the cross is gone
  });
  marks.addEventListener("change", () => {
    chip.hidden = !marks.words;
    chip.firstElementChild.textContent = marks.words;
  });
}
