/** Files that arrive: dropped on the paper or pasted they become the drawing, or are taken for a photo; dropped elsewhere they go to the gallery. */

import { byId } from "./dom.js";
import { notice } from "./notice.js";
import { fromFile } from "./picture.js";
import { OURS } from "./taking.js";
import { dropped } from "./uploads.js";

export function connectArrivals(drawing, line, uploads) {
  connectLoaded(drawing, line, uploads);
  const draw = async (file) => {
    const newest = drawing.expect();
    try {
      const state = await fromFile(file);
      state.picture.file = file;
      if (newest()) drawing.replace(state);
    } catch (error) {
      notice(error.message);
    }
  };
  const chosen = (id, take) => {
    byId(id).addEventListener("change", (event) => {
      take([...event.target.files]);
      event.target.value = "";
    });
  };
  const index = (files) => uploads.add(files.map((file) => ({ file, path: file.webkitRelativePath || file.name })));
  byId("load-drawing").addEventListener("click", () => byId("drawing-file").click());
  chosen("drawing-file", ([file]) => file && draw(file));
  for (const [button, input] of [["add-files", "photo-files"], ["add-folder", "photo-folder"]]) {
    byId(button).addEventListener("click", () => {
      byId("add-menu").hidePopover();
      byId(input).click();
    });
    chosen(input, (files) => files.length && index(files));
  }
  addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find(({ type }) => type.startsWith("image/"));
    const text = event.clipboardData?.getData("text/plain").trim() ?? "";
    if (file) draw(file);
    else if (/^(<\?xml[^]*)?<svg[\s>]/.test(text)) draw(new File([text], "What was pasted", { type: "image/svg+xml" }));
  });
  connectDrops(draw, (files) => uploads.add(files));
}

/** Offer to take the picture on the paper for a photo: to find photos like it, and to add its file, as long as the page has that. */
function connectLoaded(drawing, line, uploads) {
  const show = () => {
    const { picture } = drawing.state;
    byId("loaded").hidden = picture?.kind !== "image" || Boolean(line.search.like);
    byId("loaded-add").hidden = !picture?.file;
  };
  drawing.addEventListener("change", show);
  line.addEventListener("change", show);
  byId("loaded-like").addEventListener("click", () => {
    line.likeLoaded();
    byId("finds").focus(); // the button is gone
  });
  byId("loaded-add").addEventListener("click", () => {
    const { file } = drawing.state.picture;
    uploads.add([{ file, path: file.name }]);
  });
}

function connectDrops(draw, index) {
  const carries = ({ dataTransfer }) => dataTransfer?.types.includes("Files") && !dataTransfer.types.includes(OURS);
  const mark = (event) => {
    const over = Boolean(event && carries(event));
    document.body.classList.toggle("dropping", over);
    byId("paper").classList.toggle("over", over && byId("paper").contains(event.target));
  };
  addEventListener("dragover", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    mark(event);
  });
  addEventListener("dragleave", (event) => event.relatedTarget === null && mark(null));
  addEventListener("drop", async (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    mark(null);
    if (byId("paper").contains(event.target)) draw(event.dataTransfer.files[0]);
    else index(await dropped(event.dataTransfer));
  });
}
