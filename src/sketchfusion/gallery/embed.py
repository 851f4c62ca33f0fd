"""From files to rows: read, seen by the model, ready to be written."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ImageError
from ..featuremap import Floats
from ..io.exif import Capture, read_capture
from ..io.images import MAX_BYTES, decode_image, thumbnail
from .rows import FileState, Photo

if TYPE_CHECKING:
    from torch import Tensor

    from ..extractor import Extractor, ModelInput


DECODERS = 2
AHEAD = 48  # files read before their turn


@dataclass(frozen=True)
class Failure:
    """A file that could not be indexed, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Known:
    """A file whose content has a row already."""

    file: FileState


@dataclass(frozen=True)
class Prepared:
    """A file that was read: all of its row but the feature."""

    photo: Photo
    view: ModelInput


Read = Prepared | Known | Failure
Item = Photo | Known | Failure


class Embedder:
    """Turns files into rows with a model; what is kept of a photo is chosen here."""

    def __init__(self, model: Extractor, location: bool = True) -> None:
        """Embed with a model; without `location` leave out where photos were taken."""
        self._model, self._location = model, location

    def stream(self, paths: Sequence[Path], known: set[str], batch_size: int) -> Iterator[Item]:
        """Rows of files, in order, decoding overlapped with the model; `known` grows by what was read."""
        waiting: list[Read] = []
        pictures = 0
        for item in _overlapped(paths, lambda path: self.read(path, known)):
            if isinstance(item, Prepared):
                if item.photo.file.digest in known:
                    item = Known(item.photo.file)  # its twin was read at the same time
                else:
                    known.add(item.photo.file.digest)
                    pictures += 1
            waiting.append(item)
            if pictures >= batch_size or len(waiting) >= 4 * batch_size:
                yield from self.embed(waiting)
                waiting, pictures = [], 0
        yield from self.embed(waiting)

    def read(self, path: Path, known: set[str]) -> Read:
        """Read one file; what is decoded is what was digested, and it may not change meanwhile."""
        try:
            str(path).encode()
            before = path.stat()
            if before.st_size > MAX_BYTES:
                return Failure(str(path), f"larger than {MAX_BYTES // 10**6} MB; make it smaller first")
            data = path.read_bytes()
            file = FileState(str(path), hashlib.sha256(data).hexdigest(), before.st_size, before.st_mtime_ns)
            after = path.stat()
            if (len(data), before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(data) != before.st_size:
                return Failure(str(path), "changed while it was read; index it again")
            return Known(file) if file.digest in known else self.decode(data, file)
        except ImageError as error:
            return Failure(str(path), str(error).removeprefix(f"{path}: "))
        except UnicodeEncodeError:
            return Failure(ascii(str(path)), "its name is not UTF-8; rename it")
        except OSError as error:
            return Failure(str(path), error.strerror or str(error))

    def decode(self, data: bytes, file: FileState) -> Prepared:
        """Decode a photo; ImageError if it cannot be read."""
        image = decode_image(data, file.path)
        capture = read_capture(data) if self._location else Capture(read_capture(data).taken)
        height, width = image.shape[1:]
        unknown = np.empty(0, dtype=np.float32)
        category = Path(file.path).parent.name
        photo = Photo(file, width, height, category, thumbnail(image), unknown, **vars(capture))
        return Prepared(photo, self._model.prepare(image, "photo"))

    def embed(self, items: Sequence[Read]) -> list[Item]:
        """Run the model over all that was read, and keep the order."""
        prepared = [item for item in items if isinstance(item, Prepared)]
        rows = iter(self._rows(prepared) if prepared else [])
        return [next(rows) if isinstance(item, Prepared) else item for item in items]

    def _rows(self, prepared: Sequence[Prepared]) -> list[Photo | Failure]:
        views = [item.view for item in prepared]
        vectors, joint = embed_views(self._model, views)
        finite = [bool(np.isfinite(vector).all()) for vector in vectors]
        return [
            replace(item.photo, vector=vectors[place], joint=None if joint is None else joint[place])
            if finite[place]
            else Failure(item.photo.file.path, "the model gives no finite feature")
            for place, item in enumerate(prepared)
        ]


def embed_views(model: Extractor, views: Sequence[ModelInput]) -> tuple[Floats, Floats | None]:
    """Embed prepared pictures as `embed` does, (B, d), and as `encode_image` does, (B, P), if the model reads text."""
    import torch

    with torch.no_grad():
        seen = model.forward(views)
    return _unit(seen.vectors), None if seen.joint is None else _unit(seen.joint)


def _unit(vectors: Tensor) -> Floats:
    from torch.nn import functional as F

    return np.asarray(F.normalize(vectors.float(), dim=1).cpu().numpy(), np.float32)


def _overlapped(paths: Sequence[Path], read: Callable[[Path], Read]) -> Iterator[Read]:
    """Read files in threads, in order, only so far ahead that memory stays flat."""
    ahead: deque[Future[Read]] = deque()
    with ThreadPoolExecutor(DECODERS) as pool:
        try:
            for path in paths:
                ahead.append(pool.submit(read, path))
                if len(ahead) > AHEAD:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
