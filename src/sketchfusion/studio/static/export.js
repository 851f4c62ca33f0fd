/** What was found or selected, to keep: the photos, a contact sheet or a list. */

import { Away, Refused } from "./api.js";
import { byId, download, placeBelow } from "./dom.js";
import { notice, quiet } from "./notice.js";

const FILES = { zip: "sketchfusion-found.zip", sheet: "sketchfusion-found.png", paths: "sketchfusion-found.txt", json: "sketchfusion-found.json" };
const MOST = 200; // that the server takes at once

/** `drawn()` gives the drawing that is searched with, `shown()` the photos that are shown, `selected()` those that are chosen. */
export function connectExport(api, drawn, shown, selected) {
  placeBelow(byId("export-menu"), byId("export"));
  const taken = () => (selected().length ? selected() : shown()).slice(0, MOST);
  byId("export-menu").addEventListener("beforetoggle", () => {
    const [chosen, all] = [selected().length, shown().length];
    const [count, which] = chosen ? [chosen, "selected"] : [all, "shown"];
    byId("export-of").textContent = `${count > MOST ? `The first ${MOST}` : chosen ? "The " + chosen : "All " + all} ${which}, as`;
  });
  for (const format of Object.keys(FILES)) {
    byId(`export-${format}`).addEventListener("click", async () => {
      byId("export-menu").hidePopover();
      if (format === "zip") notice("The photos are being packed ..", { stays: true, key: "zip" });
      try {
        const body = { drawing: drawn(), ids: taken().map((photo) => photo.id), format };
        download(await api.blob("/export", body), FILES[format]);
        quiet("zip");
      } catch (error) {
        if (!(error instanceof Away || error instanceof Refused)) throw error;
        notice(error.message);
      }
    });
  }
}

/** The button that begins to choose photos, says how many are chosen, and lets them go. */
export function connectSelecting(results) {
  const button = byId("select");
  button.addEventListener("click", () => { results.selecting = !results.selecting; });
  results.addEventListener("selected", () => {
    const count = results.selected.size;
    button.setAttribute("aria-pressed", `${results.selecting}`);
    button.lastElementChild.textContent = results.selecting ? `${count} selected` : "Select";
    button.title = results.selecting ? "Select no photos (Esc)" : "Select photos (X, or Ctrl and Shift with a click)";
  });
}
