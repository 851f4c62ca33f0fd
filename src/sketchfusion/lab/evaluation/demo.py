"""Indexing and searching from end to end, offline: `python -m sketchfusion.lab.evaluation.demo OUT [PHOTOS]`.

Without a folder of PHOTOS the gallery has photos of Sketch World, of categories that no model was trained on; the
sketches are of other objects. With one, ten shipped drawings are looked for among the photos in it.
"""

import json
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ...extractor import Extractor
from ...gallery import Gallery
from ...gallery.confidence import reference_sketches
from ...gallery.sheet import SheetRow, contact_sheet
from ...models import load
from ..datasets.world import SketchWorld
from .result import Result
from .retrieval import RetrievalData, benchmark_retrieval, embed_labelled, retrieval_data, score_retrieval

MODELS = {"mini": "SketchFusion (mini)", "mini:B-CLIP": "B-CLIP (mini)", "scratch": "CNN from scratch"}
SHEET_ROWS, SHEET_COLUMNS = 8, 8
DRAWINGS = ("cat", "dog", "car", "bicycle", "flower", "cup", "chair", "duck", "horse", "airplane")  # of own photos


def run_demo(out: Path, models: dict[str, str], console: Console) -> dict[str, Result]:
    """Make a gallery, search it with the first model, compare others; write sheet.png and results.json."""
    started = time.monotonic()
    data = replace(retrieval_data(SketchWorld()), about="")
    photos = out / "photos"
    for sample, _ in track(data.gallery, "Making photos of unseen categories", console=console):
        path = photos / sample.label / f"{int(sample.photo_id):03}.png"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(sample.picture).save(path)  # type: ignore[arg-type]
    first, *others = models
    model = load(first)
    shutil.rmtree(out / "gallery", ignore_errors=True)  # it may be another version's
    gallery = _index(photos, out / "gallery", model, f"{photos} with {models[first]}", console)
    queries, labels = embed_labelled(model, data.sketches(), "sketch")
    contents = gallery.contents()
    indexed = contents.columns["vector"], [str(category) for category in contents.categories]
    results = {models[first]: score_retrieval(queries, labels, *indexed, model.name, model.fingerprint)}
    for name in others:
        console.print(f"Comparing with {models[name]} ..")
        results[models[name]] = benchmark_retrieval(load(name), data)
    _sheet(gallery, data).save(out / "sheet.png")
    figures = {label: result.to_json() for label, result in results.items()}
    (out / "results.json").write_text(json.dumps(figures, indent=2) + "\n")
    console.print(_table(results))
    console.print(f"{out / 'sheet.png'} shows what was found; {time.monotonic() - started:.0f} s in all.")
    return results


def search_own_photos(photos: Path, out: Path, model: str, console: Console) -> Path:
    """Index a folder into `out` and write sheet.png of what `DRAWINGS` find; GalleryError if no photo can be read."""
    gallery = _index(photos, out / "own-photos", load(model), f"{photos}", console)
    drawings = {name: sketch for sketch, name in reference_sketches()}
    rows = [
        SheetRow(Image.fromarray(drawings[name]), name, gallery.search(drawings[name], k=SHEET_COLUMNS))
        for name in DRAWINGS
    ]
    sheet = out / "own-photos.png"
    contact_sheet(gallery, rows).save(sheet)
    console.print(f"{sheet} shows what was found for ten drawings; look for your own: sketchfusion studio {photos}")
    return sheet


def _index(photos: Path, folder: Path, model: Extractor, what: str, console: Console) -> Gallery:
    gallery = Gallery.open(folder, model)
    console.print(f"Indexing {what} ..")
    report = gallery.add(photos)
    console.print(f"  {report.embedded} embedded, {report.unchanged} unchanged, {len(report.failed)} failed")
    return gallery


def _sheet(gallery: Gallery, data: RetrievalData) -> Image.Image:
    """Draw what is found for sketches of several categories, by different hands."""
    sketches = data.sketches()
    step = max(1, len(sketches) // SHEET_ROWS)
    rows = []
    for picture, category in sketches[::step][:SHEET_ROWS]:
        query = Image.fromarray(picture)  # type: ignore[arg-type]
        rows.append(SheetRow(query, category, gallery.search(picture, k=SHEET_COLUMNS), category))
    return contact_sheet(gallery, rows)


def _table(results: Mapping[str, Result]) -> Table:
    result = next(iter(results.values()))
    queries, photos = result.counts["queries"], result.counts["gallery"]
    table = Table(title=f"{queries} sketches of {len(result.rows)} unseen categories, {photos} photos")
    for column in ("", "mAP@all", "95 %", "P@10"):
        table.add_column(column, justify="left" if not column else "right")
    for label, of in sorted(results.items(), key=lambda row: -row[1].metrics["mAP@all"].mean):
        ap, p10 = of.metrics["mAP@all"], of.metrics["P@10"]
        table.add_row(label, f"{ap.mean:.3f}", f"{ap.low:.3f} .. {ap.high:.3f}", f"{p10.mean:.3f}")
    table.add_row("chance", f"{result.chance['mAP@all']:.3f}", "", f"{result.chance['P@k']:.3f}")
    return table


def main() -> None:
    """Run the demo into the folder named first, on the photos of a second one if it is named."""
    console, given = Console(), [Path(name) for name in sys.argv[1:]]
    try:
        if len(given) > 1:
            search_own_photos(given[1], given[0], next(iter(MODELS)), console)
        else:
            run_demo(given[0] if given else Path("demo"), MODELS, console)
    except (ValueError, OSError) as error:
        Console(stderr=True).print(f"sketchfusion demo: {error}", style="red", markup=False)
        sys.exit(2)


if __name__ == "__main__":
    main()
