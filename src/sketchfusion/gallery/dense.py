"""The dense maps of a gallery's photos: one file for each content, in half precision, beside the table.

Not a column of the table: a map is fifty times the rest of a row, every compaction would write all of them again, and
wiping one would too. A file is wiped by itself.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable
from dataclasses import asdict, replace

import numpy as np

from ..featuremap import FeatureMap, Frame
from .beside import Beside
from .faults import GalleryError
from .rows import seal

SUFFIX = ".map"
LARGEST = 65504.0  # of half precision


class DenseMaps:
    """The dense maps of one gallery, by the digest of the photo's bytes."""

    def __init__(self, uri: str, fingerprint: str) -> None:
        """Name the place; nothing is made until a map is put there."""
        self.uri, self._files = uri, Beside(uri, f"dense-{fingerprint[:16]}")

    def put(self, digest: str, features: FeatureMap) -> None:
        """Keep a map."""
        data = features.data.detach().cpu().numpy().clip(-LARGEST, LARGEST).astype("<f2")
        head = json.dumps({"shape": data.shape, "frame": asdict(features.frame)}).encode()
        body = data.tobytes()
        begin = seal(body, head).to_bytes(8, "little", signed=True) + len(head).to_bytes(4, "little")
        self._files.write(_name(digest), begin + head + body)

    def get(self, digest: str) -> FeatureMap | None:
        """The map of a content in float32, or None if there is none; GalleryError if it is damaged."""
        import torch

        data = self._files.read(_name(digest))
        if data is None:
            return None
        end = 12 + int.from_bytes(data[8:12], "little")
        head, body = data[12:end], data[end:]
        if len(data) < 12 or seal(body, head) != int.from_bytes(data[:8], "little", signed=True):
            raise GalleryError(
                f"gallery {self.uri}: the dense map {digest[:12]} is damaged on disk; "
                f"`sketchfusion doctor --gallery {self.uri} --repair` drops it"
            )
        written = json.loads(head)
        values = np.frombuffer(body, "<f2").reshape(written["shape"]).astype(np.float32)
        return FeatureMap(torch.from_numpy(values), Frame(**written["frame"]))

    def digests(self) -> set[str]:
        """The contents that have a map."""
        return {_digest(name) for name in self._files.names() if name.endswith(SUFFIX)}

    def drop(self, digests: Iterable[str]) -> None:
        """Wipe the maps of some contents."""
        for digest in digests:
            self._files.delete(_name(digest))

    def keep_only(self, digests: Container[str]) -> None:
        """Wipe all maps but those of some contents, and what a killed writer left."""
        for name in self._files.names():
            if not name.endswith(SUFFIX) or _digest(name) not in digests:
                self._files.delete(name)

    def drop_all(self) -> None:
        """Wipe every map."""
        self._files.delete_all()


def _name(digest: str) -> str:
    return f"{digest[:2]}/{digest}{SUFFIX}"


def _digest(name: str) -> str:
    return name.rpartition("/")[2].removesuffix(SUFFIX)


def in_original_pixels(frame: Frame, width: int, height: int) -> Frame:
    """The frame of a smaller picture of a photo, as one of the photo itself."""
    across, down = frame.width / width, frame.height / height
    return replace(frame, width=width, height=height, scale_x=frame.scale_x * across, scale_y=frame.scale_y * down)
