/** The right half of the page: photos found, the whole gallery, or a line that says why there are none. */

import { byId, make } from "./dom.js";
import { say } from "./notice.js";

const count = (number) => `${number.toLocaleString()} ${number === 1 ? "photo" : "photos"}`;

const NEAREST = 8; // photos shown when none is sure enough

export class Finds {
  #announced = false;
  #mode = "";
  #answer = null;
  #least = null;

  constructor(results, list) {
    Object.assign(this, { results, list });
    list.addEventListener("page", ({ detail }) => this.#page(detail));
    list.addEventListener("refused", ({ detail }) => this.refused(detail));
    new IntersectionObserver(([entry]) => entry.isIntersecting && this.#mode === "gallery" && list.more()).observe(byId("more"));
  }

  /** Whether the photos shown were searched for. */
  get searched() {
    return this.#mode === "found";
  }

  /** Whether a search is under way. */
  busy(under) {
    byId("results").setAttribute("aria-busy", `${under}`);
  }

  /** What a search answered. */
  found(answer) {
    this.list.stop();
    this.#mode = "found";
    this.#answer = answer;
    byId("more").hidden = true;
    byId("finds").classList.remove("browsing");
    this.#show();
  }

  /** Show only photos that are at least so sure; null shows all. */
  cut(least) {
    this.#least = least;
    if (this.searched) this.#show();
  }

  #show() {
    const { hits, asked } = this.#answer;
    const sure = this.#least === null ? hits : hits.filter((hit) => hit.confidence >= this.#least);
    const unsure = !sure.length && hits.length > 0;
    const shown = unsure ? hits.slice(0, NEAREST) : sure;
    this.results.show(shown);
    byId("results").classList.toggle("unsure", unsure);
    byId("export").disabled = !shown.length;
    byId("rest").hidden = shown.length === hits.length;
    byId("rest").textContent = `Show ${hits.length - shown.length} more, less sure`;
    byId("count").textContent = shown.length ? this.#words(shown.length, unsure) : "";
    this.#empty(hits.length ? null : make("p", {}, asked.category ? `There are no photos of “${asked.category}”.` : "There are no photos to find."));
    if (this.#announced || !shown.length) return;
    this.#announced = true;
    const [first] = shown;
    say(`${byId("count").textContent}. The first: ${first.category || first.name}, ${Math.round(100 * first.confidence)} % sure.`);
  }

  #words(number, unsure) {
    if (unsure) return "Nothing surely like it; the closest";
    if (this.#least === null) return `${count(number)}, the closest first`;
    return `${count(number)}, at least ${Math.round(100 * this.#least)} % sure`;
  }

  /** The whole gallery, when there is nothing to search with. */
  browse(category) {
    this.#announced = false;
    this.#mode = "gallery";
    byId("results").classList.remove("unsure");
    byId("export").disabled = true;
    byId("rest").hidden = true;
    byId("finds").classList.add("browsing");
    this.list.start(category);
  }

  /** Show why there is no answer; the photos of the answer before it go. */
  refused(error) {
    this.#answer = { hits: [], asked: {} };
    this.list.stop();
    this.#mode = "refused";
    this.results.show([]);
    byId("export").disabled = true;
    byId("rest").hidden = true;
    byId("more").hidden = true;
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

  #empty(content) {
    byId("empty").hidden = !content;
    byId("empty").replaceChildren(...(content ? [content] : []));
    byId("results").hidden = Boolean(content) && !this.results.photos.length;
  }
}
