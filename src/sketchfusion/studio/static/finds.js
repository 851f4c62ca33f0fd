/** The right half of the page: photos found, the whole gallery, or a line that says why there are none. */

import { byId, make } from "./dom.js";
import { say } from "./notice.js";

const count = (number, more = "") => `${number.toLocaleString()}${more} ${number === 1 && !more ? "photo" : "photos"}`;
const percent = (share) => `${Math.round(100 * share)} %`;

const NARROW = "There is no photo of this folder and date.";
const EARLY = "800px"; // more is asked for so far before the end of the page comes into sight

export class Finds {
  #announced = false;
  #mode = "";
  #answer = null;
  #listed = { photos: [], total: 0 };
  #hidden = new Set();
  #least = 0.5;
  #end;

  /** `results` is the grid, `list` the whole gallery, `search` what looks for more. */
  constructor(results, list, search) {
    Object.assign(this, { results, list, search });
    list.addEventListener("page", ({ detail }) => this.#page(detail));
    list.addEventListener("refused", ({ detail }) => this.refused(detail));
    search.addEventListener("more", ({ detail }) => this.#more(detail));
    search.marks.addEventListener("change", () => this.searched && this.#show());
    // of several entries, which a busy browser gives at once, the last is how it is now
    this.#end = new IntersectionObserver((entries) => entries.at(-1).isIntersecting && this.more(), { rootMargin: EARLY });
  }

  /** Whether the photos shown were searched for. */
  get searched() {
    return this.#mode === "found";
  }

  /** Whether the whole gallery is shown. */
  get browsing() {
    return this.#mode === "gallery";
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
    byId("finds").classList.remove("browsing");
    this.#show();
  }

  /** Draw the line below photos that are at least so sure. */
  cut(least) {
    this.#least = least;
    if (this.searched) this.#show();
  }

  /** Leave a photo out, or show it again. */
  hide(id, hidden) {
    if (hidden) this.#hidden.add(id);
    else this.#hidden.delete(id);
    if (this.searched) this.#show();
    else if (this.browsing) this.#list();
  }

  /** Photos after those that are shown, if there are any. */
  more() {
    if (this.browsing) this.list.more();
    else if (this.searched) this.search.more();
  }

  #more(hits) {
    const known = new Set(this.#answer.hits.map(({ id }) => id));
    this.#answer.hits.push(...hits.filter(({ id }) => !known.has(id)));
    this.#show();
  }

  #show() {
    const { asked } = this.#answer;
    const hits = this.#answer.hits.filter(({ id }) => !this.#hidden.has(id) && !this.search.marks.wrong.has(id));
    const sure = hits.filter((hit) => hit.confidence >= this.#least);
    const rest = hits.filter((hit) => hit.confidence < this.#least);
    this.results.show([...sure, ...rest], sure.length && rest.length ? sure.length : null, `Less than ${percent(this.#least)} sure`);
    byId("export").disabled = !hits.length;
    byId("count").textContent = hits.length ? this.#words(sure.length, rest.length || !this.search.endless ? "" : "+") : "";
    this.#goOn(this.search.endless);
    this.#empty(hits.length ? null : make("p", {}, asked.folder || asked.date ? NARROW : "There are no photos to find."));
    if (this.#announced || !hits.length) return;
    this.#announced = true;
    const [first] = hits;
    say(`${byId("count").textContent}. The first: ${first.category || first.name}, ${percent(first.confidence)} sure.`);
  }

  #words(number, more) {
    if (!number) return `Nothing is ${percent(this.#least)} sure; the closest first`;
    return `${count(number, more)}, at least ${percent(this.#least)} sure`;
  }

  /** Ask for more as soon as the end of the page is near, also when it is near already. */
  #goOn(endless) {
    byId("more").hidden = !endless;
    this.#end.disconnect();
    if (endless) this.#end.observe(byId("more"));
  }

  /** The whole gallery, when there is nothing to search with. */
  browse() {
    this.#announced = false;
    this.#mode = "gallery";
    byId("finds").classList.add("browsing");
    this.list.start(this.search.narrowed);
  }

  /** Show why there is no answer; the photos of the answer before it go. */
  refused(error) {
    this.#answer = { hits: [], asked: {} };
    this.list.stop();
    this.#mode = "refused";
    this.results.show([]);
    byId("export").disabled = true;
    this.#goOn(false);
    byId("count").textContent = "";
    this.#empty(make("p", {}, error.message));
  }

  #page({ photos, total, first }) {
    const before = first ? [] : this.#listed.photos;
    const known = new Set(before.map(({ id }) => id));
    this.#listed = { photos: [...before, ...photos.filter(({ id }) => !known.has(id))], total };
    this.#list();
  }

  #list() {
    const { photos, total } = this.#listed;
    this.results.show(photos.filter(({ id }) => !this.#hidden.has(id)));
    byId("count").textContent = total ? `All ${count(total)}` : "";
    byId("export").disabled = !photos.length;
    this.#goOn(photos.length < total);
    this.#empty(total ? null : this.list.narrowed ? make("p", {}, NARROW) : make("p", {}, make("strong", {}, "The gallery is empty."), " Drop photos or a folder on this page, and they can be found by drawing."));
  }

  #empty(content) {
    byId("empty").hidden = !content;
    byId("empty").replaceChildren(...(content ? [content] : []));
    byId("results").hidden = Boolean(content) && !this.results.photos.length;
  }
}
