/** What the drawing may be: names with a line as long as the guess is sure. A click looks for that word. */

import { make } from "./dom.js";

const MOST = 5;

/** Show guesses [{label, score}], the surest first, or what will be here; `choose(label)` is called on a click. */
export function showGuesses(box, labels, choose) {
  const best = labels.slice(0, MOST);
  if (!best.length) {
    box.replaceChildren(make("p", {}, "What the model sees in your drawing is named here."));
    return;
  }
  const top = Math.max(...best.map((guess) => guess.score), 1e-9);
  box.replaceChildren(
    ...best.map(({ label, score }) => {
      const button = make(
        "button",
        { type: "button", title: `Look for “${label}” too`, onclick: () => choose(label), "aria-label": `${label}, ${Math.round(100 * score)} %` },
        make("span", { className: "name" }, label),
        make("span", { className: "score" }, `${Math.round(100 * score)} %`),
        make("span", { className: "sure" }),
      );
      button.style.setProperty("--sure", `${score / top}`);
      return button;
    }),
  );
}
