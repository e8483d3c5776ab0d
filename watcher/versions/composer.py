"""Composer's versions: what they are, their order, and which of them a constraint accepts.

What the functions refuse, they refuse with a `NotComposer`, a `ValueError`. See `semver` for the specification.
"""

import re
from collections.abc import Iterable
from typing import Any

from watcher.versions.kind import Kind, kind
from watcher.versions.line import Line
from watcher.versions.semver import constraint as constraints
from watcher.versions.semver import interval
from watcher.versions.semver.bump import bumped
from watcher.versions.semver.line import ComposerLine
from watcher.versions.semver.version import (
    FLAG,
    STABILITIES,
    NotComposer,
    compare_key,
    is_branch,
    normalize,
    stability,
)

__all__ = [
    "STABILITIES",
    "Composer",
    "NotComposer",
    "accepted",
    "bumped",
    "compare",
    "is_a_branch",
    "is_stable_enough",
    "is_subset",
    "normalize",
    "satisfies",
    "short",
    "stability",
]

_FLAGGED = re.compile(rf"[^@]*?@({FLAG})$", re.ASCII | re.IGNORECASE)
_EXACT = re.compile(r"[^,\s@]+", re.ASCII)
_ALIASED = re.compile(r"([^,\s@]+) as .+", re.ASCII)
_OPEN_END = re.compile(r"(?:\.9999999)+(?=-dev$)")


def compare(a: str, b: str) -> int:
    """-1, 0 or 1: whether `a` is older than `b`, the same, or newer. See `compare_key` for branches."""
    mine, other = compare_key(normalize(a)), compare_key(normalize(b))
    return (mine > other) - (mine < other)


def satisfies(version: str, constraint: str) -> bool:
    """Whether `constraint` accepts `version`, whatever its stability."""
    return constraints.parse(constraint).admits(normalize(version))


def is_subset(constraint: str, of: str) -> bool:
    """Whether `of` accepts every version that `constraint` does."""
    return interval.is_subset(constraints.parse(constraint), constraints.parse(of))


def accepted(constraint: str, minimum: str = "stable") -> str:
    """The least stable versions of a package that a project lets in which requires it so.

    A flag (`@beta`) has the word, of several the least stable one; else an exact version that is less stable than the
    project's `minimum`; else that.
    """
    parts = [part for one in constraints.alternatives(constraint) for part in constraints.together(one)]
    flags = [_spelled(found[1]) for part in parts if (found := _FLAGGED.match(part))]
    exact = [_ALIASED.sub(r"\1", part) for part in parts]
    inferred = [stability(part) for part in exact if _EXACT.fullmatch(part)]
    return max(flags or [*inferred, minimum], key=STABILITIES.index)


def is_stable_enough(version: str, least: str) -> bool:
    """Whether a version is at least as stable as `least`, one of STABILITIES."""
    return STABILITIES.index(stability(version)) <= STABILITIES.index(least)


def is_a_branch(version: str) -> bool:
    """Whether a version is the tip of a branch, `dev-main` or `2.x-dev`: what it is today, only a reference says."""
    normal = normalize(version)
    return is_branch(normal) or _OPEN_END.search(normal) is not None


def short(version: str) -> str:
    """How people write a version: `1.2.0` for 1.2.0.0, `1.x-dev` for 1.9999999.9999999.9999999-dev.

    The same text for every spelling of a version, and its normal form is the version's.
    """
    normal = normalize(version)
    if is_branch(normal):
        return normal
    numbers, dash, suffix = _OPEN_END.sub(".x", normal).partition("-")
    if numbers.count(".") == 3:
        numbers = numbers.removesuffix(".0")
    # In capitals it is a word of its own to Composer.
    text = numbers + dash + suffix.replace("stable", "STABLE")
    # What was a date may look like three numbers now.
    return text if normalize(text) == normal else numbers.replace(".", "-") + dash + suffix


def _spelled(flag: str) -> str:
    return next(one for one in STABILITIES if one.lower() == flag.lower())


class Composer:
    """The scheme of Packagist."""

    def normal(self, version: str) -> str:
        return short(version)

    def key(self, version: str) -> Any:
        return compare_key(normalize(version))

    def is_newer(self, version: str, than: str) -> bool:
        return bool(self.key(version) > self.key(than))

    def is_prerelease(self, version: str) -> bool:
        return stability(version) != "stable"

    def allows(self, constraint: str, version: str) -> bool:
        return not constraint or satisfies(version, constraint)

    def kind(self, before: str, after: str) -> Kind:
        old, new = normalize(before), normalize(after)
        return Kind.MAJOR if is_branch(old) or is_branch(new) else kind(_numbers(old), _numbers(new))

    def line(self, versions: Iterable[str]) -> Line:
        return ComposerLine(versions, self)


def _numbers(normal: str) -> list[int]:
    return [int(number) for number in normal.partition("-")[0].split(".")]
