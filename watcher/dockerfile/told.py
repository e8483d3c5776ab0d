"""A prediction, for people."""

from collections.abc import Iterator

from watcher.dockerfile.predict import Fate, Prediction, Pull
from watcher.units import size


def told(prediction: Prediction, classic: float = 1.0) -> Iterator[str]:
    """Where each changed file enters, what is made anew, and what a host pulls; `classic` is the share of those that
    download again what lies above a change."""
    for path, steps in prediction.entries.items():
        where = ", ".join(f"{_stage(step.stage.name)}{step.name}" for step in steps)
        yield f"{path} enters at {where}" if steps else f"{path} is in no layer"
    for one in prediction.rebuilt:
        may = "may be made anew" if one.fate is Fate.OPEN else "is made anew"
        yield f"{_stage(one.step.stage.name)}{one.step.name} {may}: {one.why}"
    if not prediction.rebuilt:
        yield "nothing is made anew"
    elif prediction.classic == prediction.containerd or classic == 1.0:
        yield f"a host will pull {_bytes(prediction.classic)}"
    elif classic == 0.0:
        yield f"a host will pull {_bytes(prediction.containerd)}"
    else:
        kept = f"one that keeps each layer for itself {_bytes(prediction.containerd)}"
        yield f"a classic host will pull {_bytes(prediction.classic)}, {kept}"


def _bytes(pull: Pull) -> str:
    least, most = size(pull.least), size(pull.most)
    return most if least == most else f"{least} to {most}"


def _stage(name: str) -> str:
    return f"stage {name}, " if name else ""
