/** Files that arrive: dropped on the paper or pasted they become the drawing, dropped elsewhere they go to the gallery. */

import { byId } from "./dom.js";
import { notice } from "./notice.js";
import { fromFile } from "./picture.js";
import { fromHere } from "./taking.js";
import { dropped } from "./uploads.js";

export function connectArrivals(drawing, uploads) {
  const draw = async (file) => {
    try {
      drawing.replace(await fromFile(file));
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

function connectDrops(draw, index) {
  const carries = (event) => event.dataTransfer?.types.includes("Files") && !fromHere();
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
