"""A year of real releases, played again: what they would have cost a host in layers laid in different ways."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from watcher.layers.choice import choose
from watcher.layers.part import CODE, VENV, Layer, Part, Stack, Terms
from watcher.layers.price import patch_size, pulled
from watcher.layers.rate import rate

HOT = 3
"""How many packages somebody splits off by hand."""
SHARE = 0.35
"""Which share of a package a release replaces, by the files that it changes: the median of two dozen real ones."""
_REVIEW = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Change:
    """A package moved to `version`, which has so many bytes as it travels; at a time (UTC)."""

    at: datetime
    name: str
    version: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What is played: every change that a part has had as its policy would have made them, oldest first.

    `fixed` are the parts that do not move by themselves, with their sizes, and the code. `shares` are those that one
    change replaces, of packages whose patches have shown it.
    """

    since: datetime
    until: datetime
    changes: Mapping[str, Sequence[Change]]
    fixed: Sequence[Part]
    shares: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What one way of laying layers has cost a host: bytes per bump, in the order of the bumps."""

    name: str
    said: str
    classic: tuple[float, ...]
    containerd: tuple[float, ...]
    layers: int

    def json(self) -> dict[str, Any]:
        return {
            "strategy": self.name,
            "said": self.said,
            "layers": self.layers,
            "classic": round(sum(self.classic)),
            "containerd": round(sum(self.containerd)),
            "median": round(median(self.classic)) if self.classic else 0,
            "largest": round(max(self.classic, default=0)),
        }


Lay = Callable[[Stack, Sequence[Part]], Stack]
"""The layers for parts, on hosts that have others."""


def commits(code: Part, since: datetime, until: datetime) -> list[Change]:
    """Changes of the code as often as it is taken to change, evenly."""
    count = int(code.rate * ((until - since) / timedelta(days=1)))
    times = [since + n * (until - since) / count for n in range(count + 1)] if count else []
    return [Change(at, CODE, str(n), code.size) for n, at in enumerate(times)]


def bumps(history: History) -> list[Change]:
    """The changes within the time that is played, oldest first."""
    within = (one for rows in history.changes.values() for one in rows if history.since < one.at <= history.until)
    return sorted(within, key=lambda one: (one.at, one.name))


def play(history: History, terms: Terms, tell: Callable[[str], None] = lambda _: None) -> list[Played]:
    """What every way of laying layers would have cost a host, above the base. `tell` hears which one is played."""
    hot = _hottest(history)
    ways: list[tuple[str, str, Lay]] = [
        ("(a) one layer", "everything in one layer", lambda _, parts: (Layer.of(parts),)),
        ("(b) requirements first", "requirements in one layer, the code above", _split({})),
        ("(c) split by hand", f"as (b), with {', '.join(map(_plain, sorted(hot)))} in a layer between", _split(hot)),
        ("(d) by name", "one layer per package, by name, the code above", _by_name),
        (PLAN, "toplayer's plan, every package whole", lambda before, parts: choose(before, parts, terms, {}).stack),
        ("(f) with patches", _estimated(history), lambda before, parts: _patched(before, parts, history, terms)),
    ]
    played = []
    for name, said, lay in ways:
        tell(f"playing {name}")
        played.append(_play(name, said, lay, history, terms))
    return played


PLAN = "(e) toplayer"


def _estimated(history: History) -> str:
    known = sum(name in history.shares for name in history.changes)
    return f"as (e), with patches; estimated: a release replaces {SHARE:.0%} ({known} packages: as measured)"


def _patched(before: Stack, parts: Sequence[Part], history: History, terms: Terms) -> Stack:
    """The plan's choice if patches are as large as is to be expected of them."""
    grown = [part if part.name in (CODE, VENV) else replace(part, churn=_share(part.name, history)) for part in parts]
    steps = {layer.names[0]: layer.steps for layer in before if layer.is_patch}
    patches = {part.name: round(patch_size(part, steps.get(part.name, 0) + 1)) for part in grown if part.churn < 1}
    return choose(before, grown, terms, patches).stack


def _share(name: str, history: History) -> float:
    return history.shares.get(name, SHARE)


def _play(name: str, said: str, lay: Lay, history: History, terms: Terms) -> Played:
    parts, reviewed = _start(history), history.since
    stack = lay((), list(parts.values()))
    one_by_one: tuple[list[float], list[float]] = [], []
    for change in bumps(history):
        if change.at - reviewed > _REVIEW:
            reviewed = change.at
            parts = {part.name: replace(part, rate=_rate(history, part, change.at)) for part in parts.values()}
        key = f"{change.name}@{change.version}"
        parts[change.name] = replace(parts[change.name], key=key, size=change.size)
        after = lay(stack, list(parts.values()))
        for costs, classic in zip(one_by_one, (1.0, 0.0), strict=True):
            costs.append(pulled(stack, after, replace(terms, classic=classic)))
        stack = after
    return Played(
        name=name, said=said, classic=tuple(one_by_one[0]), containerd=tuple(one_by_one[1]), layers=len(stack)
    )


def _start(history: History) -> dict[str, Part]:
    """The parts as they were when it began, with what was known of their rates then."""
    found = {part.name: part for part in history.fixed}
    for name, rows in history.changes.items():
        first = next((one for one in reversed(rows) if one.at <= history.since), rows[0])
        before = found.get(name) or Part(name=name, key="", size=0)
        part = replace(before, key=f"{name}@{first.version}", size=first.size)
        found[name] = replace(part, rate=_rate(history, part, history.since))
    return found


def _rate(history: History, part: Part, now: datetime) -> float:
    """Only from what had been seen by then."""
    rows = history.changes.get(part.name)
    if not rows or part.name == CODE:
        return part.rate
    return rate((one.at for one in rows), min(rows[0].at, now), now)


def _hottest(history: History) -> frozenset[str]:
    """What somebody would have split off by hand, who knew at the beginning how often each package moves."""
    moving = [part for name, part in _start(history).items() if name in history.changes and name != CODE]
    return frozenset(part.name for part in sorted(moving, key=lambda part: -part.rate)[:HOT])


def _split(hot: Iterable[str]) -> Lay:
    chosen = frozenset(hot)

    def lay(_: Stack, parts: Sequence[Part]) -> Stack:
        packages = sorted((part for part in parts if part.name != CODE), key=lambda part: part.name)
        cold = [part for part in packages if part.name not in chosen]
        warm = [part for part in packages if part.name in chosen]
        code = [part for part in parts if part.name == CODE]
        return tuple(Layer.of(one) for one in (cold, warm, code) if one)

    return lay


def _by_name(_: Stack, parts: Sequence[Part]) -> Stack:
    ordered = sorted(parts, key=lambda part: ({VENV: 0, CODE: 2}.get(part.name, 1), part.name))
    return tuple(Layer.of([part]) for part in ordered)


def _plain(name: str) -> str:
    return name.partition(":")[2] or name


def curves(history: History, played: Sequence[Played]) -> dict[str, list[tuple[float, float]]]:
    """For a picture: of each way, `(share of the time, bytes so far)` on classic hosts."""
    whole = (history.until - history.since) / timedelta(days=1)
    times = [(one.at - history.since) / timedelta(days=1) / whole for one in bumps(history)]
    found = {}
    for one in played:
        total, points = 0.0, []
        for at, cost in zip(times, one.classic, strict=True):
            total += cost
            points.append((at, total))
        found[one.name] = points
    return found
