/** How large the photos of the grid are, kept in this browser. */

import { byId } from "./dom.js";

const KEY = "sketchfusion.tiles";

/** Connect the slider; `changed` is called when there is room for more or fewer photos. */
export function connectTileSize(changed) {
  const slider = byId("tile-size");
  const standard = slider.value;
  const apply = () => {
    const { style } = byId("results");
    style.setProperty("--tile", `${slider.value}px`);
    style.setProperty("--most", Number(slider.value) > Number(standard) ? "100%" : "30%"); // narrow windows have three in a row
  };
  try {
    slider.value = localStorage.getItem(KEY) ?? standard;
  } catch {
    // without storage the size lasts as long as the page
  }
  apply();
  slider.addEventListener("input", () => {
    apply();
    try {
      localStorage.setItem(KEY, slider.value);
    } catch {
      // as above
    }
    changed();
  });
}
