/** Lines over the page from points of the drawing to points of the photo. */

import { byId, makeSvg } from "./dom.js";

export class Threads {
  /** `matches` have points `sketch` and `photo` in units of pictures of these sizes. */
  draw(matches, [width, height], [photoWidth, photoHeight]) {
    const from = byId("canvas").getBoundingClientRect();
    const to = byId("stage").getBoundingClientRect();
    byId("threads").replaceChildren(
      ...matches.map((match) => {
        const start = [from.left + (match.sketch[0] / width) * from.width, from.top + (match.sketch[1] / height) * from.height];
        const end = [to.left + (match.photo[0] / photoWidth) * to.width, to.top + (match.photo[1] / photoHeight) * to.height];
        return makeSvg("path", { d: curve(shortened(start, end)), class: match.mutual ? "mutual" : "oneway" });
      }),
    );
  }
}

const RADIUS = 10;

/** The line without what lies under the dots at its ends. */
function shortened([x1, y1], [x2, y2]) {
  const long = Math.max(Math.hypot(x2 - x1, y2 - y1), 1e-6);
  const [dx, dy] = [((x2 - x1) / long) * RADIUS, ((y2 - y1) / long) * RADIUS];
  return [[x1 + dx, y1 + dy], [x2 - dx, y2 - dy]];
}

const curve = ([[x1, y1], [x2, y2]]) => `M${x1} ${y1}L${x2} ${y2}`;
