"""Options of `evaluate` and `bench` that are for some tasks, or some data, only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

# The tasks that an option is for, and what to say where another is measured.
ONLY = {
    "--kind": (("recognition",), "only recognition chooses between sketches and photos"),
    "--examples": (("recognition",), "only recognition learns from examples"),
    "--split": (("retrieval", "instance-retrieval"), "only retrieval and instance-retrieval take a published split"),
    "--sketches": (
        ("retrieval", "correspondence", "segmentation"),
        "only retrieval, correspondence and segmentation take other folders of sketches",
    ),
    "--duplicates": (("retrieval",), "only retrieval ranks photos twice"),
    "--against": (("retrieval",), "only retrieval is compared query by query"),
    "--held-out": (("segmentation",), "only segmentation measures photos that training may have drawn"),
}


def refuse_idle(task: str, data: Sequence[str], given: Mapping[str, object]) -> None:
    """Refuse, with a ValueError, options that were given and would do nothing, or that contradict one another."""
    for option, (tasks, why) in ONLY.items():
        if given[option] and task not in tasks:
            raise ValueError(f"{why}; leave {option} out")
    if given["--examples"] and given["--kind"]:
        raise ValueError("--examples are sketches, and so is what is asked; leave --kind out")
    if given["--sketches"] and (given["--split"] or given["--duplicates"]):
        raise ValueError("with --sketches every photo is ranked, once; leave --split and --duplicates out")
    own = ("--split", "--sketches", "--duplicates", "--held-out")
    if "world" in data and (idle := next((option for option in own if given[option]), None)):
        raise ValueError(f"Sketch World has a split and sketches of its own; leave {idle} out")


# What is measured, and the options that it takes.
BENCHES = {
    "extract": ("--model", "--pictures"),
    "search": ("--model", "--rows", "--folder"),
    "train": ("--model", "--steps"),
    "metrics": (),
}


def refuse_bench(what: str, given: Mapping[str, object]) -> None:
    """Refuse, with a ValueError, what is not measured, and options that would do nothing for what is."""
    if what not in BENCHES:
        raise ValueError(f"no bench for {what!r}; choose from {', '.join(BENCHES)}")
    for option in given:
        if given[option] is not None and option not in BENCHES[what]:
            takes = ", ".join(name for name, options in BENCHES.items() if option in options)
            raise ValueError(f"{option} is for bench {takes} only; leave it out")
