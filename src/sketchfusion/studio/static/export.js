/** What was found, to keep: a contact sheet or a list. */

import { Away, Refused } from "./api.js";
import { byId, download } from "./dom.js";
import { notice } from "./notice.js";

const FILES = { sheet: "sketchfusion-found.png", json: "sketchfusion-found.json" };

const MARGIN = 8;

/** Open a menu below the button that opens it, within the window. */
function placeBelow(menu, button) {
  menu.addEventListener("toggle", ({ newState }) => {
    if (newState !== "open") return;
    const from = button.getBoundingClientRect();
    const left = Math.min(from.right, innerWidth - MARGIN) - menu.offsetWidth;
    const below = from.bottom + 4;
    const top = below + menu.offsetHeight > innerHeight - MARGIN ? from.top - 4 - menu.offsetHeight : below;
    Object.assign(menu.style, { inset: "auto", left: `${Math.max(left, MARGIN)}px`, top: `${Math.max(top, MARGIN)}px` });
  });
}

/** `found()` gives the photos that are shown. */
export function connectExport(api, drawing, found) {
  placeBelow(byId("export-menu"), byId("export"));
  for (const format of Object.keys(FILES)) {
    byId(`export-${format}`).addEventListener("click", async () => {
      byId("export-menu").hidePopover();
      try {
        const body = { drawing: drawing.payload(), ids: found().map((photo) => photo.id), format };
        download(await api.blob("/export", body), FILES[format]);
      } catch (error) {
        if (!(error instanceof Away || error instanceof Refused)) throw error;
        notice(error.message);
      }
    });
  }
}
