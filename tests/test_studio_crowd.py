"""Many clients at once, memory over time, and the shutdown of a server."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from select import select
from typing import Any

import pytest
import requests

from fixtures.pixels import PixelExtractor
from fixtures.studio import CATEGORIES, Server, drawn
from fixtures.writers import command, line, start
from sketchfusion.extractor import ModelInput, ModelOutput
from sketchfusion.gallery import Gallery
from test_cli import sketchfusion

CLIENTS, DRAWINGS, REQUESTS = 12, 2, 16


def found(answer: requests.Response) -> list[tuple[str, float]]:
    return [(hit["id"], hit["score"]) for hit in answer.json()["hits"]]


def same(one: list[tuple[str, float]], other: list[tuple[str, float]]) -> bool:
    """The same photos with the same scores, but for what a batch changes in the last digits."""
    return {name for name, _ in one} == {name for name, _ in other} and all(
        abs(score - dict(other)[name]) < 1e-3 for name, score in one
    )


def test_clients_that_draw_at_once_each_get_the_answer_to_their_newest_drawing(
    studio: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each sends drawing after drawing without waiting; all are answered or superseded, the last one answered."""
    drawings = [drawn(category, 2000) for category in CATEGORIES]
    right = [found(studio.search(drawing, "before", n, k=50)) for n, drawing in enumerate(drawings)]
    order = {client: random.Random(client).sample(range(len(drawings)), DRAWINGS) for client in range(CLIENTS)}
    answers: dict[tuple[int, int], requests.Response] = {}
    lane, batches = studio.studio.searching, list[int]()

    def counted(questions: Sequence[Any]) -> Any:
        batches.append(len(questions))
        return lane.run(questions)

    monkeypatch.setattr(studio.studio, "searching", replace(lane, run=counted))

    def ask(client: int, sequence: int) -> None:
        drawing = drawings[order[client][sequence]]
        answers[client, sequence] = studio.search(drawing, f"client {client}", sequence, k=50)

    with ThreadPoolExecutor(CLIENTS * DRAWINGS) as crowd:
        for sequence in range(DRAWINGS):
            for client in range(CLIENTS):
                crowd.submit(ask, client, sequence)
            time.sleep(0.05)
    assert len(answers) == CLIENTS * DRAWINGS
    for (client, sequence), answer in answers.items():
        if sequence == DRAWINGS - 1:
            assert answer.status_code == 200, f"client {client}: {answer.text}"
        if answer.status_code == 200:
            assert answer.json()["sequence"] == sequence
            assert same(found(answer), right[order[client][sequence]])
        else:
            assert answer.status_code == 409 and answer.json()["superseded"] is True
    assert max(batches) > 1, "no two drawings met in one batch"


@pytest.fixture
def process(world_gallery: str, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`sketchfusion studio`, and the address it says."""
    code = "from sketchfusion.cli import main; main()"
    command = [sys.executable, "-c", code, "studio", "--gallery", world_gallery, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        yield running, running.stdout.readline().split(" ")[0].rstrip("/")
        running.kill()


def wait_until_ready(address: str) -> list[str]:
    """All that health said until the model was there."""
    said = []
    for _ in range(1200):
        said.append(requests.get(f"{address}/api/v1/health", timeout=10).json()["status"])
        if said[-1] == "ok":
            return said
        time.sleep(0.1)
    raise AssertionError("the model does not load")


class Waiting(PixelExtractor):
    """Neither loads nor answers while there is a file HOLD."""

    def __init__(self) -> None:
        wait_while_held()
        super().__init__()

    def forward(self, views: Sequence[ModelInput]) -> ModelOutput:
        wait_while_held()
        return super().forward(views)


def wait_while_held() -> None:
    while Path(os.environ["HOLD"]).exists():
        time.sleep(0.05)


def test_a_stopping_server_answers_requests_in_progress(
    world_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also: the page is there while the model loads, and says so."""
    hold = tmp_path / "hold"
    hold.touch()
    monkeypatch.setenv("HOLD", str(hold))
    Gallery.open(tmp_path / "g", PixelExtractor()).add(world_photos)
    out = tmp_path / "out"
    running = start(command, Waiting, out, "studio", "--gallery", tmp_path / "g", "--port", 0)
    address = line(running, out, 0).split(" ")[0].rstrip("/")
    assert requests.get(f"{address}/", timeout=10).status_code == 200
    assert requests.get(f"{address}/api/v1/health", timeout=30).json()["status"] == "starting"
    hold.unlink()
    wait_until_ready(address)
    hold.touch()
    bodies = [
        json.dumps({"client": f"c{client}", "sequence": 0, "drawing": drawn(CATEGORIES[client % 6])}).encode()
        for client in range(REQUESTS)
    ]
    asked = [HTTPConnection(address.removeprefix("http://"), timeout=120) for _ in bodies]
    for connection, body in zip(asked, bodies, strict=True):
        connection.request("POST", "/api/v1/search", body, {"Content-Type": "application/json"})
    # connections are accepted in order, so once this is answered the server has all those before it
    assert requests.get(f"{address}/api/v1/health", timeout=30).status_code == 200
    answered, _, _ = select([connection.sock for connection in asked], [], [], 0)
    assert not answered
    running.terminate()
    hold.unlink()
    assert [connection.getresponse().status for connection in asked] == [200] * REQUESTS
    running.join(60)
    assert running.exitcode == 0


def test_a_gallery_that_cannot_be_opened_gives_one_line(world_gallery: str, tmp_path: Path) -> None:
    here = ("studio", "--gallery", world_gallery)
    refused = sketchfusion(*here, "--host", "0.0.0.0")
    # A process of its own, because a server needs the event loop of the main thread.
    process = start(command, PixelExtractor, tmp_path / "out", *here, "--port", 0)
    process.join()
    for code, said, why in (
        (refused.returncode, refused.stderr, "token"),
        (process.exitcode, (tmp_path / "out.err").read_text(), "was made with mini"),
    ):
        assert code == 2 and why in said.splitlines()[-1] and "Traceback" not in said
    assert len(Gallery.open(world_gallery))


@pytest.mark.slow
def test_memory_stays_flat(process: tuple[subprocess.Popen[str], str]) -> None:
    """225 searches, and as many looks at one photo, after the first 75: less than 60 MB more."""
    running, address = process
    wait_until_ready(address)

    def ask(number: int) -> None:
        body = {"client": f"c{number % 20}", "sequence": number, "drawing": drawn(CATEGORIES[number % 6], number)}
        hits = requests.post(f"{address}/api/v1/search", json=body, timeout=120).json()["hits"]
        requests.get(f"{address}{hits[0]['thumbnail']}", timeout=30)
        more = {"points": [[50, 50]], "photo": hits[0]["id"]}
        assert requests.post(f"{address}/api/v1/match", json=body | more, timeout=120).status_code == 200

    def resident() -> int:
        return int(Path(f"/proc/{running.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    sizes = []
    for first in range(0, 300, 75):
        for number in range(first, first + 75):
            ask(number)
        sizes.append(resident())
    print(json.dumps([round(size / 1e6) for size in sizes]))
    assert sizes[-1] - sizes[0] < 60e6


@pytest.mark.slow
def test_latency_of_one_and_of_fifty(process: tuple[subprocess.Popen[str], str]) -> None:
    """Prints how long answers take; fifty people draw a new line each quarter of a second for ten seconds."""
    _, address = process
    wait_until_ready(address)
    bodies = [{"client": "one", "sequence": n, "drawing": drawn(CATEGORIES[n % 6], n)} for n in range(30)]
    alone = []
    for body in bodies:
        begun = time.monotonic()
        assert requests.post(f"{address}/api/v1/search", json=body, timeout=60).status_code == 200
        alone.append(time.monotonic() - begun)
    took: list[tuple[int, float]] = []

    def draw(client: int) -> None:
        end, sequence = time.monotonic() + 10, 0
        with requests.Session() as session:
            while time.monotonic() < end:
                begun = time.monotonic()
                body = bodies[(client + sequence) % 30] | {"client": f"c{client}", "sequence": sequence}
                answer = session.post(f"{address}/api/v1/search", json=body, timeout=120)
                took.append((answer.status_code, time.monotonic() - begun))
                sequence += 1
                time.sleep(max(0.0, 0.25 - (time.monotonic() - begun)))

    threads = [threading.Thread(target=draw, args=(n,)) for n in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    crowd = sorted(seconds for status, seconds in took if status == 200)
    figures: dict[str, Any] = {
        "alone_median_ms": round(1000 * sorted(alone)[15]),
        "alone_worst_ms": round(1000 * max(alone)),
        "fifty_median_ms": round(1000 * crowd[len(crowd) // 2]),
        "fifty_p95_ms": round(1000 * crowd[int(len(crowd) * 0.95)]),
        "answers_per_second": round(len(crowd) / 10, 1),
        "statuses": {status: sum(one == status for one, _ in took) for status in {one for one, _ in took}},
    }
    print(json.dumps(figures))
    assert set(figures["statuses"]) <= {200, 409}
