"""The commands as people run them: real files, bad input, exit codes."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import segno
import torch
import typer
from PIL import Image, ImageDraw
from safetensors import safe_open

from fixtures.pixels import PixelExtractor
from fixtures.writers import command, start
from sketchfusion import models
from sketchfusion.cli import SEVERAL, app
from sketchfusion.cli.gallery import _report_progress
from sketchfusion.cli.terminal import GROUPS, progress_bar, repeat_options, run, with_home
from sketchfusion.gallery import Gallery, confidence
from sketchfusion.io.files import find_images
from sketchfusion.studio.protection import Access
from sketchfusion.studio.server import addresses
from sketchfusion.studio.studio import Studio
from sketchfusion.world import export

DRAWING = '{"word":"cat","drawing":[[[10,200,200,10,10],[10,10,200,200,10]],[[10,200],[10,200]]]}'


load = functools.cache(models.load)
few = confidence.reference_sketches()[:6]


def sketchfusion(*arguments: object, given: bytes = b"") -> subprocess.CompletedProcess[str]:
    """Run a command line as `main` does; in this process and with models kept, because both take seconds to load."""
    words, out, err = [str(argument) for argument in arguments], io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        patch.setattr(models, "load", load)
        patch.setattr("sketchfusion.gallery.gallery.load_model", load)
        patch.setattr(confidence, "reference_sketches", lambda: few)
        code = run(app, repeat_options(words, SEVERAL))
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


def refused(*arguments: object, given: bytes = b"") -> str:
    """The one line that a wrong command line gets."""
    done = sketchfusion(*arguments, given=given)
    assert (done.returncode, done.stdout) == (2, "")
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1 and lines[0].startswith("sketchfusion: "), done.stderr
    return lines[0]


def shape(path: Path, number: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (96, 64), "white")
    points = np.random.default_rng(number).integers(0, 64, (6, 2))
    ImageDraw.Draw(image).line([tuple(point) for point in points.tolist()], fill="black", width=4)
    image.save(path)
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photos")
    for number in range(6):
        shape(root / ("cat" if number < 4 else "dog") / f"{number}.png", number)
    return root


@pytest.fixture(scope="module")
def gallery(photos: Path, model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gallery") / "g"
    done = sketchfusion("index", photos, "--gallery", folder, "--model", model_folder, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["embedded"], report["failed"], report["photos"]) == (6, [], 6)
    return folder


def test_help_loads_no_model_library() -> None:
    code = (
        "import sys\nfrom sketchfusion.cli import app\nfrom sketchfusion.cli.terminal import run\n"
        "code = run(app, ['--help'])\n"
        "print(code, sorted({'torch', 'diffusers', 'transformers', 'lancedb', 'numpy', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "0 []"
    assert "search" in done.stdout


def test_commands_are_grouped_in_the_order_of_use() -> None:
    listed = sketchfusion("--help").stdout
    words = [word for names in GROUPS.values() for word in names]
    places = [listed.index(f"\u2502 {word} ") for word in words]
    assert places == sorted(places)
    assert all(group in listed for group in GROUPS)
    assert sketchfusion("--version").stdout.startswith("sketchfusion 0.")


def test_without_gallery_the_users_own_is_used(
    photos: Path, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platformdirs.user_data_path", lambda *_, **__: tmp_path)
    assert "you have no gallery yet" in refused("search", DRAWING)
    assert sketchfusion("index", photos / "dog", "--model", model_folder).returncode == 0
    found = sketchfusion("search", DRAWING, "--paths0")
    assert sorted(found.stdout.split("\0")) == ["", str(photos / "dog" / "4.png"), str(photos / "dog" / "5.png")]
    assert f"did you mean {tmp_path / 'gallery'}?" in refused("search", DRAWING, "-g", tmp_path / "galery")
    assert "no gallery at" in refused("studio", "-g", tmp_path / "galery")
    assert "no such file or folder" in refused("studio", tmp_path / "nowhere")


def test_share_lets_a_phone_in_by_a_new_token_and_prints_its_address_as_a_qr_code(
    gallery: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    def serve(studio: Studio, access: Access, listener: socket.socket, started: Callable[[str], None]) -> None:
        here, there = addresses(listener, access)
        studio.network_address = lambda: there
        listener.close()
        opened.append((access, there))
        started(here)
        studio.close()

    monkeypatch.setattr("sketchfusion.studio.server.serve", serve)
    monkeypatch.setattr("sketchfusion.studio.server.network_address", lambda: "192.168.1.5")
    said = [sketchfusion("studio", "--gallery", gallery, "--port", 0, "--share").stdout for _ in range(2)]
    (one, address), (other, _) = opened
    assert one.host == "0.0.0.0" and one.token != other.token and len(str(one.token)) >= 16
    here, there, *code = said[0].splitlines()
    assert here.startswith("http://127.0.0.1:") and there.split()[0] == address and address.endswith(str(one.token))
    drawn = io.StringIO()
    segno.make_qr(address).terminal(drawn, border=2, compact=True)
    assert code == drawn.getvalue().splitlines()


def test_on_a_terminal_search_prints_rank_confidence_and_the_path_within_the_gallery(
    gallery: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed: list[tuple[list[str], list[list[str]]]] = []
    terminal = SimpleNamespace(stdout=SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("sketchfusion.cli.search.sys", terminal)
    monkeypatch.setattr(
        "sketchfusion.cli.terminal.print_table", lambda columns, rows: printed.append((columns, [*rows]))
    )
    sketchfusion("search", photos / "cat" / "1.png", "-g", gallery, "-k", 1)
    [(columns, [[rank, sure, path]])] = printed
    assert (columns, rank) == (["rank", "sure", f"photo in {photos}"], "1")
    assert (photos / path).is_file() and not Path(path).is_absolute()
    assert sure.endswith("%")


def test_without_a_terminal_progress_is_lines_with_a_rate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([100.0, 102.0, 104.0, 120.0])
    monkeypatch.setattr("sketchfusion.cli.terminal.time", SimpleNamespace(monotonic=lambda: next(clock)))
    with progress_bar("indexing") as update:
        for done in (0, 10, 20, 50):
            update(done, 100)
    assert [line for line in capsys.readouterr().err.splitlines() if line] == [
        "indexing: 10 of 100, 5.0/s, 18 s left",
        "indexing: 50 of 100, 2.5/s, 20 s left",
    ]


@pytest.mark.parametrize(
    "command", ["index", "search", "recognize", "features", "world", "evaluate", "bench", "doctor"]
)
def test_every_command_explains_itself(command: str) -> None:
    done = sketchfusion(command, "--help")
    assert done.returncode == 0 and "--help" in done.stdout


def test_search_uses_the_model_that_made_the_gallery(gallery: Path, photos: Path) -> None:
    done = sketchfusion("search", photos / "cat" / "1.png", "--gallery", gallery, "-k", 3, "--json")
    hits = json.loads(done.stdout)
    assert [hit["rank"] for hit in hits] == [1, 2, 3]
    expected = Gallery.open(gallery).search(photos / "cat" / "1.png", k=3)
    assert [hit["path"] for hit in hits] == [hit.path for hit in expected]
    assert {hit["category"] for hit in hits} <= {"cat", "dog"}
    assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)


def test_search_takes_drawings_in_every_form(gallery: Path, tmp_path: Path) -> None:
    svg = tmp_path / "cat.svg"
    svg.write_text('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M1 1L8 8" stroke="#000"/></svg>')
    ndjson = tmp_path / "cat.ndjson"
    ndjson.write_text(DRAWING + "\n" + DRAWING + "\n")
    for sketch in (svg, ndjson, f"{ndjson}:2", DRAWING):
        done = sketchfusion("search", sketch, "--gallery", gallery, "--json")
        assert len(json.loads(done.stdout)) == 6, done.stderr
    whole = sketchfusion("search", "-", "--gallery", gallery, "--sheet", tmp_path / "s.png", given=DRAWING.encode())
    assert whole.returncode == 0, whole.stderr
    assert [line.split("\t")[0] for line in whole.stdout.splitlines()] == ["1", "2", "3", "4", "5", "6"]
    assert Image.open(tmp_path / "s.png").width > 900
    assert str(tmp_path / "s.png") in whole.stderr


def test_search_narrows(gallery: Path) -> None:
    done = sketchfusion("search", DRAWING, "-g", gallery, "--category", "dog", "--where", "width = 96", "--json")
    assert {hit["category"] for hit in json.loads(done.stdout)} == {"dog"}
    assert "no photo is in category 'dgo'; categories include dog" in refused(
        "search", DRAWING, "-g", gallery, "--category", "dgo"
    )
    assert "must be an SQL condition" in refused("search", DRAWING, "-g", gallery, "--where", "nonsense =")


def test_names_are_shown_in_one_line(gallery: Path, tmp_path: Path) -> None:
    shape(tmp_path / "two\nlines" / "a\tb.png", 7)
    (tmp_path / "two\nlines" / "c\nd.png").write_bytes(b"")
    done = sketchfusion("index", tmp_path, "--gallery", tmp_path / "g", "--model", gallery_model(gallery))
    assert f"  {tmp_path}/two\\nlines/c\\nd.png: empty; nothing to read" in done.stderr.splitlines()
    [row] = sketchfusion("search", DRAWING, "--gallery", tmp_path / "g").stdout.splitlines()
    assert row.split("\t")[3:] == ["two\\nlines", f"{tmp_path}/two\\nlines/a\\tb.png"]


def test_index_goes_on_past_bad_files(photos: Path, gallery: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("I am a letter to my grandmother")
    shape(tmp_path / "good.png", 99)
    folder = tmp_path / "g"
    done = sketchfusion("index", tmp_path, photos, "--gallery", folder, "--model", gallery_model(gallery))
    assert done.returncode == 0
    assert "7 photos" in done.stdout and "1 failed" in done.stdout
    assert "text.png: not a picture that can be read" in done.stderr
    again = sketchfusion("index", photos, "--gallery", folder, "--json")
    assert json.loads(again.stdout)["unchanged"] == 6


def test_one_bad_picture_does_not_keep_the_others_from_an_answer(
    model_folder: Path, photos: Path, tmp_path: Path
) -> None:
    good, bad, blank = photos / "cat" / "1.png", tmp_path / "nope.png", tmp_path / "blank.png"
    Image.new("RGB", (64, 64), "white").save(blank)
    asked = ("recognize", bad, good, blank, good, "--model", model_folder, "-k", 1)
    done = sketchfusion(*asked, "--json")
    assert done.returncode == 0 and [guess["sketch"] for guess in json.loads(done.stdout)] == [str(good)] * 2
    assert [line.split(": ")[0] for line in done.stderr.splitlines()] == [f"  {bad}", f"  {blank}"]
    out = tmp_path / "features.safetensors"
    done = sketchfusion("features", good, bad, good, "--out", out, "--model", model_folder)
    assert done.returncode == 0 and "of 2 pictures" in done.stdout
    assert done.stderr.startswith(f"  {bad}: No such file") and len(done.stderr.splitlines()) == 1
    with safe_open(out, "pt") as file:
        assert json.loads(file.metadata()["images"]) == [str(good)] * 2
        assert len(file.get_tensor("vectors")) == file.get_slice("maps").get_shape()[0] == 2
    assert "none of the 2 can be read; " in refused("recognize", bad, blank, "--model", model_folder)
    assert "nope.png: No such file" in refused("features", bad, "--out", out, "--model", model_folder)


def gallery_model(gallery: Path) -> str:
    from sketchfusion.gallery.store import GalleryStore

    store = GalleryStore.find(str(gallery))
    assert store is not None
    return store.made_with.name


def test_bad_input_gets_one_line_that_names_it(gallery: Path, model_folder: Path, tmp_path: Path) -> None:
    blank, text, empty = tmp_path / "blank.png", tmp_path / "text.png", tmp_path / "empty"
    Image.new("RGB", (64, 64), "white").save(blank)
    text.write_text("I am a letter to my grandmother")
    empty.mkdir()
    assert "missing.png: No such file" in refused("search", tmp_path / "missing.png", "-g", gallery)
    assert "text.png: not a picture" in refused("search", text, "-g", gallery)
    assert "blank.png: the sketch is blank" in refused("search", blank, "-g", gallery)
    assert "blank.png: the sketch is blank" in refused("recognize", blank, "--model", model_folder)
    assert "standard input: empty" in refused("search", "-", "-g", gallery, given=b"")
    assert "no gallery at" in refused("search", DRAWING, "-g", tmp_path / "none")
    assert "no photos in" in refused("index", empty, "-g", tmp_path / "g", "--model", model_folder)
    assert "no such file or folder" in refused("index", tmp_path / "nowhere", "-g", tmp_path / "g")
    assert "text.png: not a picture" in refused("index", text, "-g", tmp_path / "g", "--model", model_folder)
    assert "no model is called 'gigantic'" in refused("recognize", DRAWING, "--model", "gigantic")
    assert "you have no gallery yet" in refused("search", DRAWING)
    assert "No such command" in refused("fly")


def test_a_gallery_of_other_weights_is_refused(gallery: Path, clip_folder: Path) -> None:
    line = refused("search", DRAWING, "-g", gallery, "--model", clip_folder)
    assert "was made with" in line and "use that model" in line


def test_a_pickle_posing_as_weights_is_never_opened(model_folder: Path, clip_folder: Path, tmp_path: Path) -> None:
    import pickle
    import shutil

    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (os.mkdir, (str(tmp_path / "sprung"),))

    folder = tmp_path / "clip"
    shutil.copytree(clip_folder, folder)
    (folder / "model.safetensors").write_bytes(pickle.dumps(Trap()))
    refused("recognize", DRAWING, "--model", folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "convert" in refused("recognize", DRAWING, "--model", folder)
    assert "not opened further" in refused("convert", folder, tmp_path / "out")
    assert not (tmp_path / "sprung").exists()


def test_recognize_answers_with_probabilities(model_folder: Path) -> None:
    done = sketchfusion("recognize", DRAWING, "--model", model_folder, "--labels", "cat,dog,ca", "-k", 2, "--json")
    guesses = json.loads(done.stdout)
    assert len(guesses) == 2 and {"label", "score"} <= set(guesses[0])
    assert 0 < guesses[1]["score"] <= guesses[0]["score"] < 1
    for none in ("", ",,"):
        assert refused("recognize", DRAWING, "--model", model_folder, "--labels", none).endswith(
            "--labels has no names"
        )
    plain = sketchfusion("recognize", DRAWING, "--model", model_folder)
    assert {line.split("\t")[2] for line in plain.stdout.splitlines()} == {"cat", "dog"}


def test_recognize_takes_names_from_a_folder_of_examples(model_folder: Path, tmp_path: Path) -> None:
    for name, box in (("blorp", (2, 2, 12, 30)), ("gleeb", (40, 40, 60, 60))):
        (tmp_path / "mine" / name).mkdir(parents=True)
        image = Image.new("L", (64, 64), 255)
        ImageDraw.Draw(image).rectangle(box, outline=0, width=3)
        image.save(tmp_path / "mine" / name / "1.png")
    asked = ("--examples", tmp_path / "mine", "--model", model_folder)
    done = sketchfusion("recognize", tmp_path / "mine" / "gleeb" / "1.png", *asked, "--json")
    guesses = json.loads(done.stdout)
    assert [guess["label"] for guess in guesses] == ["gleeb", "blorp"] and guesses[0]["score"] > 0.5
    assert "'wug' has no example" in refused("recognize", DRAWING, *asked, "--labels", "gleeb,wug")
    (tmp_path / "mine" / "blorp" / "2.png").write_bytes(b"")
    done = sketchfusion("recognize", tmp_path / "mine" / "gleeb" / "1.png", *asked, "--json")
    assert json.loads(done.stdout) == guesses and done.stderr.splitlines() == [
        f"  {tmp_path}/mine/blorp/2.png: empty; nothing to read"
    ]
    image.save(tmp_path / "mine" / "stray.png")
    assert "stray.png: not in a sub-folder, so it has no name" in refused("recognize", DRAWING, *asked)
    (tmp_path / "none").mkdir()
    assert "no pictures in this folder" in refused("recognize", DRAWING, "--examples", tmp_path / "none")


def test_features_are_written_with_their_frames(model_folder: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "features.safetensors"
    done = sketchfusion("features", photos / "cat" / "1.png", DRAWING, "--out", out, "--model", model_folder)
    assert done.returncode == 0, done.stderr
    with safe_open(out, "pt") as file:
        assert file.get_slice("maps").get_shape() == [2, 16, 8, 8]
        assert file.get_tensor("vectors").norm(dim=1).tolist() == pytest.approx([1, 1], abs=1e-5)
        assert json.loads(file.metadata()["frames"])[0]["width"] == 96


def test_world_is_written_and_measured(model_folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "world"
    done = sketchfusion("world", root, "--categories", "bat,cow", "door", "--instances", 2, "--size", 64)
    assert done.returncode == 0 and "6 photos and 12 sketches of 3 categories" in done.stdout, done.stderr
    report = sketchfusion(
        "evaluate", "retrieval", "--data", root, "--model", model_folder, "--out", tmp_path / "out", "--json"
    )
    figures = json.loads(report.stdout)
    assert {"mAP@all", "mAP@200/min(k,R)", "mAP@200/VOC", "P@100"} <= set(figures)
    assert 0 < figures["mAP@all"] <= 1 and figures["queries"] == 12 and figures["gallery"] == 6
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".json", ".md"}
    broken = find_images(root)[::9][:2]
    for path in broken:
        path.write_bytes(b"")
    report = sketchfusion("evaluate", "retrieval", "--data", root, "--model", model_folder, "--out", tmp_path / "out")
    assert [line.split(": ")[0] for line in report.stderr.splitlines()[:2]] == [f"  {path}" for path in broken]
    assert report.returncode == 2
    assert "'plane' is unknown" in refused("world", root, "--categories", "plane")
    said = refused("evaluate", "cooking", "--data", "world", "--out", tmp_path)
    assert "No such command 'cooking'" in said


def test_interrupt_ends_with_one_line(
    photos: Path, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sketchfusion.gallery.embed.embed_views", interrupt)
    done = sketchfusion("index", photos, "-g", tmp_path / "g", "--model", model_folder)
    assert done.returncode == 128 + signal.SIGINT
    assert done.stderr.splitlines()[-1] == "sketchfusion: interrupted; finished work is kept"


@pytest.mark.parametrize(
    ("arguments", "shell", "code"),
    [
        ("--help", "| true", 0),
        ("index nowhere -g g", "2>&1 >/dev/null | true", 2),
        ("index nowhere -g g", "2>/dev/full", 2),
        ("--help", "> /dev/full", 2),
        ("--help", ">&-", 0),
        ("index nowhere -g g", "2>&-", 2),
        ("search - -g g", "<&-", 2),
    ],
)
def test_output_that_nobody_reads_changes_no_exit_code(arguments: str, shell: str, code: int, tmp_path: Path) -> None:
    start = f"{sys.executable} -c 'from sketchfusion.cli import main; main()' {arguments}"
    (tmp_path / "g").mkdir()
    sleep = "sleep 0.3; " if "|" in shell else ""  # until the reader has stopped
    ends, _, rest = shell.partition("|")
    line = f"({sleep}{start} {ends}; echo $? > code) {'|' if rest else ''} {rest}"
    environment = os.environ | {"PYTHONPATH": str(Path(models.__file__).resolve().parents[1])}
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert (int((tmp_path / "code").read_text()), "Traceback" in done.stderr) == (code, False), done.stderr


def test_what_a_studio_cannot_show_of_its_folders_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    queue = SimpleNamespace(ready=SimpleNamespace(wait=lambda: None), failure=None)
    stopping = SimpleNamespace(is_set=lambda: False, wait=lambda _: True)
    studio: Any = SimpleNamespace(queue=queue, gallery=[], uri="g", stopping=stopping)
    studio.following = SimpleNamespace(done=0, total=0, error="no room left")
    studio.left_out = ["no photos in RAW; name a folder that has some; 9 not read: RAW photos; save them as JPEG"]
    _report_progress(studio)
    said = capsys.readouterr().err
    assert "9 not read: RAW photos" in said and "no room left; trying again until it works" in said


def test_options_may_take_several_values() -> None:
    arguments = ["train", "retrieval", "--data", "a", "b", "--out", "o", "--data", "-"]
    expected = ["train", "retrieval", "--data", "a", "--data", "b", "--out", "o", "--data", "-"]
    assert repeat_options(arguments, ("--data",)) == expected


def test_a_full_card_is_one_line_and_other_faults_of_libraries_are_not_hidden(
    capsys: pytest.CaptureFixture[str],
) -> None:
    failing = typer.Typer()

    @failing.command()
    def fail(what: str) -> None:
        raise (
            torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate")
            if what == "full"
            else RuntimeError("a bug")
        )

    assert run(failing, ["full"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "sketchfusion: the card's memory is full; take smaller pictures or batches, or a card with more memory"
    ]
    with pytest.raises(RuntimeError, match="a bug"):
        run(failing, ["bug"])


def test_a_table_is_of_one_data_set(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["table", "1", "--data", "photos", "world", "--sketches", "a", "b", "--out", "o"]
    assert run(app, repeat_options(arguments, SEVERAL)) == 2
    assert "(world) (sketchfusion table --help says how)" in capsys.readouterr().err


def test_a_home_folder_that_the_shell_left_is_put_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert [*map(with_home, ("--gallery=~/g", "~", "~/a b", "a~", "--text=~a"))] == [
        "--gallery=/home/me/g",
        "/home/me",
        "/home/me/a b",
        "a~",
        "--text=~a",
    ]


def test_what_is_written_never_takes_a_photos_name(photos: Path) -> None:
    some = sorted((photos / "cat").glob("*.png"))[:2]
    before = some[0].read_bytes()
    assert "must end in .safetensors" in refused("features", "--out", *some)
    assert "must end in .html" in refused("inspect", "--out", *some)
    assert "must end in .png" in refused("search", "x.png", "--sheet", "photo.jpg")
    assert some[0].read_bytes() == before


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_names_that_the_output_cannot_encode_are_escaped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    """As a pipe on Windows and a terminal of another language cannot, and no encoding a name that is not UTF-8."""
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for name in ("\u5199.jpg", "\udcff.jpg"):
        (photos / name).symlink_to(f"no {name}")
    process = start(command, PixelExtractor, out, "index", photos, "-g", tmp_path / "g", "--dry-run", "--json")
    process.join()
    unreadable = json.loads(out.read_text(encoding))["unreadable"]
    assert [Path(path).name for path in unreadable] == ["\u5199.jpg", "\udcff.jpg"]


def test_search_by_words_or_a_photo_needs_no_sketch(gallery: Path, photos: Path, tmp_path: Path) -> None:
    here = ("--gallery", gallery, "--json", "-k", 3)
    for question in (("--text", "a cat"), ("--like", photos / "cat" / "1.png")):
        done = sketchfusion("search", *question, *here, "--sheet", tmp_path / "sheet.png")
        hits = json.loads(done.stdout)
        assert [hit["rank"] for hit in hits] == [1, 2, 3], done.stderr
        assert all(0 <= hit["confidence"] <= 1 and hit["similar"] == [] for hit in hits)
        assert Image.open(tmp_path / "sheet.png").width > 400
    assert str(photos / "cat" / "1.png") not in {hit["path"] for hit in hits}
    both = sketchfusion("search", photos / "cat" / "1.png", "--text", "a cat", "--group", "--min-score", 0, *here)
    assert len(json.loads(both.stdout)) == 3, both.stderr
    assert json.loads(sketchfusion("search", photos / "cat" / "1.png", "--min-score", 1, *here).stdout) == []


def test_search_refuses_in_one_line_what_it_cannot_look_for(gallery: Path, photos: Path) -> None:
    assert "nothing to look for" in refused("search", "--gallery", gallery)
    assert "--min-score" in refused("search", "--text", "cat", "--gallery", gallery, "--min-score", 2)
    assert "the text is empty" in refused("search", "--text", " ", "--gallery", gallery)
    assert "gone.png" in refused("search", "--like", photos / "gone.png", "--gallery", gallery)
    assert "no photo is in category 'cow'; categories include cat" in refused(
        "search", "--text", "x", "--gallery", gallery, "--category", "cow"
    )


@pytest.mark.usefixtures("few_measured")
def test_train_leaves_a_model_that_recognize_uses_and_says_what_is_wrong_in_one_line(
    model_folder: Path, tmp_path: Path
) -> None:
    export(tmp_path / "data", 0, ["cat", "car"], "seen", 6, 64)
    given = ("--data", tmp_path / "data", "--model", model_folder, "--cache", tmp_path / "cache")
    done = sketchfusion("train", "recognition", *given, "--out", tmp_path / "out", "--set", "steps=2", "warmup=1")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "out" / "training" / "cache").exists()
    sketch = next((tmp_path / "data").rglob("*.png"))
    named = sketchfusion("recognize", sketch, "--model", tmp_path / "out", "--json")
    assert {guess["label"] for guess in json.loads(named.stdout)} == {"cat", "car"}
    for wrong, line in (
        (("train", "cooking", *given), "'cooking' is not available; choose one of retrieval"),
        (("train", "recognition", *given, "--set", "stepz=2"), "'stepz' is not a setting; choose from steps"),
        (
            ("train", "retrieval", *given, "--model", "scratch"),
            "the baseline CNN has no use for --cache",
        ),
        (("train", "distill", *given, "--method", "SD-PL"), "distill has no use for --method: leave that out"),
        (("train", "recognition", *given, "--start", tmp_path), "is not a folder of light weights"),
    ):
        refused = sketchfusion(*wrong, "--out", tmp_path / "no")
        said = [told for told in refused.stderr.splitlines() if not told.startswith("training")]  # but the progress
        assert refused.returncode == 2
        assert len(said) == 1 and line in said[0], refused.stderr
