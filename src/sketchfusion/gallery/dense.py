"""The dense maps of a gallery's photos: one file for each content, in half precision, beside the table.

Not a column of the table: a map is fifty times the rest of a row, every compaction would write all of them again, and
wiping one would too. A file is wiped by itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Container, Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from uuid import uuid4

import numpy as np

from ..featuremap import FeatureMap, Frame
from .faults import GalleryError, explained
from .rows import seal

if TYPE_CHECKING:
    from pyarrow import fs

SUFFIX = ".map"
LARGEST = 65504.0  # of half precision


class DenseMaps:
    """The dense maps of one gallery, by the digest of the photo's bytes."""

    def __init__(self, uri: str, fingerprint: str) -> None:
        """Name the place; nothing is made until a map is put there."""
        self.uri, self._folder = uri, f"dense-{fingerprint[:16]}"

    def put(self, digest: str, features: FeatureMap) -> None:
        """Keep a map."""
        data = features.data.detach().cpu().numpy().clip(-LARGEST, LARGEST).astype("<f2")
        head = json.dumps({"shape": data.shape, "frame": asdict(features.frame)}).encode()
        body = data.tobytes()
        with explained(self.uri):
            system, root = self._place()
            path = f"{root}/{digest[:2]}/{digest}{SUFFIX}"
            begin = seal(body, head).to_bytes(8, "little", signed=True) + len(head).to_bytes(4, "little")
            if system.type_name != "local":  # an object appears whole, and needs no folder
                return _write(system, path, begin + head + body)
            system.create_dir(path.rpartition("/")[0], recursive=True)
            part = f"{path}.{uuid4().hex}"
            _write(system, part, begin + head + body)
            system.move(part, path)  # so that a file of this name is always whole

    def get(self, digest: str) -> FeatureMap | None:
        """The map of a content in float32, or None if there is none; GalleryError if it is damaged."""
        import torch

        with explained(self.uri):
            system, root = self._place()
            try:
                with system.open_input_file(f"{root}/{digest[:2]}/{digest}{SUFFIX}") as file:
                    data = file.read()
            except FileNotFoundError:
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
        return {Path(path).name.removesuffix(SUFFIX) for path in self._files() if path.endswith(SUFFIX)}

    def drop(self, digests: Iterable[str]) -> None:
        """Wipe the maps of some contents."""
        with explained(self.uri):
            system, root = self._place()
            for digest in digests:
                system.delete_file(f"{root}/{digest[:2]}/{digest}{SUFFIX}")

    def keep_only(self, digests: Container[str]) -> None:
        """Wipe all maps but those of some contents, and what a killed writer left."""
        with explained(self.uri):
            system, _ = self._place()
            for path in self._files():
                if not path.endswith(SUFFIX) or Path(path).name.removesuffix(SUFFIX) not in digests:
                    system.delete_file(path)

    def drop_all(self) -> None:
        """Wipe every map."""
        if self._files():
            with explained(self.uri):
                system, root = self._place()
                system.delete_dir(root)

    def _files(self) -> list[str]:
        from pyarrow import fs

        with explained(self.uri):
            system, root = self._place()
            found = system.get_file_info(fs.FileSelector(root, allow_not_found=True, recursive=True))
            return [one.path for one in found if one.is_file]

    def _place(self) -> tuple[fs.FileSystem, str]:
        from pyarrow import fs

        if self.uri.startswith("db://"):
            raise GalleryError(f"{self.uri} keeps no dense maps; use a folder or an object store")
        uri = self.uri if "://" in self.uri else str(Path(self.uri).resolve())
        if uri.startswith("s3://") and (endpoint := os.environ.get("AWS_ENDPOINT")):
            scheme, _, host = endpoint.partition("://")  # Arrow reads only AWS_ENDPOINT_URL, Lance both
            uri += "?" + urlencode({"scheme": scheme, "endpoint_override": host})
        system, root = fs.FileSystem.from_uri(uri)
        return system, f"{root.rstrip('/')}/{self._folder}"


def _write(system: fs.FileSystem, path: str, data: bytes) -> None:
    with system.open_output_stream(path, compression=None) as file:
        file.write(data)


def in_original_pixels(frame: Frame, width: int, height: int) -> Frame:
    """The frame of a smaller picture of a photo, as one of the photo itself."""
    across, down = frame.width / width, frame.height / height
    return replace(frame, width=width, height=height, scale_x=frame.scale_x * across, scale_y=frame.scale_y * down)
