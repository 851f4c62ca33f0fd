"""The naming test of Sketch World: draws the sheets and scores the answers beside it.

    python docs/results/naming/score.py [--sheets DIR]

A hundred pairs, every category at least once, hand 0. The reader saw the unlabelled sheets only, photos first, and
answered openly; an answer counts if it is the category's name or one of the everyday words below.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

from PIL import Image, ImageDraw

from sketchfusion.world import World

SAME = {
    "couch": {"sofa"},
    "cup": {"mug"},
    "eyeglasses": {"glasses"},
    "shoe": {"sneaker", "high-top sneaker"},
    "t shirt": {"t-shirt"},
    "wine bottle": {"bottle"},
}


def pairs() -> tuple[list[tuple[str, int]], list[int]]:
    """What was shown: category and instance of each photo, and the photo that each sketch belongs to."""
    chance = random.Random(7)
    categories = list(World(seed=0).categories)
    order = categories + chance.sample(categories, 100 - len(categories))
    chance.shuffle(order)
    sketches = list(range(100))
    chance.shuffle(sketches)
    return [(category, 5000 + place) for place, category in enumerate(order)], sketches


def draw(out: Path) -> None:
    """Write the two sheets, numbered from 1, ten in a row."""
    shown, sketches = pairs()
    world = World(seed=0, size=192)
    drawn = [world.pair(category, instance, 0) for category, instance in shown]
    for name, pictures in (
        ("photos", [pair.photo for pair in drawn]),
        ("sketches", [drawn[place].sketch for place in sketches]),
    ):
        sheet = Image.new("RGB", (10 * 200, 10 * 214), "white")
        pen = ImageDraw.Draw(sheet)
        for place, picture in enumerate(pictures):
            x, y = place % 10 * 200, place // 10 * 214
            pen.text((x + 2, y), str(place + 1), fill="red")
            sheet.paste(Image.fromarray(picture).convert("RGB"), (x + 2, y + 14))
        sheet.resize((1200, 1284)).save(out / f"{name}.jpg", quality=80)


def score() -> None:
    """Print how many were named, and each answer that was not the very name."""
    answers = json.loads((Path(__file__).parent / "answers.json").read_text())
    shown, sketches = pairs()
    for kind, places in (("photos", range(100)), ("sketches", sketches)):
        right = 0
        for number, place in enumerate(places, start=1):
            truth, answer = shown[place][0].replace("_", " "), answers[kind][str(number)].lower()
            named = truth in answer or answer in SAME.get(truth, set())
            right += named
            if truth not in answer:
                print(f"  {kind} {number}: {truth} was called {answer}{'' if named else ' (wrong)'}")
        print(f"{kind}: {right} of 100 named")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--sheets", type=Path)
    asked = parser.parse_args()
    if asked.sheets:
        draw(asked.sheets)
    score()
