/** A file becomes the drawing: small files stay as they are, large ones are made small, HEIC is left to the server. */

import { OffscreenSheet } from "./drawing.js";
import { SIDE } from "./strokes.js";

const LONGEST = 1280;
const EXACT = { bytes: 1_000_000, side: 2048 }; // up to here the server gets the file itself, and finds what the command finds

const load = (url) =>
  new Promise((done, failed) => {
    const image = new Image();
    image.onload = () => done(image);
    image.onerror = () => failed(new Error("not a picture that the browser shows"));
    image.src = url;
  });

const base64 = (file) =>
  new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(String(reader.result).split(",")[1]);
    reader.onerror = () => failed(reader.error);
    reader.readAsDataURL(file);
  });

const frame = (width, height) => {
  const scale = SIDE / Math.max(width, height);
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
};

async function svgState(svg) {
  const url = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  const full = await load(url);
  return { strokes: [], picture: { kind: "svg", svg, url, full }, ...frame(full.naturalWidth || SIDE, full.naturalHeight || SIDE) };
}

async function imageState(source, original = null) {
  const full = await load(source);
  const { naturalWidth, naturalHeight } = full;
  if (original && Math.max(naturalWidth, naturalHeight) <= EXACT.side) {
    return { strokes: [], picture: { kind: "image", ...original, url: source, full }, ...frame(naturalWidth, naturalHeight) };
  }
  const scale = Math.min(1, LONGEST / Math.max(naturalWidth, naturalHeight));
  const sheet = new OffscreenSheet(naturalWidth * scale, naturalHeight * scale);
  sheet.context.drawImage(full, 0, 0, sheet.width, sheet.height);
  const url = sheet.url();
  return { strokes: [], picture: { kind: "image", data: url.split(",")[1], type: "image/jpeg", url, full: await load(url) }, ...frame(naturalWidth, naturalHeight) };
}

/** The state of a drawing made of this file; Error with one line when it is none. */
export async function fromFile(file) {
  if (file.type === "image/svg+xml" || /\.svg$/i.test(file.name)) {
    return svgState(await file.text()).catch(() => {
      throw new Error(`${file.name} is not an SVG that can be shown`);
    });
  }
  if (/\.hei[cf]$/i.test(file.name) || /hei[cf]/.test(file.type)) {
    return { strokes: [], picture: { kind: "image", data: await base64(file) }, width: SIDE, height: SIDE };
  }
  const type = file.type || "image/png";
  const original = file.size <= EXACT.bytes ? { data: await base64(file), type } : null;
  const url = original ? `data:${type};base64,${original.data}` : URL.createObjectURL(file);
  try {
    return await imageState(url, original);
  } catch {
    throw new Error(`${file.name || "What was pasted"} is not a picture; choose a PNG, JPEG, WebP, HEIC or SVG`);
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** A state as it was kept in storage, with its picture loaded again. */
export async function fromKept(state) {
  const { picture, ...rest } = state;
  if (!picture) return { ...rest, picture: null };
  try {
    const { type, data, id } = picture;
    if (picture.kind === "svg" || type) {
      const loaded = picture.kind === "svg" ? await svgState(picture.svg) : await imageState(`data:${type};base64,${data}`, { type, data });
      return { ...loaded, ...rest, picture: { ...loaded.picture, id } };
    }
  } catch {
    return { ...rest, picture: null };
  }
  return { ...rest, picture };
}
