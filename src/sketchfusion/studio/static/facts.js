/** The plain view of a photo: what is known of it, and those that were folded into it. */

import { byId, make } from "./dom.js";
import { Away, Refused } from "./api.js";

const size = (bytes) => (bytes > 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.max(1, Math.round(bytes / 1e3))} kB`);

const when = (taken) => {
  const date = new Date(taken);
  return Number.isNaN(date.getTime()) ? String(taken) : date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
};

function rows(info) {
  const place = info.latitude === null || info.latitude === undefined ? null : `${info.latitude.toFixed(4)}, ${info.longitude.toFixed(4)}`;
  return [
    ["File", info.path ?? info.name],
    ["Category", info.category],
    ["Size", `${info.width} × ${info.height} px${info.bytes ? `, ${size(info.bytes)}` : ""}`],
    ["Taken", info.taken ? when(info.taken) : null],
    ["Place", place],
  ].filter(([, value]) => value);
}

export class Facts {
  #shown = null;

  constructor(api, openById) {
    Object.assign(this, { api, openById });
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
    byId("below").replaceChildren(list, ...this.#similar(photo));
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
