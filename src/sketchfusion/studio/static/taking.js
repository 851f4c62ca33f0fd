/** What one can do with a photo that was found: see it large, keep it, copy it or its path, see where it lies, drag it out. */

import { Away, Refused } from "./api.js";
import { at, byId, make } from "./dom.js";
import { notice } from "./notice.js";

const there = (photo) => at(`/api/v1/photos/${encodeURIComponent(photo.id)}`);

/** The photo that the page shows large, as a PNG. */
async function picture() {
  const image = byId("large");
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  canvas.getContext("2d").drawImage(image, 0, 0);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = make("textarea", { value: text });
  document.body.append(field);
  field.select();
  document.execCommand("copy"); // pages without HTTPS have nothing else
  return field.remove();
}

export class Taking {
  /** `local` promises whether the photos lie on this machine, `enlarge(photo)` shows one at full size. */
  constructor(api, local, enlarge) {
    Object.assign(this, { api, local, enlarge });
  }

  /** The row of buttons for a photo. */
  row(photo) {
    const button = (text, run) => make("button", { type: "button", onclick: () => this.#try(run) }, text);
    const row = make(
      "div",
      { className: "controls taking" },
      button("Full size", () => this.enlarge(photo)),
      make("a", { className: "button", href: `${there(photo)}/file`, download: photo.name }, "Download"),
      window.ClipboardItem ? button("Copy picture", () => this.#copyPicture()) : null,
      button("Copy path", () => this.#copyPath(photo)),
    );
    this.local.then((local) => local && row.append(button("Show in folder", () => this.api.post(`/photos/${encodeURIComponent(photo.id)}/reveal`, {}))));
    return row;
  }

  async #try(run) {
    try {
      await run();
    } catch (error) {
      if (!(error instanceof Away || error instanceof Refused || error instanceof DOMException)) throw error;
      notice(error instanceof DOMException ? "The browser does not allow that here." : error.message);
    }
  }

  async #copyPicture() {
    await navigator.clipboard.write([new ClipboardItem({ "image/png": picture() })]);
    notice("The picture is copied.");
  }

  async #copyPath(photo) {
    const listed = await this.api.blob("/export", { ids: [photo.id], format: "paths" });
    await copyText((await listed.text()).trim());
    notice("The path is copied.");
  }
}

/** The type that tells what is dragged from this page; a tile that is taken off the page meanwhile gets no "dragend". */
export const OURS = "application/x-sketchfusion";

/** Let photos be dragged from `element` to a folder or another program; `photoAt(target)` gives the photo or null. */
export function connectDragOut(element, photoAt) {
  element.addEventListener("dragstart", (event) => {
    const photo = photoAt(event.target);
    if (!photo) return;
    const url = `${there(photo)}/file`;
    event.dataTransfer.effectAllowed = "copy";
    const name = photo.name.replaceAll(":", "-"); // colons separate the parts
    event.dataTransfer.setData("DownloadURL", `application/octet-stream:${name}:${url}`);
    event.dataTransfer.setData("text/uri-list", url);
    event.dataTransfer.setData(OURS, photo.id);
  });
}
