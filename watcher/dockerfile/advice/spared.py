"""TL007 where only a person can act: what is saved by compilers in a stage of their own, reckoned as of a rewrite."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from watcher.dockerfile.advice.compilers import compilers, is_only_to_build, is_system, left
from watcher.dockerfile.advice.cost import Cost, Known, cost, installed, lists_in, made, weigh
from watcher.dockerfile.advice.draft import Piece, drafts
from watcher.dockerfile.advice.understood import only_installs
from watcher.dockerfile.graph import Graph, Step
from watcher.dockerfile.parse import Parsed
from watcher.dockerfile.project import Project


@dataclass(frozen=True, slots=True)
class Spared:
    """What a month costs less (None: that is not known), and what there is to say of the figure, or of its absence."""

    saves: Cost | None
    said: str = ""


def spared(parsed: Parsed, project: Project, known: Known) -> Mapping[tuple[str, ...], Spared]:
    """Of each RUN that leaves compilers in the image, by their names."""
    all_stages = drafts(parsed)
    pieces = [(tuple(compilers(one)), one) for one in (all_stages[-1].pieces if all_stages else ())]
    return {names: _spared(names, one, parsed, project, known) for names, one in pieces if names}


def _spared(names: Sequence[str], piece: Piece, parsed: Parsed, project: Project, known: Known) -> Spared:
    gone = [name for name in names if is_only_to_build(name)]
    headers = ", ".join(name for name in names if name not in gone)
    if not gone:
        return Spared(
            None, f"what that saves is not known: how much of {headers} is needed at run time, nobody can see"
        )
    if not only_installs(piece):
        return Spared(None, "what that saves is not known: what else this RUN leaves is in the same layer")
    steps = made(parsed, project)
    step = next(one for one in reversed(steps.steps) if one.instruction.first == piece.instruction.first)
    weight = weigh(step, steps, project, known)
    less = weight - int(_share(gone, piece, step, steps) * (weight - min(lists_in(step), weight)))
    now, then = (cost(parsed, project, one) for one in (known, replace(known, sizes={**known.sizes, step.said: less})))
    said = f"reckoned without {headers}, of which nobody can see how much is needed at run time" if headers else ""
    # The builder installs them all the same, in that stage.
    return Spared(Cost((now - then).bytes), said)


def _share(gone: Sequence[str], piece: Piece, step: Step, steps: Graph) -> float:
    """How much of what a RUN installs these packages are. Of several that one command brings, nobody has weighed each:
    they are taken to be alike."""
    # An image tells what they weigh together. What each of several tools has of that is a guess.
    sizes = [(one, installed(one, step, steps, Known())) for one in piece.installs if one]
    stays = left(piece)
    total = sum(size for _, size in sizes)
    found = 0.0
    for one, size in sizes:
        names = {name.partition("=")[0] for name in one.names} & stays if is_system(one) else set[str]()
        found += size * len(names.intersection(gone)) / len(names) if names else 0.0
    return found / total if total else 0.0
