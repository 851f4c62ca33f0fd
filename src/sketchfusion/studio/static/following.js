/** The folders that the studio follows, below the ways to add photos: how many photos each has, and what could not be read. */

import { Away, Refused } from "./api.js";
import { byId, make } from "./dom.js";
import { notice } from "./notice.js";

const photos = (count) => `${count.toLocaleString()} ${count === 1 ? "photo" : "photos"}`;

/** Ask the server whenever the menu opens. */
export function connectFollowing(api) {
  let paused = false;

  const show = (state) => {
    paused = state.paused;
    byId("following").hidden = !state.folders.length;
    byId("followed").replaceChildren(...state.folders.map(({ name, photos: count, there }) => make(
      "li", {},
      make("span", { title: name }, name),
      make("span", {}, there ? photos(count) : `not there now, ${photos(count)} kept`),
    )));
    const failed = byId("unindexed");
    failed.hidden = !state.failed.length;
    failed.firstElementChild.textContent = `${state.failed.length} ${state.failed.length === 1 ? "file" : "files"} could not be read`;
    failed.lastElementChild.replaceChildren(...state.failed.map(({ name, reason }) => make("li", {}, make("span", { title: name }, name), make("span", {}, reason))));
    byId("pause").textContent = paused ? "Go on" : "Pause";
    byId("rescan").hidden = paused;
  };

  const ask = async (answer) => {
    try {
      show(await answer);
    } catch (error) {
      if (!(error instanceof Away || error instanceof Refused)) throw error;
      if (error instanceof Refused) notice(error.message);
    }
  };

  byId("add-menu").addEventListener("beforetoggle", ({ newState }) => newState === "open" && ask(api.get("/following")));
  byId("pause").addEventListener("click", () => ask(api.post("/following", { paused: !paused })));
  byId("rescan").addEventListener("click", () => {
    notice("The folders are looked through, and what could not be read is tried again");
    ask(api.post("/following", { paused: false }));
  });
}
