/** What the drawing may be: names with a line as long as the guess is sure, and a clean drawing. Photos of it are looked for too. */

import { make } from "./dom.js";

const MOST = 5;
const LEAST = 0.1;

let shown = ""; // what the box was filled with

/**
 * Show guesses [{label, score, used, drawable}], the surest first, or what will be here. `choose(label)` is called on a click;
 * `drop(label)` on the cross beside a guess that the search uses, or on one of `dropped` to take it back. `examples` draw.
 */
export function showGuesses(box, labels, examples, choose, drop, dropped = new Set()) {
  const best = labels.filter(({ label, score }) => score >= LEAST || dropped.has(label)).slice(0, MOST);
  const content = JSON.stringify([best, [...dropped], labels.length > 0]);
  if (content === shown) return; // a guess that is replaced while it is pressed is not clicked
  shown = content;
  const held = box.contains(document.activeElement) && document.activeElement.title;
  if (!best.length) {
    box.replaceChildren(make("p", {}, labels.length ? "The model does not know yet what this is." : "What the model sees in your drawing is named here."));
    return;
  }
  const top = Math.max(...best.map((guess) => guess.score), 1e-9);
  box.replaceChildren(
    ...best.map(({ label, score, used, drawable }) => {
      const share = `${Math.round(100 * score)} %`;
      const name = make(
        "button",
        { type: "button", title: `Look for the word “${label}”`, onclick: () => choose(label) },
        make("span", { className: "name" }, label),
        " ",
        make("span", { className: "score" }, share),
        make("span", { className: "sure" }),
      );
      const out = dropped.has(label);
      const title = out ? `Look for ${label} too, again` : `It is not ${label}: do not look for that`;
      const cross = make("button", { type: "button", className: "drop", title, "aria-label": title, onclick: () => drop(label) }, out ? "+" : "×");
      const guess = make("span", { className: out ? "guess out" : "guess" }, drawable ? examples.clean(label) : null, name, ...(used || out ? [cross] : []));
      guess.style.setProperty("--sure", `${score / top}`);
      return guess;
    }),
  );
  const buttons = [...box.querySelectorAll("button")];
  if (held) (buttons.find(({ title }) => title === held) ?? buttons[0]).focus();
}
