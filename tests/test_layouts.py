"""Data sets of sketches and photos in their true layouts, their traps, and which layout a root is told to have."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fixtures.photos import blank
from sketchfusion.cli import app, terminal
from sketchfusion.lab import datasets
from sketchfusion.lab.datasets import layouts
from sketchfusion.lab.datasets.base import ClassFolders, DatasetError, class_folders, unseen_of
from sketchfusion.lab.datasets.layouts import recognise
from sketchfusion.lab.datasets.psc6k import PSC6K
from sketchfusion.lab.datasets.quickdraw import QuickDrawExtended
from sketchfusion.lab.datasets.sketchy import Sketchy, SketchyExtended
from sketchfusion.lab.datasets.tuberlin import TUBerlin
from sketchfusion.lab.evaluation.retrieval import retrieval_data
from sketchfusion.lab.training.sources import KINDS, collect


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(blank(path.suffix))


def sketchy_at(root: Path, ready: str = "", extended: str = "EXTEND_image_sketchy") -> Path:
    """Two classes, of two photos each and a third of the extension; the originals are in the extension again."""
    inner = root / "256x256"
    for category, wnid in (("bat", "n02139199"), ("jack-o-lantern", "n03590841")):
        for number in (1, 2):
            picture(inner / "photo" / f"tx_000000000000{ready}" / category / f"{wnid}_{number}.jpg")
            picture(root / extended / category / f"{wnid}_{number}.jpg")
            picture(inner / "sketch" / f"tx_000000000000{ready}" / category / f"{wnid}_{number}-1.png")
        picture(root / extended / category / "ext_1.jpg")
    return root


def tuberlin_at(root: Path) -> Path:
    classes = {
        "banana": "banana",
        "hot air balloon": "hotairballoon",
        "space shuttle": "spacesshuttle",
        "mouse (animal)": "mouse",
        "computer-mouse": "computermouse",
        "wrist-watch": "wristwatching",
        "giraffe": "griaffe",
    }
    for number, (category, photos) in enumerate(classes.items()):
        picture(root / "png" / category / f"{80 * number + 1}.png")
        picture(root / "ImageResized" / photos / f"n07753592_{number}.JPEG")
    (root / "png" / "filelist.txt").write_text("".join(f"{name}/1.png\n" for name in classes))
    (root / "png" / "__MACOSX").mkdir()
    return root


def quickdraw_ext_at(root: Path, sketches: str = "QuickDraw_sketches_final", photos: str = "QuickDraw_images_final"):  # type: ignore[no-untyped-def]
    for category in ("palm tree", "fire_hydrant", "airplane"):
        picture(root / sketches / category / "5147947173937152.png")
        picture(root / photos / category / "image_00001.jpg")
    (root / sketches / "class_labels.txt").write_text("airplane\nclass_labels.txt\npalm tree\n")  # as it was published
    return root


def test_extended_photos_are_ranked_once_unless_asked_for_twice(tmp_path: Path) -> None:
    data = SketchyExtended(sketchy_at(tmp_path))
    assert [p.path.name for p in data.photos(["bat"])] == ["ext_1.jpg", "n02139199_1.jpg", "n02139199_2.jpg"]
    assert [p.photo_id for p in data.photos(["bat"])] == ["", "n02139199_1", "n02139199_2"]
    assert {s.photo_id for s in data.sketches()} == {p.photo_id for p in data.photos()} - {""}
    twice = SketchyExtended(tmp_path, twice=True).photos()
    assert len(twice) == len(data.photos()) + 4 and len({p.id for p in twice}) == len(twice)
    assert sum(p.photo_id == "n02139199_1" for p in twice) == 2
    assert [p.path.parts[-5:-3] for p in data.originals(["bat"])] == [("256x256", "photo")] * 2
    assert data.originals() == Sketchy(tmp_path).photos()


@pytest.mark.parametrize("place", ["", "256x256"])
@pytest.mark.parametrize(
    ("ready", "extended"),
    [
        ("", "EXTEND_image_sketchy"),
        ("_ready", "EXTEND_image_sketchy_ready"),
        ("", "256x256/EXTEND_image_sketchy"),
        ("", "256x256/extended_photo"),
    ],
)
def test_extended_photos_are_found_where_the_archives_put_them(
    tmp_path: Path, place: str, ready: str, extended: str
) -> None:
    data = SketchyExtended(sketchy_at(tmp_path, ready, extended) / place)
    assert (len(data.sketches()), len(data.photos()), len(data.originals())) == (4, 6, 4)


def test_separators_may_differ_between_the_sides_of_sketchy(tmp_path: Path) -> None:
    sketchy_at(tmp_path)
    for folder in (tmp_path / "256x256" / "photo" / "tx_000000000000", tmp_path / "EXTEND_image_sketchy"):
        (folder / "jack-o-lantern").rename(folder / "jack_o_lantern")  # as SEM-PCYC's script does
    data = SketchyExtended(tmp_path)
    assert data.categories == ("bat", "jack-o-lantern")
    assert [len(data.photos(["jack-o-lantern"])), len(data.originals(["jack-o-lantern"]))] == [3, 2]
    assert unseen_of(data.categories, "sketchy-25-sempcyc") == ["jack-o-lantern"]
    (tmp_path / "EXTEND_image_sketchy" / "jack-o-lantern").mkdir()
    with pytest.raises(DatasetError, match=r"'jack-o-lantern' and 'jack_o_lantern' are one class"):
        SketchyExtended(tmp_path)


def test_sketchy_without_its_extension_is_refused_as_extended(tmp_path: Path) -> None:
    sketchy_at(tmp_path, extended="elsewhere")
    with pytest.raises(DatasetError, match="no EXTEND_image_sketchy folder"):
        SketchyExtended(tmp_path)


def test_renamed_and_misspelt_photo_folders_of_tu_berlin_are_matched(tmp_path: Path) -> None:
    data = TUBerlin(tuberlin_at(tmp_path))
    assert "hot air balloon" in data.categories and len(data.categories) == 7
    for category in data.categories:
        (sketch,), (photo,) = data.sketches([category]), data.photos([category])
        assert sketch.label == photo.label == category
    assert [p.path.parent.name for p in data.photos(["mouse (animal)"])] == ["mouse"]
    assert [p.path.parent.name for p in data.photos(["computer-mouse"])] == ["computermouse"]
    unseen = unseen_of(data.categories, "tuberlin-30-sake")
    assert unseen == ["banana", "hot air balloon", "space shuttle"]


def test_a_misspelt_photo_folder_without_sketches_gets_its_right_name(tmp_path: Path) -> None:
    picture(tmp_path / "png" / "banana" / "1.png")
    picture(tmp_path / "ImageResized" / "griaffe" / "1.jpg")
    data = TUBerlin(tmp_path)
    assert data.categories == ("banana", "giraffe") and len(data.photos(["giraffe"])) == 1


def test_tu_berlin_alone_has_no_photos(tmp_path: Path) -> None:
    picture(tmp_path / "png" / "banana" / "1.png")
    assert len(TUBerlin(tmp_path).sketches()) == 1
    with pytest.raises(DatasetError, match="its extension photos"):
        TUBerlin(tmp_path).photos()
    with pytest.raises(DatasetError, match="no folder png"):
        TUBerlin(tmp_path / "png")


@pytest.mark.parametrize("names", [(), ("sketches", "images")])
def test_palm_trees_of_quickdraw_extended_are_in_its_split(tmp_path: Path, names: tuple[str, ...]) -> None:
    data = QuickDrawExtended(quickdraw_ext_at(tmp_path, *names))
    assert data.categories == ("airplane", "fire_hydrant", "palm tree")  # and no class_labels.txt
    assert unseen_of(data.categories, "quickdraw-30") == ["fire_hydrant", "palm tree"]
    assert unseen_of(["palm_tree", "tree"], "quickdraw-30") == ["palm_tree", "tree"]
    assert [s.path.stem for s in data.sketches(["palm tree"])] == ["5147947173937152"]
    assert [p.path.stem for p in data.photos(["palm tree"])] == ["image_00001"]


def segmentation_at(root: Path) -> Path:
    picture(root / "photo" / "1.jpg")
    picture(root / "mask" / "cat" / "1.png")
    (root / "index.csv").write_text("photo,category,mask\nphoto/1.jpg,cat,mask/cat/1.png\n")
    return root


def drawings_at(root: Path) -> Path:
    root.mkdir(exist_ok=True)
    (root / "cat.ndjson").write_text('{"drawing": [[[0, 9], [0, 9]]]}\n')
    return root


def psc6k_at(root: Path) -> Path:
    root.mkdir(exist_ok=True)
    (root / "test_pairs_ps.csv").write_text("photo,sketch,class,XA,YA,XB,YB\n")
    return root


def photos_at(root: Path) -> Path:
    picture(root / "cats" / "1.jpg")
    np.save(root / "features.npy", np.zeros((2, 3)))
    np.savez(root / "weights.npz", a=np.zeros(3))
    return root


MAKERS: dict[str, Callable[[Path], Path]] = {
    "Sketchy-extended": sketchy_at,
    "Sketchy": lambda root: sketchy_at(root, extended="other/more"),
    "TU-Berlin": tuberlin_at,
    "QuickDraw-extended": quickdraw_ext_at,
    "Quick, Draw!": drawings_at,
    "segmentation folder": segmentation_at,
    "PSC6K": psc6k_at,
    "folder of photos": photos_at,
}


@pytest.mark.parametrize("name", MAKERS)
def test_each_layout_is_recognised(tmp_path: Path, name: str) -> None:
    assert recognise(MAKERS[name](tmp_path)).layout == name


def test_archives_that_share_folder_names_are_told_apart(tmp_path: Path) -> None:
    quickdraw_ext_at(tmp_path / "q", "sketches", "images")
    assert recognise(tmp_path / "q").layout == "QuickDraw-extended"
    tuberlin_at(tmp_path / "t")
    (tmp_path / "t" / "png").rename(tmp_path / "t" / "sketches")
    (tmp_path / "t" / "ImageResized").rename(tmp_path / "t" / "images")
    assert recognise(tmp_path / "t").layout == "TU-Berlin"
    assert TUBerlin(tmp_path / "t").photos(["giraffe"])[0].label == "giraffe"


@pytest.mark.parametrize("form", ["TU-Berlin", "QuickDraw-extended"])
def test_layouts_are_recognised_among_hidden_files_and_upper_case_suffixes(tmp_path: Path, form: str) -> None:
    if form == "TU-Berlin":
        pictures = ["png/ant/1.PNG", "png/bat/81.PNG"]
    else:
        pictures = ["sketches/ant/4503641325043712.PNG", "images/ant/image_00001.JPG"]
    for name in pictures:
        path = tmp_path / name
        picture(path.with_suffix(path.suffix.lower()))
        path.with_suffix(path.suffix.lower()).rename(path)
        (path.parent / f"._{path.name.lower()}").write_bytes(b"of another system")
    assert recognise(tmp_path).layout == form


def test_mice_and_pipes_of_tu_berlin_may_have_short_names_on_both_sides(tmp_path: Path) -> None:
    for name in ("mouse", "pipe"):
        picture(tmp_path / "png" / name / "1.png")
        picture(tmp_path / "ImageResized" / name / "a.jpg")
    data = TUBerlin(tmp_path)
    assert data.categories == ("mouse (animal)", "pipe (for smoking)")
    assert len(data.sketches()) == len(data.photos()) == 2


def test_parts_of_a_root_may_be_links_to_another_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    masked, sketchy = segmentation_at(tmp_path / "masked"), sketchy_at(tmp_path / "sketchy")
    names = "photo/tx_000000000000/bat/n02139199_1.jpg,sketch/tx_000000000000/bat/n02139199_1-1.png"
    (sketchy / "test_pairs_ps.csv").write_text(f"photo,sketch,class,XA,YA,XB,YB\n{names},1,1,1,1,1\n")
    for number, folder in enumerate((masked / "photo", sketchy / "256x256" / "photo")):
        folder.rename(tmp_path / f"disk-{number}")
        folder.symlink_to(tmp_path / f"disk-{number}")
    assert len(layouts.open(masked).photos()) == 1 and len(PSC6K(sketchy).test_pairs()) == 1
    (masked / "index.csv").write_text("photo,category,mask\n../masked/../disk-0/1.jpg,cat,mask/cat/1.png\n")
    monkeypatch.chdir(masked)
    for root in (masked, "."):
        with pytest.raises(DatasetError, match="outside the folder"):
            layouts.open(root)


def test_the_inner_folder_of_sketchy_may_be_the_current_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sketchy_at(tmp_path) / "256x256")
    assert len(layouts.open(".").photos()) == 6  # with the extension beside it
    (tmp_path / "world.json").write_text('{"unseen": ["jack-o-lantern"]}')
    assert not layouts.open(".").aligned and layouts.open(".").unseen()[0] == ["jack-o-lantern"]


def test_keypoints_in_a_root_of_sketchy_leave_it_sketchy(tmp_path: Path) -> None:
    assert recognise(psc6k_at(sketchy_at(tmp_path, extended="other/more"))).layout == "Sketchy"


def test_roots_that_cannot_be_used_are_said_in_one_line(tmp_path: Path) -> None:
    mixed = tuberlin_at(sketchy_at(tmp_path / "mixed"))
    with pytest.raises(DatasetError, match="Sketchy-extended and TU-Berlin are mixed up"):
        recognise(mixed)
    sketchy_at(tmp_path / "several" / "Sketchy")
    tuberlin_at(tmp_path / "several" / "TU-Berlin")
    with pytest.raises(DatasetError, match=r"holds Sketchy \(Sketchy-extended\), TU-Berlin \(TU-Berlin\); give one"):
        recognise(tmp_path / "several")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="no data set that is known"):
        recognise(tmp_path / "empty")
    with pytest.raises(DatasetError, match="no such folder"):
        recognise(tmp_path / "nowhere")


class Shoes(ClassFolders):
    """The data set that docs/research.md adds."""

    layout = "Shoes"

    def __init__(self, root: str | Path) -> None:
        super().__init__(root, class_folders(Path(root) / "drawings"), class_folders(Path(root) / "photos"))

    @classmethod
    def present(cls, root: Path) -> bool:
        return (root / "shoes.txt").is_file()


def test_a_data_set_is_added_by_one_class_and_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for category in ("boot", "sandal"):
        for number in range(12):
            picture(tmp_path / "drawings" / category / f"{number}.png")
            picture(tmp_path / "photos" / category / f"{number}.jpg")
    (tmp_path / "shoes.txt").touch()
    monkeypatch.setattr(layouts, "LAYOUTS", (*layouts.LAYOUTS, Shoes))
    shoes = datasets.open(tmp_path)
    assert isinstance(shoes, Shoes) and shoes.categories == ("boot", "sandal")
    assert retrieval_data(shoes).about == "all 2 categories"
    command = ["evaluate", "retrieval", "--data", str(tmp_path), "--model", "scratch", "--out", str(tmp_path / "out")]
    assert terminal.run(app, [*command, "--json"]) == 0
    [report] = (tmp_path / "out").glob("*.json")
    assert json.loads(report.read_text())["queries"] == 24
    named, examples = shoes.named("sketch"), shoes.named("sketch", examples=True)
    assert len(named) + len(examples) == 24 and not {s.id for s in named} & {s.id for s in examples}
    trained = {kind: collect([shoes], kind) for kind in KINDS}
    assert all({p.names for p in drawn} == {("boot",), ("sandal",)} and len(drawn) < 24 for drawn in trained.values())
    for lacking, refused in (
        ("masks", lambda: next(shoes.scenes())),
        ("keypoints", lambda: next(shoes.point_pairs())),
        ("which photo a sketch is of", shoes.instances),
    ):
        with pytest.raises(DatasetError, match=lacking):
            refused()


def test_real_roots_are_recognised(shared_data: Path) -> None:
    names = {path.name: recognise(path).layout for path in sorted(shared_data.iterdir()) if path.is_dir()}
    assert names == {
        "quickdraw-mini": "Quick, Draw!",
        "segmentation-mini": "segmentation folder",
        "sketchy-mini": "Sketchy",
    }
