/** Elements, made and found. */

export const byId = (id) => document.getElementById(id);

/** An element with properties, `data-` and `aria-` attributes, listeners (`onclick`) and children; text stays text. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.includes("-") || name === "role" || name === "for") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** An SVG element with attributes and children. */
export function makeSvg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** The address of a path of the studio, which a proxy may serve below another path; any other address as it is. */
export const at = (path) => (path.startsWith("/") ? new URL(`..${path}`, import.meta.url).href : path);

/** One of the page's icons. */
export const icon = (name) => makeSvg("svg", { "aria-hidden": "true" }, makeSvg("use", { href: at(`/static/icons.svg#${name}`) }));

/** The address of a photo as the page shows it, another one once its file is another, so that no browser shows the old one. */
export function pictureOf(photo, more = {}) {
  const address = new URL(at(photo.thumbnail.replace(/\/thumbnail(?=$|\?)/, "")));
  for (const [name, value] of Object.entries(more)) address.searchParams.set(name, value);
  return address.pathname + address.search;
}

/** Put a file into the person's hands. */
export function download(blob, name) {
  const url = URL.createObjectURL(blob);
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Whether the person asked for less motion. */
export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

const MARGIN = 8;

/** Open a menu below the button that opens it, or above where there is no room, within the window. Gives what places it anew. */
export function placeBelow(menu, button) {
  const place = () => {
    const from = button.getBoundingClientRect();
    const left = Math.min(from.right, innerWidth - MARGIN) - menu.offsetWidth;
    const below = from.bottom + 4;
    const top = below + menu.offsetHeight > innerHeight - MARGIN ? from.top - 4 - menu.offsetHeight : below;
    Object.assign(menu.style, { inset: "auto", left: `${Math.max(left, MARGIN)}px`, top: `${Math.max(top, MARGIN)}px` });
  };
  menu.addEventListener("toggle", ({ newState }) => newState === "open" && place());
  return place;
}
