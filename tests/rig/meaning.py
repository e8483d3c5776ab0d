"""What a Dockerfile means, without building it: what its image says of itself, and which file lies where."""

from collections.abc import Mapping

from tests.rig.dockerfiles import keys
from watcher.dockerfile.graph import Inputs, graph
from watcher.dockerfile.parse import Parsed, parse
from watcher.dockerfile.stages import Stage, stages
from watcher.image import Platform

PLATFORM = Platform("linux", "amd64")
_WORKS = ("FROM", "COPY", "ADD", "RUN", "ARG")


def told(text: str) -> list[str]:
    """What the image says of itself: everything but its files, in order."""
    found = stages(parse(text), {}, PLATFORM)
    stage: Stage | None = found.all[-1]
    rows: list[str] = []
    while stage is not None:
        rows = [one.text for one in stage.own if one.keyword not in _WORKS] + rows
        if stage.standing_on is None:
            return [f"FROM {stage.base}", *rows]
        stage = found.all[stage.standing_on]
    return rows


def placed(text: str, context: Mapping[str, bytes]) -> tuple[dict[str, str], set[str]]:
    """Where files of the context come to lie, as far as that is plain, and all files that are in it somehow."""
    parsed = _closed(text)
    steps = graph(parsed, Inputs(files=keys(context), platform=PLATFORM))
    found: dict[str, str] = {}
    carried: set[str] = set()
    for write in steps.steps[-1].disk.writes:
        for path, (_, file) in (write.content.placed or {}).items():
            found[path] = file
        carried |= write.content.carries
    return found, carried


def _closed(text: str) -> Parsed:
    """With one more step, which finds what all others have left."""
    return parse(f"{text}\nRUN true\n")
