/** One quiet line at the foot of the page, and words for those who listen to it. */

import { byId, make } from "./dom.js";

const LONG = 7000;

let timer = 0;
let current = null;

/** Show one line. `action` = {label, run} adds a button; `stays` keeps it until `quiet(key)`. `gone(acted)` is called when it goes. */
export function notice(text, { action, stays = false, key = null, gone } = {}) {
  const box = byId("notice");
  finish(false);
  current = { key, gone };
  box.replaceChildren(make("span", {}, text));
  if (action) {
    box.append(make("button", { type: "button", onclick: () => { finish(true); action.run(); } }, action.label));
  }
  box.classList.add("shown");
  clearTimeout(timer);
  if (!stays) timer = setTimeout(() => finish(false), LONG);
}

/** Take the line with this key away, if it is still there. */
export function quiet(key) {
  if (current?.key === key) finish(false);
}

function finish(acted) {
  if (!current) return;
  const { gone } = current;
  current = null;
  clearTimeout(timer);
  byId("notice").classList.remove("shown");
  gone?.(acted);
}

/** Say something to a screen reader. */
export function say(text) {
  const box = byId("say");
  box.textContent = "";
  setTimeout(() => { box.textContent = text; }, 30);
}
