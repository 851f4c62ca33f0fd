/** What was found, to keep: a contact sheet or a list. */

import { Away, Refused } from "./api.js";
import { byId, download } from "./dom.js";
import { notice } from "./notice.js";

const FILES = { sheet: "sketchfusion-found.png", json: "sketchfusion-found.json" };

/** `found()` gives the photos that are shown. */
export function connectExport(api, drawing, found) {
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
