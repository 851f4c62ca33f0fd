/** Photos from this computer into the gallery: chosen or dropped, folders too, in parcels, with progress and a way out. */

import { Away, Refused } from "./api.js";
import { make } from "./dom.js";
import { notice } from "./notice.js";

const POLL = 400;
const PHOTO = /\.(jpe?g|png|webp|hei[cf]|gif|bmp|tiff?|avif)$/i;

/** Every file of a drop with its path, folders walked through. */
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ file, path: file.name }));
  const found = [];
  for (const entry of entries) await walk(entry, found);
  return found;
}

/** Whether a file is still what was chosen; the browser reads no other, and takes that for a server that is away. */
const readable = (file) => file.slice(0, 1).arrayBuffer().then(() => true, () => false);

async function walk(entry, found) {
  if (entry.isFile) {
    const file = await new Promise((done, failed) => entry.file(done, failed));
    found.push({ file, path: entry.fullPath.replace(/^\//, "") });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return;
    for (const each of some) await walk(each, found);
  }
}

/** Says "added" (detail: how many) after each parcel, and "show" (detail: their folder) when somebody wants to see what was added. */
export class Uploads extends EventTarget {
  limits = { upload_bytes: 50_000_000, upload_files: 50 };
  #cancelled = false;
  #running = false;
  #job = null;
  #words = make("span");
  #bar = make("progress", { "aria-label": "Photos added" });
  #stop = make("button", { type: "button", onclick: () => this.#cancel() }, "Cancel");

  constructor(api, box) {
    super();
    Object.assign(this, { api, box });
  }

  async add(files) {
    const photos = files.filter(({ file, path }) => PHOTO.test(path) || file.type.startsWith("image/"));
    if (!photos.length) return notice(files.length ? "There are no photos among these files." : "Nothing was dropped.");
    if (this.#running) return notice("Wait until the photos before these are in, or cancel.");
    this.#running = true;
    this.#cancelled = false;
    const large = photos.filter(({ file }) => file.size > this.#room);
    const failed = large.map(({ path }) => ({ name: path, reason: `larger than ${Math.round(this.#room / 1e6)} MB` }));
    let done = large.length;
    let error = null;
    let folder = "";
    try {
      for (const parcel of this.#parcels(photos.filter((photo) => !large.includes(photo)))) {
        if (this.#cancelled) break;
        const before = done;
        const result = await this.#send(parcel, (now) => this.#progress(before + now, photos.length));
        failed.push(...result.failed);
        done += result.done;
        folder ||= result.folder;
        if (result.error) throw new Refused(500, { error: result.error });
        this.dispatchEvent(new CustomEvent("added", { detail: parcel.length - result.failed.length }));
      }
    } catch (refusal) {
      if (!(refusal instanceof Away || refusal instanceof Refused)) throw refusal;
      error = this.#cancelled ? null : refusal.message;
    }
    this.#running = false;
    const added = done - failed.length;
    const line = error ?? `${added} ${added === 1 ? "photo" : "photos"} added${this.#cancelled ? ", then cancelled" : ""}.`;
    return this.#end(added, failed, line, folder);
  }

  /** Bytes of photos that one request may carry, beside their names. */
  get #room() {
    return 0.95 * this.limits.upload_bytes;
  }

  /** Parts that one request may carry. */
  *#parcels(photos) {
    let parcel = [];
    let bytes = 0;
    for (const photo of photos) {
      const full = parcel.length >= (this.limits.upload_files ?? 50) || bytes + photo.file.size > this.#room;
      if (parcel.length && full) {
        yield parcel;
        [parcel, bytes] = [[], 0];
      }
      parcel.push(photo);
      bytes += photo.file.size;
    }
    if (parcel.length) yield parcel;
  }

  async #send(parcel, progress) {
    this.#job = null;
    const { job, gone } = await this.#patient(() => this.#post(parcel));
    if (!job) return { done: gone.length, failed: gone };
    this.#job = job;
    if (this.#cancelled) await this.#cancel(); // which was too early to name it
    for (;;) {
      const state = await this.#patient(() => this.api.get(`/jobs/${encodeURIComponent(job)}`));
      progress(state.done);
      if (["done", "failed", "cancelled"].includes(state.state)) {
        const done = state.state === "done" ? parcel.length : gone.length + state.done;
        const error = state.state === "failed" && !this.#cancelled ? state.error : null;
        return { done, failed: [...gone, ...(state.failed ?? [])], folder: state.folder, error };
      }
      await new Promise((go) => setTimeout(go, POLL));
    }
  }

  /** Send what is still there of a parcel: gives its job, null if nothing is, and what is gone. */
  async #post(parcel) {
    const form = new FormData();
    const gone = [];
    for (const { file, path } of parcel) {
      if (await readable(file)) form.append("files", file, path);
      else gone.push({ name: path, reason: "changed or gone since it was chosen" });
    }
    const { job } = gone.length < parcel.length ? await this.api.post("/photos", form) : { job: null };
    return { job, gone };
  }

  /** Ask again when the server says "later" or is away for a while, unless the person has cancelled. */
  async #patient(ask) {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (this.#cancelled) throw error;
        if (error instanceof Away) await this.api.back();
        else if (error.retryAfter) await new Promise((go) => setTimeout(go, 1000 * error.retryAfter));
        else throw error;
      }
    }
  }

  #progress(done, total) {
    this.#words.textContent = `Adding photos: ${done} of ${total}`;
    Object.assign(this.#bar, { max: total, value: done });
    this.#stop.disabled = this.#cancelled;
    this.box.hidden = false;
    if (this.#stop.isConnected) return; // a button that is replaced while it is pressed is not clicked
    const focused = this.box.contains(document.activeElement);
    this.box.replaceChildren(this.#words, this.#bar, this.#stop);
    if (focused) this.#stop.focus();
  }

  async #cancel() {
    this.#cancelled = true;
    if (this.#job) await this.api.delete(`/jobs/${encodeURIComponent(this.#job)}`).catch(() => {});
  }

  #end(added, failed, line, folder) {
    const close = make("button", { type: "button", onclick: () => { this.box.hidden = true; } }, "Close");
    const list = failed.length
      ? make("details", {}, make("summary", {}, `${failed.length} not added`), make("ul", {}, ...failed.map(({ name, reason }) => make("li", {}, `${name}: ${reason}`))))
      : null;
    const show = make("button", { type: "button", onclick: () => this.dispatchEvent(new CustomEvent("show", { detail: folder })) }, "Show them");
    this.box.hidden = false;
    this.box.replaceChildren(make("span", { role: "status" }, line), ...(list ? [list] : []), ...(added ? [show] : []), close);
    return added;
  }
}
