"""Lists of Python packages in two parts: what seldom changes is installed below what often does.

A stage of its own takes the lines of hot packages out of the list. What is left is the same text, and so the same
layer, until a cold line changes. This file writes that stage, knows it again, and tells what each part weighs and when
it moves.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from watcher.dockerfile.install import Install
from watcher.dockerfile.parse import Parsed, parse
from watcher.dockerfile.project import Project

COLD = "/lists/cold.txt"
STAGE = "lists"
_WRITTEN = re.compile(
    rf"^COPY (?P<list>\S+) /lists/\nRUN sed [^|\n]*\| grep -viE '\^ \*\((?P<hot>[^)]*)\)[^\n]*> {COLD}$", re.MULTILINE
)
_LINE = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*===?", re.MULTILINE)
_MOST = 12


@dataclass(frozen=True, slots=True)
class Lists:
    """The list of a Dockerfile that is in two parts, with the names of its hot packages; without one, nothing.

    `hot_share` is how much of its packages are hot.
    """

    path: str = ""
    hot: frozenset[str] = frozenset()
    hot_share: float = 0.0

    @classmethod
    def of(cls, parsed: Parsed, project: Project) -> "Lists":
        """As `stage` has written it."""
        found = _WRITTEN.search(parsed.text)
        if found is None:
            return cls()
        hot = frozenset(name.replace("\\.", ".") for name in found["hot"].split("|"))
        total = len(packages(project.read(found["list"]) or ""))
        return cls(found["list"], hot, min(len(hot) / max(total, 1), 1.0))

    @property
    def _cold(self) -> str:
        return f"{self.path} less {len(self.hot)}"

    def model(self, parsed: Parsed) -> Parsed:
        """The Dockerfile as it behaves: the cold part is a file of its own, which changes when it does."""
        if not self.path:
            return parsed
        quoted = f'COPY ["{self._cold}", "{COLD}"]'
        return parse(parsed.text.replace(f"COPY --from={STAGE} {COLD} {COLD}", quoted), parsed.path)

    def seen(self, project: Project) -> Project:
        """The project with that file in it."""
        if not self.path:
            return project
        moved = project.moved or ({},) * len(project.history)
        history = tuple(
            commit | {self._cold} if self.path in commit and not self._only_hot(names.get(self.path)) else commit
            for commit, names in zip(project.history, moved, strict=True)
        )
        size = project.files.get(self.path, 0)
        return replace(project, files={**project.files, self._cold: size}, history=history)

    def share(self, one: Install) -> float:
        """How much of all packages an install brings."""
        if not self.path or one.tool != "pip":
            return 1.0
        return 1.0 - self.hot_share if COLD in one.reads else self.hot_share

    def _only_hot(self, names: frozenset[str] | None) -> bool:
        return bool(names) and names is not None and names <= self.hot


def packages(text: str) -> tuple[str, ...]:
    """The packages that a list pins, in lower case, as they are spelled there."""
    return tuple(dict.fromkeys(name.lower() for name in _LINE.findall(text)))


def hottest(path: str, project: Project) -> tuple[str, ...]:
    """The packages of a list that are worth a layer of their own: those that, taken out, save at least a third of what
    its changes cost by bytes, if all packages weigh the same. None if nobody knows how often each changes."""
    names = packages(project.read(path) or "")
    changes = [found[path] & frozenset(names) for found in project.moved if path in found]
    changes = [change for change in changes if change]
    times = {name: sum(name in change for change in changes) for name in names}
    # What has moved once may never move again.
    often = sorted((name for name in names if times[name] > 1), key=lambda name: (-times[name], name))
    choices = [often[:count] for count in range(1, min(_MOST, len(often), len(names) - 1) + 1)]
    if not choices:
        return ()
    best = min(choices, key=lambda hot: _bytes(hot, changes, len(names)))
    return tuple(sorted(best)) if _bytes(best, changes, len(names)) <= len(changes) * 2 / 3 else ()


def _bytes(hot: Sequence[str], changes: Sequence[frozenset[str]], count: int) -> float:
    mine = frozenset(hot)
    return sum(len(mine) / count if change <= mine else 1.0 for change in changes)


def stage(origin: str, path: str, hot: Sequence[str]) -> str:
    """The stage that takes the lines of hot packages out of a list. Lines that go on are joined first."""
    join, name = r"sed -e :a -e '/\\$/N; s/\\\n//; ta'", path.rpartition("/")[2]
    names = "|".join(one.replace(".", "\\.") for one in hot)
    return "\n".join(
        (
            f"{origin} AS {STAGE}",
            f"COPY {path} /lists/",
            f"RUN {join} /lists/{name} | grep -viE '^ *({names})([^a-z0-9._-]|$)' > {COLD}",
            "",
            "",
        )
    )
