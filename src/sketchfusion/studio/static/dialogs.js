/** Help, Phone and About: three plain dialogs. */

import { byId, make } from "./dom.js";

const KEYS = [
  ["P, E", "pen, eraser"],
  ["[ and ]", "thinner, thicker"],
  ["Ctrl+Z, Ctrl+Shift+Z", "undo, redo"],
  ["Delete", "clear the paper"],
  ["L, Ctrl+V", "load a drawing from a file, or paste one"],
  ["D", "go to the paper; arrow keys move the pen, Space puts it down and lifts it, Shift leaps"],
  ["/", "go to the words"],
  ["G", "go to the photos; arrow keys walk, Enter opens"],
  ["X, Shift or Ctrl with a click", "select photos, to export them together"],
  ["+, -", "this find is right, or not: more like the right ones come, and the wrong one goes"],
  ["1 2 3 4", "photo, mask, match, inside"],
  ["Left, Right", "photo before, photo after"],
  ["Z", "photo at full size; + and - zoom, 0 fits, 1 is true size"],
  ["Esc", "back to all photos"],
  ["?", "this help"],
];

const TOUCHES = [
  ["Draw", "with a finger or a pen; pressure makes the line wider"],
  ["Tap a photo", "to open it; Back leads to all photos"],
  ["Tick or cross in an open photo", "it is right, or not: more like the right ones come"],
  ["Tap the filter, then Select", "to choose several photos and export them together"],
  ["Tap a guess", "to look for that word too"],
  ["Tap the filter", "for folder and date, how sure a photo must be, and the export"],
];

const closing = () => make("form", { method: "dialog" }, make("button", {}, "Close"));

export function showHelp() {
  const touch = matchMedia("(pointer: coarse)").matches;
  const names = (keys) => keys.split(", ").flatMap((key, i) => [i ? " " : "", make("kbd", {}, key)]);
  const rows = (touch ? TOUCHES : KEYS).map(([how, what]) => make("div", {}, make("dt", {}, ...(touch ? [how] : names(how))), make("dd", {}, what)));
  byId("help").replaceChildren(
    make("h2", { id: "help-title", tabIndex: -1, autofocus: true }, "Draw, and the photos come"),
    make("p", {}, "Draw what you are looking for: the photos change while you draw. What you draw is ink; all that the model adds (its guesses, how sure it is, masks, matching points) is blue pencil."),
    make("p", {}, "Choose a photo to cut the drawn thing out of it, to see which point is which, or to look inside the models. A drawing on paper works too: photograph it and load it. The small drawing beside a guess takes the place of yours; Undo brings yours back."),
    make("h3", {}, touch ? "By touch" : "Keys"),
    make("dl", { className: "keys" }, ...rows),
    closing(),
  );
  byId("help").showModal();
}

export function showPhone({ address, code }) {
  byId("phone").replaceChildren(
    make("h2", { id: "phone-title", tabIndex: -1, autofocus: true }, "Draw on a phone"),
    make("p", {}, "Point the camera of a phone in the same network here, and open what it finds."),
    make("img", { className: "code", src: code, alt: "QR code of the address below" }),
    make("p", { className: "address" }, address),
    make("p", {}, "Whoever has this address sees the photos of this gallery, and can add and remove some."),
    closing(),
  );
  byId("phone").showModal();
}

/** What this studio is; called again while that is open, it fills in what was not known yet. */
export function showAbout(info) {
  const { model, gallery, version } = info ?? {};
  const rows = info
    ? [
        ["SketchFusion", version],
        ["Model", model.name],
        ["Weights", model.fingerprint],
        ["Light weights for", (model.tasks ?? []).join(", ") || "none"],
        ["Names it can guess", `${model.labels}`],
        ["Gallery", gallery.demo ? `${gallery.name} (demo: pictures of Sketch World)` : gallery.name],
        ["Photos", `${gallery.photos}`],
      ]
    : [["Server", "has not answered yet"]];
  const { open } = byId("about");
  if (open && byId("about").dataset.filled) return; // nothing is put in place of what is read
  byId("about").dataset.filled = info ? "yes" : "";
  byId("about").replaceChildren(
    make("h2", { id: "about-title", tabIndex: -1, autofocus: true }, "About this studio"),
    make("dl", { className: "facts" }, ...rows.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)))),
    make("p", {}, "Everything happens on this server. The page loads nothing from anywhere else."),
    closing(),
  );
  if (open) byId("about-title").focus();
  else byId("about").showModal();
}
