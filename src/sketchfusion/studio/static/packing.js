/** Strokes as a short text for an address, and back without loss: numbers in base 32, six bits to a character, differences between points. */

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const VALUES = new Map([...ALPHABET].map((character, value) => [character, value]));
const ERASES = 1;
const PRESSED = 2;

const tenths = (value) => Math.round(10 * value);

/** The text of a sheet of strokes; coordinates and widths are kept to a tenth of a unit, pressure to a hundredth. */
export function pack({ strokes, width, height }) {
  let text = "";
  const put = (value) => {
    let rest = value < 0 ? -2 * value - 1 : 2 * value;
    for (; rest >= 32; rest = Math.floor(rest / 32)) text += ALPHABET[32 + (rest % 32)];
    text += ALPHABET[rest];
  };
  put(tenths(width));
  put(tenths(height));
  let last = [0, 0];
  for (const stroke of strokes) {
    const pressed = stroke.points[0].length > 2;
    put((stroke.erase ? ERASES : 0) + (pressed ? PRESSED : 0));
    put(tenths(stroke.width));
    put(stroke.points.length);
    for (const [x, y, pressure] of stroke.points) {
      put(tenths(x) - last[0]);
      put(tenths(y) - last[1]);
      last = [tenths(x), tenths(y)];
      if (pressed) put(Math.round(100 * (pressure ?? 0.5)));
    }
  }
  return text;
}

/** The sheet {strokes, width, height} of a text, or null if it is none. */
export function unpack(text) {
  let at = 0;
  const take = () => {
    let rest = 0;
    for (let factor = 1; ; factor *= 32) {
      const value = VALUES.get(text[at++]);
      if (value === undefined) throw new RangeError("the text ends within a number");
      rest += (value % 32) * factor;
      if (value < 32) return rest % 2 ? -(rest + 1) / 2 : rest / 2;
    }
  };
  try {
    const sheet = { width: take() / 10, height: take() / 10, strokes: [] };
    let last = [0, 0];
    while (at < text.length) {
      const flags = take();
      const stroke = { points: [], width: take() / 10, erase: Boolean(flags & ERASES) };
      for (let left = take(); left > 0; left--) {
        last = [last[0] + take(), last[1] + take()];
        const point = [last[0] / 10, last[1] / 10];
        stroke.points.push(flags & PRESSED ? [...point, take() / 100] : point);
      }
      if (!stroke.points.length || stroke.width <= 0) return null;
      sheet.strokes.push(stroke);
    }
    return sheet.width > 0 && sheet.height > 0 ? sheet : null;
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}
