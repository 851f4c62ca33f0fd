"""What goes wrong while a gallery is written, each with a real process: nothing is lost, nothing twice, no wrong answer."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fixtures.photos import child, environment, photo
from fixtures.pixels import PixelExtractor
from sketchfusion.gallery import Gallery, GalleryError, Report
from sketchfusion.gallery.embed import Embedder, Failure

INDEX = """
import os, sys, time
from fixtures.pixels import PixelExtractor
from sketchfusion.gallery import Gallery

class Slow(PixelExtractor):
    def vectors(self, views):
        time.sleep(0.02)
        return super().vectors(views)

Gallery.open(sys.argv[1], Slow())  # which pays for the imports
for line in sys.stdin:  # each line is a folder to be indexed, by a process that may be killed
    if os.fork() == 0:
        Gallery.open(sys.argv[1], Slow()).add(line.strip(), batch_size=4, commit_rows=12)
        os._exit(0)
"""


def answers(gallery: Gallery, sketches: list[Path]) -> list[list[tuple[str, float]]]:
    return [[(hit.path, round(hit.score, 6)) for hit in gallery.search(Image.open(one), k=1000)] for one in sketches]
