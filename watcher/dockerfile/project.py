"""What a project tells about itself: its files, how often they change, and what its last image weighed."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from watcher.dockerfile.layers import Layer
from watcher.pin import Pin


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A build's context and its past.

    `files` are those of the context that an ignore file leaves, with their sizes in bytes; `read` gives the text of one
    (None: there is none such). `history` are the files that each commit of the last `days` changed, within the context.
    `moved` tells of the same commits which packages changed in which list, by their names in lower case, as far as
    somebody has looked. `layers` are those of the last image from the bottom up; without any, sizes are taken from the
    files, and guessed for what is installed. `seconds` are what steps of past builds took, by their texts.
    `past`: what is missing of the history, in words; empty if nothing is.
    `containerd`: builder and hosts keep images in containerd's store, which keeps what lies above a layer that changed.
    """

    files: Mapping[str, int]
    read: Callable[[str], str | None] = lambda _: None
    history: tuple[frozenset[str], ...] = ()
    days: float = 30.0
    layers: tuple[Layer, ...] = field(default=())
    moved: tuple[Mapping[str, frozenset[str]], ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    containerd: bool = False
    past: str = ""

    def changes(self, files: Collection[str]) -> float:
        """How many commits a month change any of these files."""
        wanted = frozenset(files)
        return sum(not wanted.isdisjoint(commit) for commit in self.history) * 30.0 / max(self.days, 1.0)


def expecting(project: Project, pins: Sequence[Pin], often: Mapping[str, float]) -> Project:
    """The project with the bumps that are to be expected of its locks, where its own past has had fewer.

    `often` is changes per day by component (`pypi:django`), from releases and what the policy takes of them.
    """
    history = list(project.history)
    moved = [*project.moved] or [{} for _ in history]
    for lock in sorted({pin.lock for pin in pins} & project.files.keys()):
        due = {pin.package: often.get(f"{pin.ecosystem}:{pin.package}", 0.0) for pin in pins if pin.lock == lock}
        total = sum(due.values())
        missing = round(total * project.days) - sum(lock in commit for commit in project.history)
        came, owed = 0, 0.0
        for package, rate in sorted(due.items()) if missing > 0 else ():
            owed += missing * rate / total
            times, came = round(owed) - came, round(owed)
            history += [frozenset({lock})] * times
            moved += [{lock: frozenset({package})}] * times
    return replace(project, history=tuple(history), moved=tuple(moved))
