"""Ten coarse names, and which classes of tiny-imagenet each stands for; classes of no coarse name are left out."""

from __future__ import annotations

from ..datasets.tinyimagenet import TinyImageNet

COARSE: dict[str, tuple[str, ...]] = {
    "bird": ("goose", "black stork", "king penguin", "albatross"),
    "dog": (
        *("Chihuahua", "Yorkshire terrier", "golden retriever", "Labrador retriever", "German shepherd"),
        "standard poodle",
    ),
    "cat": ("tabby", "Persian cat", "Egyptian cat", "cougar", "lion"),
    "insect": (
        *("ladybug", "fly", "bee", "grasshopper", "walking stick", "cockroach", "mantis", "dragonfly", "monarch"),
        "sulphur butterfly",
    ),
    "sea animal": (
        *("goldfish", "jellyfish", "sea slug", "American lobster", "spiny lobster", "dugong", "sea cucumber"),
        "brain coral",
    ),
    "vehicle": (
        *("beach wagon", "bullet train", "convertible", "freight car", "go-kart", "limousine", "moving van"),
        *("police van", "school bus", "sports car", "tractor", "trolleybus"),
    ),
    "clothing": (
        *("academic gown", "apron", "bikini", "cardigan", "fur coat", "kimono", "military uniform", "miniskirt"),
        *("poncho", "swimming trunks", "vestment"),
    ),
    "food": (
        *("guacamole", "ice cream", "ice lolly", "pretzel", "mashed potato", "cauliflower", "bell pepper", "mushroom"),
        *("orange", "lemon", "banana", "pomegranate", "meat loaf", "pizza", "potpie"),
    ),
    "building": (
        *("barn", "beacon", "cliff dwelling", "dam", "obelisk", "steel arch bridge", "suspension bridge", "thatch"),
        *("triumphal arch", "viaduct", "water tower"),
    ),
    "furniture": ("chest", "desk", "dining table", "refrigerator", "rocking chair"),
}


def coarse_of(dataset: TinyImageNet) -> dict[str, str]:
    """The coarse name of each WordNet id of the data set that has one."""
    parent = {name: coarse for coarse, names in COARSE.items() for name in names}
    return {wnid: parent[names[0]] for wnid, names in dataset.synonyms.items() if names[0] in parent}
