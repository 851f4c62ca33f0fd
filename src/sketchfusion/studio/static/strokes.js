/** Strokes: what a pen leaves behind. Points are [x, y] or [x, y, pressure] in drawing units; nothing here knows the page. */

export const SIDE = 512; // the longer edge of a drawing's frame

/** How thick the pen is at a pressure of 0 to 1; without pressure as thick as it was set. */
export const widthAt = (width, pressure) => (pressure === undefined ? width : width * (0.5 + pressure));

const round = (value) => Math.round(value * 10) / 10;

/** A stroke as it is kept and sent: coordinates to a tenth of a unit, points that add nothing left out. */
export function finished(stroke) {
  const points = [];
  for (const [x, y, pressure] of stroke.points) {
    const last = points[points.length - 1];
    if (last && Math.hypot(x - last[0], y - last[1]) < 0.8) continue;
    points.push(pressure === undefined ? [round(x), round(y)] : [round(x), round(y), Math.round(pressure * 100) / 100]);
  }
  return { points, width: stroke.width, erase: Boolean(stroke.erase) };
}

/** Paint one stroke as a smooth line through the midpoints of its points. `ink` is a CSS colour. */
export function paint(context, stroke, ink) {
  const { points, width } = stroke;
  context.strokeStyle = context.fillStyle = ink;
  context.lineCap = context.lineJoin = "round";
  if (points.length === 1) {
    context.beginPath();
    context.arc(points[0][0], points[0][1], widthAt(width, points[0][2]) / 2, 0, 2 * Math.PI);
    context.fill();
    return;
  }
  const pressed = points[0][2] !== undefined;
  context.lineWidth = width;
  context.beginPath();
  context.moveTo(points[0][0], points[0][1]);
  for (let i = 1; i < points.length; i++) {
    const [x, y, pressure] = points[i];
    const last = i === points.length - 1;
    const endX = last ? x : (x + points[i + 1][0]) / 2;
    const endY = last ? y : (y + points[i + 1][1]) / 2;
    if (pressed) context.lineWidth = widthAt(width, pressure);
    context.quadraticCurveTo(x, y, endX, endY);
    if (pressed && !last) {
      context.stroke();
      context.beginPath();
      context.moveTo(endX, endY);
    }
  }
  context.stroke();
}

/** The strokes scaled from a frame into another one, centred, with line widths in proportion. */
export function fitted(strokes, from, to) {
  const scale = Math.min(to.width / from.width, to.height / from.height);
  const dx = (to.width - from.width * scale) / 2;
  const dy = (to.height - from.height * scale) / 2;
  return strokes.map((stroke) => ({
    ...stroke,
    width: Math.max(1, round(stroke.width * scale)),
    points: stroke.points.map(([x, y, ...rest]) => [round(x * scale + dx), round(y * scale + dy), ...rest]),
  }));
}

/** The strokes as an SVG path, for small pictures of a drawing. */
export function path(strokes) {
  return strokes
    .filter((stroke) => !stroke.erase)
    .map(({ points }) => `M${points.map(([x, y]) => `${round(x)} ${round(y)}`).join("L")}`)
    .join("");
}
