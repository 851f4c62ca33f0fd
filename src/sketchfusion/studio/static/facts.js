/** The plain view of a photo: what one can do with it, what is known of it, and those that were folded into it. */

import { byId, make } from "./dom.js";
import { Away, Refused } from "./api.js";

const size = (bytes) => (bytes > 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.max(1, Math.round(bytes / 1e3))} kB`);

const when = (taken) => {
  const date = new Date(taken);
  return Number.isNaN(date.getTime()) ? String(taken) : date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
};

/** A link to a map, which nobody is asked for until it is followed. */
function place({ latitude, longitude }) {
  if (latitude === null || latitude === undefined) return null;
  const href = `https://www.openstreetmap.org/?mlat=${latitude}&mlon=${longitude}#map=15/${latitude}/${longitude}`;
  const words = `${latitude.toFixed(4)}, ${longitude.toFixed(4)}`;
  return make("a", { href, target: "_blank", rel: "noopener noreferrer", title: "Show on OpenStreetMap, in a new tab" }, words);
}

function rows(info) {
  return [
    ["File", info.path ?? info.name],
    ["Folder", info.category],
    ["Size", `${info.width} × ${info.height} px${info.bytes ? `, ${size(info.bytes)}` : ""}`],
    ["Taken", info.taken ? when(info.taken) : null],
    ["Camera", info.camera],
    ["Lens", info.lens],
    ["Exposure", info.exposure],
    ["Place", place(info)],
  ].filter(([, value]) => value);
}

export class Facts {
  #shown = null;

  /** `taking` makes the row of things to do with a photo. */
  constructor(api, openById, taking) {
    Object.assign(this, { api, openById, taking });
  }

  async show(photo) {
    this.#shown = photo.id;
    this.#fill(photo, photo);
    try {
      const info = await this.api.get(`/photos/${encodeURIComponent(photo.id)}/info`);
      if (this.#shown === photo.id) this.#fill({ ...photo, ...info }, photo);
    } catch (error) {
      if (!(error instanceof Away || error instanceof Refused)) throw error;
    }
  }

  hide() {
    this.#shown = null;
  }

  #fill(info, photo) {
    const list = make("dl", { className: "facts" }, ...rows(info).map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
    const row = byId("below").querySelector(".taking") ?? this.taking.row(photo);
    byId("below").replaceChildren(row, list, ...this.#similar(photo));
  }

  #similar(photo) {
    if (!photo.similar?.length) return [];
    const tiles = photo.similar.map((id, index) => {
      const image = make("img", { src: this.api.url(`/photos/${encodeURIComponent(id)}/thumbnail`), alt: "" });
      return make("li", {}, make("button", { type: "button", "aria-label": `Similar photo ${index + 1}`, onclick: () => this.openById(id) }, image));
    });
    return [make("h3", {}, "Much like it"), make("ul", { className: "strip" }, ...tiles)];
  }
}
