/** Two small charts, made of SVG here: curves over frequency, and bars of weights. */

import { make, makeSvg } from "./dom.js";

const WIDTH = 520;
const HEIGHT = 230;
const [LEFT, RIGHT, TOP, BOTTOM] = [44, 92, 12, 34];

/**
 * Curves [{feature, kind, frequency, amplitude}]: drawings dotted, photos solid; each feature has its shade and its label at the end.
 * Says what it shows in words, too.
 */
export function spectraChart(curves) {
  const names = [...new Set(curves.map((curve) => curve.feature))];
  const all = curves.flatMap((curve) => curve.amplitude);
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const right = Math.max(...curves.flatMap((curve) => curve.frequency));
  const x = (value) => LEFT + (value / right) * (WIDTH - LEFT - RIGHT);
  const y = (value) => TOP + ((high - value) / (high - low || 1)) * (HEIGHT - TOP - BOTTOM);
  const svg = makeSvg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", class: "chart", "aria-label": words(curves) });
  for (const value of ticks(low, high)) {
    svg.append(makeSvg("path", { class: "rule", d: `M${LEFT} ${y(value)}H${WIDTH - RIGHT}` }), text(LEFT - 8, y(value) + 4, `${value}`, "end"));
  }
  svg.append(text(LEFT, HEIGHT - 8, "coarse", "start"), text(WIDTH - RIGHT, HEIGHT - 8, "fine", "end"), text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "frequency", "middle"));
  const ends = [];
  for (const curve of curves) {
    const d = curve.frequency.map((value, i) => `${i ? "L" : "M"}${x(value).toFixed(1)} ${y(curve.amplitude[i]).toFixed(1)}`).join("");
    svg.append(makeSvg("path", { d, class: `curve ${shade(curve.feature, names)} ${curve.kind}` }));
    if (!ends.some((end) => end.name === curve.feature)) ends.push({ name: curve.feature, y: y(curve.amplitude[curve.amplitude.length - 1]) });
  }
  for (const end of spread(ends, 14)) {
    const swatch = makeSvg("path", { d: `M${WIDTH - RIGHT + 6} ${end.y}h12`, class: `curve ${shade(end.name, names)}` });
    svg.append(swatch, text(WIDTH - RIGHT + 23, end.y + 4, end.name, "start"));
  }
  return svg;
}

/** Weights {name: share} as bars with their numbers. */
export function weightBars(weights) {
  const most = Math.max(...Object.values(weights));
  return make("dl", { className: "bars" }, ...Object.entries(weights).map(([name, weight]) => {
    const bar = make("span", { className: "bar" });
    bar.style.setProperty("--share", `${weight / most}`);
    return make("div", {}, make("dt", {}, name), make("dd", {}, bar, make("span", {}, weight.toFixed(2))));
  }));
}

/** The fused feature is blue, CLIP is ink, the stages of Stable Diffusion are greys. */
function shade(feature, names) {
  if (/fused/i.test(feature)) return "shade-fused";
  if (/clip/i.test(feature)) return "shade-clip";
  return `shade-sd-${names.filter((name) => /^sd/i.test(name)).indexOf(feature) % 4}`;
}

const text = (x, y, words_, anchor) => makeSvg("text", { x, y, "text-anchor": anchor }, words_);

function ticks(low, high) {
  const step = [0.5, 1, 2, 5, 10].find((size) => (high - low) / size <= 5) ?? 20;
  const first = Math.ceil(low / step) * step;
  return Array.from({ length: Math.floor((high - first) / step) + 1 }, (_, i) => Number((first + i * step).toFixed(2)));
}

/** Labels moved apart until none covers another. */
function spread(ends, gap) {
  const sorted = [...ends].sort((a, b) => a.y - b.y);
  for (let i = 1; i < sorted.length; i++) sorted[i].y = Math.max(sorted[i].y, sorted[i - 1].y + gap);
  const over = sorted.length ? sorted[sorted.length - 1].y - (HEIGHT - BOTTOM) : 0;
  return over > 0 ? sorted.map((end) => ({ ...end, y: end.y - over })) : sorted;
}

function words(curves) {
  const falls = curves.map((curve) => `${curve.feature} of the ${curve.kind} ends at ${curve.amplitude[curve.amplitude.length - 1].toFixed(1)}`);
  return `Log amplitude over frequency: ${falls.join("; ")}`;
}
