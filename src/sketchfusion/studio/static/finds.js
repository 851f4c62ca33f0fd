/** The right half of the page: photos found, the whole gallery, or a line that says why there are none. */

import { byId, make } from "./dom.js";
import { say } from "./notice.js";

const count = (number) => `${number.toLocaleString()} ${number === 1 ? "photo" : "photos"}`;

export class Finds {
  #announced = false;
  #mode = "";

  constructor(results, list, line) {
    Object.assign(this, { results, list, line });
    list.addEventListener("page", ({ detail }) => this.#page(detail));
    list.addEventListener("refused", ({ detail }) => this.refused(detail));
    new IntersectionObserver(([entry]) => entry.isIntersecting && this.#mode === "gallery" && list.more()).observe(byId("more"));
  }

  /** Whether the photos shown were searched for. */
  get searched() {
    return this.#mode === "found";
  }

  /** What a search answered. */
  found({ hits, asked }) {
    this.list.stop();
    this.#mode = "found";
    byId("more").hidden = true;
    byId("finds").classList.remove("browsing");
    this.results.show(hits);
    byId("export").disabled = !hits.length;
    const least = asked.min_score === null ? ", the closest first" : `, at least ${Math.round(100 * asked.min_score)} % sure`;
    byId("count").textContent = hits.length ? `${count(hits.length)}${least}` : "";
    if (hits.length) this.#empty(null);
    else this.#nothing(asked);
    if (!this.#announced && hits.length) {
      this.#announced = true;
      const [first] = hits;
      say(`${count(hits.length)} found. The first: ${first.category || first.name}, ${Math.round(100 * first.confidence)} % sure.`);
    }
  }

  /** The whole gallery, when there is nothing to search with. */
  browse(category) {
    this.#announced = false;
    this.#mode = "gallery";
    byId("export").disabled = true;
    byId("finds").classList.add("browsing");
    this.list.start(category);
  }

  refused(error) {
    byId("count").textContent = "";
    this.#empty(make("p", {}, error.message));
  }

  #page({ photos, total, first }) {
    if (first) this.results.show(photos);
    else this.results.append(photos);
    byId("count").textContent = total ? `All ${count(total)}` : "";
    byId("more").hidden = this.results.photos.length >= total;
    this.#empty(total ? null : make("p", {}, make("strong", {}, "The gallery is empty."), " Drop photos or a folder on this page, and they can be found by drawing."));
  }

  #nothing({ min_score: least, category }) {
    const where = category ? ` in “${category}”` : "";
    const box = make("p", {}, least === null ? `There are no photos${where}.` : `No photo${where} surely looks like it.`);
    if (least !== null) box.append(" ", make("button", { type: "button", onclick: () => this.line.anyway() }, "Show the closest"));
    this.#empty(box);
    if (!this.#announced) say(box.firstChild.textContent);
  }

  #empty(content) {
    byId("empty").hidden = !content;
    byId("empty").replaceChildren(...(content ? [content] : []));
    byId("results").hidden = Boolean(content) && !this.results.photos.length;
  }
}
