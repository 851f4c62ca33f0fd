"""Matches points placed by eye on pairs of Sketchy: `python docs/results/points/score.py SKETCHY [MODEL]`.

`points.json` names 34 sketches of the ten validation categories; `points` are x and y in the sketch, then in its photo,
as 256ths of the sides. Some are a few pixels off. They were placed before the setting that they helped to choose.
"""

import json
import sys
from pathlib import Path

import numpy as np

from sketchfusion import load
from sketchfusion.io.images import read_image
from sketchfusion.lab.datasets.base import PointPair
from sketchfusion.lab.evaluation.correspondence import benchmark_correspondence

root, pairs = Path(sys.argv[1]), []
model = load(sys.argv[2] if len(sys.argv) > 2 else "mini").for_task("correspondence")
for row in json.loads(Path(__file__).with_name("points.json").read_text()):
    sketch = next(root.rglob(f"sketch/tx_000000000000*/{row['category']}/{row['sketch']}"))
    photo = next(root.rglob(f"photo/tx_000000000000*/{row['category']}/{sketch.stem.rpartition('-')[0]}.jpg"))
    places = [
        np.array(row["points"])[:, at] * read_image(path).shape[:0:-1] / 256
        for at, path in ((slice(0, 2), sketch), (slice(2, 4), photo))
    ]
    pairs.append(PointPair(row["category"], sketch, photo, *places))
found = benchmark_correspondence(model, pairs)
print(f"{found.model} ({found.fingerprint[:12]}): {found.about}")
for name, figure in found.metrics.items():
    print(f"{name:28} {figure.mean:.3f} ({figure.low:.3f} to {figure.high:.3f})")
print({name: round(value, 3) for name, value in found.trivial["the same place"].items()}, "leaving each in its place")
