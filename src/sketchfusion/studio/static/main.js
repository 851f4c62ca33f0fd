/** The page put together: the drawing asks, the gallery answers, and each part knows only what it is given. */

import { Address, lastDrawing, packed, parts, unpacked } from "./address.js";
import { Api, Away, Refused } from "./api.js";
import { connectArrivals } from "./arrivals.js";
import { showAbout, showHelp, showPhone } from "./dialogs.js";
import { byId } from "./dom.js";
import { Drawing, EMPTY } from "./drawing.js";
import { Examples } from "./examples.js";
import { connectExport, connectSelecting } from "./export.js";
import { Facts } from "./facts.js";
import { Finds } from "./finds.js";
import { connectFollowing } from "./following.js";
import { GalleryList, forget } from "./gallery.js";
import { showGuesses } from "./guesses.js";
import { Inside } from "./inside.js";
import { KeyboardPen } from "./keyboardpen.js";
import { Mask } from "./mask.js";
import { connectMarks } from "./marks.js";
import { Match } from "./match.js";
import { notice, quiet, say } from "./notice.js";
import { Paper } from "./paper.js";
import { PhotoView } from "./photo.js";
import { fromKept } from "./picture.js";
import { QueryLine } from "./query.js";
import { Recents } from "./recents.js";
import { Results } from "./results.js";
import { Saved } from "./saved.js";
import { Search } from "./search.js";
import { connectShortcuts } from "./shortcuts.js";
import { connectTheme } from "./theme.js";
import { connectTileSize } from "./tilesize.js";
import { Threads } from "./threads.js";
import { Taking, connectDragOut } from "./taking.js";
import { Tools } from "./tools.js";
import { Uploads } from "./uploads.js";
import { Viewer } from "./viewer.js";

const BESIDE = "(min-width: 761px)"; // drawing and photos stand side by side
const NAMES_PAUSE = 2500;
const STEPS = 4; // before its last photo more are asked for

const api = new Api();
const drawing = new Drawing();
const paper = new Paper(byId("paper"), drawing);
const tools = new Tools(drawing, paper);
const search = new Search(api, drawing);
const fresh = new Set();
const saved = new Saved(search, () => ({ ...shown(), photo: "", view: "" }), () => Number(line.least.value), fresh); // hears of an answer before it is shown
const results = new Results(byId("results"), search.marks, fresh);
const finds = new Finds(results, new GalleryList(api), search);
const line = new QueryLine(search, drawing, (least) => finds.cut(least));
const uploads = new Uploads(api, byId("job"));
const examples = new Examples(api, drawing, say);
new Recents(drawing);
const match = new Match(api, drawing, paper, new Threads(), (tool) => tools.choose(tool));
const viewer = new Viewer((by) => photos.step(by));
let tellLocal;
const local = new Promise((done) => { tellLocal = done; });
const taking = new Taking(api, local, (photo) => viewer.open(photo));
const views = { photo: new Facts(api, openBeside, taking), mask: new Mask(api, drawing), match, inside: new Inside(api, drawing) };
const photos = new PhotoView(views, () => results.photos);
const address = new Address(shown, show);
let info = null;
let above = 0; // where the grid was scrolled to when a photo was opened
let counted = ""; // the folder and date that the menus count for
let learning = 0; // the turn of the newest question for what the server knows of itself
let naming = 0; // the timer of the one question that is asked again for its names

async function learn() {
  counted = search.narrowed;
  const turn = ++learning;
  try {
    const answer = await api.get(`/info?${counted.slice(1)}`);
    if (turn !== learning) return; // another answer is on its way
    info = answer;
  } catch (error) {
    if (error instanceof Refused) notice(error.message, { stays: true });
    return;
  }
  tellLocal(info.local);
  uploads.limits = info.limits;
  if (byId("about").open) showAbout(info);
  byId("phone-button").hidden = !info.phone;
  line.offer(info.gallery);
  saved.of(info.gallery.name);
  byId("where").textContent = `${info.gallery.demo ? "Demo gallery" : info.gallery.name} · ${info.gallery.photos.toLocaleString()} photos`;
  if (!byId("examples").children.length) await examples.load().catch((error) => {
    if (!(error instanceof Away || error instanceof Refused)) throw error;
  });
}

let indexed = { done: 0, total: 0, photos: 0 }; // what the server said last
let indexing = false;

/** Shows how far the folders that the studio follows are indexed, and looks again for what is new in them. */
async function follow() {
  const { indexing: state } = await api.get("/health").catch(() => ({ indexing: indexed }));
  if (!state) return;
  const [before, last] = [indexing, indexed];
  const others = state.photos !== last.photos || state.changes !== last.changes;
  indexing = !state.error && !state.paused && state.done < state.total;
  indexed = state;
  if (others) search.again();
  if (others || (before && !indexing)) await learn(); // which takes the words below away
  if (state.error && state.error !== last.error) notice(state.error, { stays: true, key: "trouble" });
  if (!state.error) quiet("trouble");
  if (indexing) byId("where").textContent = `Indexing ${state.done.toLocaleString()} of ${state.total.toLocaleString()} photos`;
  setTimeout(follow, indexing ? 1000 : 5000);
}

/** What the page shows, as its address tells it. */
function shown() {
  const view = photos.open && photos.view !== "photo" ? photos.view : "";
  return { ...packed(drawing), ...line.state, ...search.marks.state, photo: photos.photo?.id ?? "", view };
}

/** Show what an address tells, as long as it is the `current()` one. */
async function show(wanted, current) {
  const { lost, ...state } = (await unpacked(wanted)) ?? EMPTY;
  const full = lost || !wanted.q ? EMPTY : await fromKept(state);
  if (!current()) return;
  const now = shown();
  const same = ["q", "picture", "words", "like"].every((name) => now[name] === wanted[name]);
  if (now.q !== wanted.q || now.picture !== wanted.picture) {
    if (drawing.canUndo || drawing.canRedo) drawing.replace(full);
    else drawing.restore(full);
  }
  if (lost) notice("The picture of this drawing is not kept in this browser.");
  line.set(wanted);
  if (!same) search.marks.restore(wanted); // going back to the same search takes no mark away
  if (!wanted.photo) return photos.close();
  photos.choose(wanted.view in views ? wanted.view : "photo");
  if (photos.photo?.id !== wanted.photo) await openBeside(wanted.photo, current);
}

/** Open a photo of which only the identifier is known, unless another is opened or this one closed, or it is no longer `current()`, before the server has told the rest. */
async function openBeside(id, current = () => true) {
  const { photo } = photos;
  const wanted = () => photos.photo === photo && current();
  try {
    const found = await api.get(`/photos/${encodeURIComponent(id)}/info`);
    if (wanted()) photos.show(found);
  } catch (error) {
    if (!(error instanceof Away || error instanceof Refused)) throw error;
    if (wanted()) notice(error.message);
  }
}

function nameAgain() {
  naming = 0;
  search.again();
}

search.addEventListener("asking", () => finds.busy(true));
search.addEventListener("found", ({ detail }) => {
  finds.found(detail);
  if (detail.fresh && !photos.open && matchMedia(BESIDE).matches) scrollTo(0, 0);
  photos.place();
  finds.busy(!detail.last);
  showGuesses(byId("guesses"), detail.labels ?? [], examples, (label) => line.say(label), (label) => search.drop(label), search.without);
  // names come a while after the server does, and what it knows of itself may come later still
  if ((info?.model.labels ?? 1) && detail.asked.drawing && !detail.labels?.length) naming ||= setTimeout(nameAgain, NAMES_PAUSE);
});
search.addEventListener("settled", () => finds.busy(false));
search.addEventListener("more", () => photos.place());
search.addEventListener("idle", () => {
  finds.busy(false);
  showGuesses(byId("guesses"), []);
  finds.browse();
});
search.addEventListener("refused", ({ detail }) => {
  finds.busy(false);
  showGuesses(byId("guesses"), []);
  finds.refused(detail);
});

results.addEventListener("open", ({ detail }) => {
  above = scrollY;
  photos.show(detail);
  byId("photo-name").focus();
});
photos.addEventListener("shown", () => {
  document.body.classList.add("viewing");
  scrollTo(0, 0);
  byId("photo").hidden = false;
  viewer.follow(photos.photo);
  if (results.photos.slice(-STEPS).some(({ id }) => id === photos.photo.id)) finds.more();
});
photos.addEventListener("close", ({ detail }) => {
  document.body.classList.remove("viewing");
  byId("photo").hidden = true;
  address.closed();
  results.focus(detail.id);
  scrollTo(0, above);
});
photos.addEventListener("view", () => address.write());
drawing.addEventListener("change", () => drawing.live || address.write());
line.addEventListener("change", () => {
  address.write();
  if (search.narrowed !== counted) learn();
});
photos.addEventListener("like", ({ detail }) => {
  address.together(() => {
    line.like(detail);
    photos.close();
  });
});
/** Mark a find as right or not, or take that back; one that is wrong goes, with a way back. */
function mark(photo, as) {
  const { marks } = search;
  const before = marks.of(photo.id);
  marks.set(photo.id, as === "right" && before === "right" ? null : as);
  if (as !== "wrong") return;
  photos.close();
  notice(`${photo.name} is left out.`, { action: { label: "Undo", run: () => marks.set(photo.id, before === "wrong" ? null : before) } });
}

const marking = (as) => () => {
  const photo = photos.photo ?? results.photoAt(document.activeElement);
  return photo && !finds.browsing ? mark(photo, as) : false;
};

const showMark = () => byId("mark-right").setAttribute("aria-pressed", `${search.marks.right.has(photos.photo?.id)}`);

results.addEventListener("mark", ({ detail }) => mark(detail.photo, detail.mark));
byId("mark-right").addEventListener("click", marking("right"));
byId("mark-wrong").addEventListener("click", marking("wrong"));
photos.addEventListener("shown", showMark);
search.marks.addEventListener("change", () => {
  showMark();
  address.write();
});
photos.addEventListener("forget", ({ detail }) => {
  search.marks.set(detail.id, null);
  photos.close();
  forget(api, detail, (hidden) => finds.hide(detail.id, hidden), learn);
});
uploads.addEventListener("show", ({ detail }) => {
  drawing.clear();
  line.set({ words: "", folder: detail, date: "", like: "" });
});
uploads.addEventListener("added", () => {
  search.again();
  learn();
});

api.addEventListener("away", () => notice("The server is away; your drawing is kept. Trying again ..", { stays: true, key: "away" }));
api.addEventListener("back", () => {
  quiet("away");
  say("The server is back.");
  results.reload();
  photos.reload();
  learn();
  if (!finds.searched) search.again();
});

connectArrivals(drawing, line, uploads);
connectDragOut(byId("results"), (target) => results.photoAt(target));
connectDragOut(byId("large"), () => photos.photo);
byId("large").addEventListener("click", () => photos.view === "photo" && viewer.open(photos.photo));
connectExport(api, () => search.query()?.drawing ?? null, () => results.photos, () => [...results.selected.values()]);
connectSelecting(results);
connectMarks(search.marks);
connectTheme(() => paper.refresh());
connectFollowing(api);
connectTileSize(() => dispatchEvent(new Event("resize")));
byId("help-button").addEventListener("click", showHelp);
byId("phone-button").addEventListener("click", async () => {
  await learn(); // the laptop may be in another network by now
  if (info.phone) showPhone(info.phone);
});
byId("about-button").addEventListener("click", () => showAbout(info));

new KeyboardPen(paper.canvas, byId("pen-cursor"), {
  size: () => [drawing.state.width, drawing.state.height],
  press: (point) => {
    if (paper.tool === "point") {
      match.add("sketch", point);
      return "set";
    }
    drawing.begin(point, paper.tool === "eraser" ? paper.width * 3 : paper.width, paper.tool === "eraser");
    return "held";
  },
  drag: (point) => drawing.extend([point]),
  lift: () => drawing.end(),
  say,
});
new KeyboardPen(byId("stage"), byId("photo-cursor"), {
  size: () => [photos.photo.width, photos.photo.height],
  press: (point) => {
    match.add("photo", point);
    return "set";
  },
  say,
});

const aside = (by) => (event) => (photos.open && !event.target.matches("input, [role=toolbar] *") ? photos.step(by) : false);
const view = (name) => () => (photos.open ? photos.choose(name) : false);
connectShortcuts({
  p: () => tools.choose("pen"),
  e: () => tools.choose("eraser"),
  "[": () => tools.wider(-2),
  "]": () => tools.wider(2),
  "ctrl+z": () => drawing.undo(),
  "ctrl+shift+z": () => drawing.redo(),
  "ctrl+y": () => drawing.redo(),
  delete: () => drawing.clear(),
  l: () => byId("drawing-file").click(),
  d: () => paper.canvas.focus(),
  "/": () => byId("text").focus(),
  g: () => (photos.open ? byId("back").focus() : results.focus()),
  1: view("photo"),
  2: view("mask"),
  3: view("match"),
  4: view("inside"),
  "+": marking("right"),
  "-": marking("wrong"),
  z: () => (photos.open ? viewer.open(photos.photo) : false),
  arrowleft: aside(-1),
  arrowright: aside(1),
  pageup: () => (photos.open ? photos.step(-1) : false),
  pagedown: () => (photos.open ? photos.step(1) : false),
  escape: () => {
    if (photos.open) return photos.close();
    if (!results.selecting) return false;
    return void (results.selecting = false);
  },
  "?": showHelp,
});

const fill = () => { search.count = Math.min(96, Math.max(24, results.room)); };
addEventListener("resize", fill);
fill();

byId("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address is taken
  byId("finds").focus();
});

learn();
if (!parts(location.hash)) {
  const last = await unpacked(lastDrawing());
  const kept = last && !last.lost && (await fromKept(last));
  if (kept && !drawing.live && !drawing.canUndo) drawing.restore(kept); // unless somebody draws already
}
if (parts(location.hash)) await address.follow();
else address.write();
search.soon();
follow();
