/** Pictures that were loaded as drawings, kept in this browser under the names that addresses give them. */

const MOST = 60;

const asked = (request) =>
  new Promise((done, failed) => {
    request.onsuccess = () => done(request.result);
    request.onerror = () => failed(request.error);
  });

async function shelf(mode) {
  const opening = indexedDB.open("sketchfusion", 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("pictures", { keyPath: "id" });
  return (await asked(opening)).transaction("pictures", mode).objectStore("pictures");
}

/** Keep a picture {id, kind, data or svg, type}; the oldest beyond 60 go. A browser that keeps nothing is no fault. */
export async function keepPicture({ id, kind, data, svg, type }) {
  try {
    await asked((await shelf("readwrite")).put({ id, kind, data, svg, type, when: Date.now() }));
    const all = await asked((await shelf("readonly")).getAll());
    const old = all.sort((one, other) => other.when - one.when).slice(MOST);
    for (const { id: gone } of old) await asked((await shelf("readwrite")).delete(gone));
  } catch {
    // without storage the picture lasts as long as the page
  }
}

/** The picture of this name, or null. */
export async function keptPicture(id) {
  try {
    return (await asked((await shelf("readonly")).get(id))) ?? null;
  } catch {
    return null;
  }
}
