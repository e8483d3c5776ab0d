"""Composer/semver's own tests, to their last row, asked of ours: `make semver SEMVER=<a checkout of it>`.

It is not among the tests that every change runs, because nothing of that checkout is in this repository. What every
change runs is in test_composer.py: a table of our own, and Composer itself on generated input.
"""

import operator
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.rig.semver_rows import rows_of
from tests.watcher.versions.test_composer import refused
from watcher.versions import SCHEMES
from watcher.versions.composer import compare, is_subset, normalize, satisfies, stability
from watcher.versions.semver import interval
from watcher.versions.semver.constraint import Comparison, Constraint, parse
from watcher.versions.semver.interval import Branches, Cover, Interval, cover
from watcher.versions.semver.version import alias_prefix, normalize_branch

OPERATORS: dict[str, Callable[[int, int], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "=": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
}
_ALIASED = re.compile(r"([^,\s#]+)(?:#[^ ]+)? +as +([^,\s]+)")


def _together(bounds: tuple[Comparison, ...]) -> str:
    texts = [f"{bound.op} {bound.version}" for bound in bounds]
    return texts[0] if len(texts) == 1 else f"[{' '.join(texts)}]"


def shown(constraint: Constraint) -> str:
    """A constraint as Composer writes it for people."""
    if constraint.is_everything:
        return "*"
    texts = [_together(bounds) for bounds in constraint.any_of]
    return texts[0] if len(texts) == 1 else f"[{' || '.join(texts)}]"


def text_of(made: Any) -> str:
    """The same of one that was put together by hand."""
    if made == {"all": []}:
        return "*"
    if "bound" in made:
        return str(made["bound"])
    kind = "all" if "all" in made else "any"
    return f"[{(' ' if kind == 'all' else ' || ').join(map(text_of, made[kind]))}]"


def cover_of(made: Any) -> Cover:
    """What a constraint covers, be it a text or put together by hand."""
    if isinstance(made, str):
        return cover(parse(made))
    if "bound" in made:
        op, version = made["bound"].split(" ")
        return interval._of(Comparison(op, version))
    kind = "all" if "all" in made else "any"
    together = interval._intersection if kind == "all" else interval._union
    return together([cover_of(part) for part in made[kind]])


def expected_cover(said: Any) -> Cover:
    if isinstance(said, str):
        numbers: tuple[Interval, ...] = (Interval(),) if said else ()
        return Cover(numbers, Branches(others=said == "*/dev*"))
    numeric = said["numeric"].values() if isinstance(said["numeric"], dict) else said["numeric"]
    numbers = tuple(
        Interval(Comparison(*one["start"].split(" ")), Comparison(*one["end"].split(" "))) for one in numeric
    )
    return Cover(numbers, Branches(frozenset(said["branches"]["names"]), others=said["branches"]["exclude"]))


def _compares(op: str) -> Callable[..., bool]:
    # Composer knows no order among branches; ours is by their names, so that every list has one.
    return lambda a, b, does: OPERATORS[op](compare(a, b), 0) is does or _are_branches(a, b)


def _are_branches(a: str, b: str) -> bool:
    return a != b and a.startswith("dev-") and b.startswith("dev-")


def _sorts(versions: list[str], rising: list[str], falling: list[str]) -> bool:
    by_key = SCHEMES["packagist"].key
    return sorted(versions, key=by_key) == rising and sorted(versions, key=by_key, reverse=True) == falling


def _bounds(text: str, *made: Any) -> bool:
    """A constraint that is one or two bounds."""
    said = [text_of(one) for one in made if one is not None]
    bounds = parse(text).any_of[0]
    return shown(parse(text)) == said[0] if len(said) == 1 else [f"{b.op} {b.version}" for b in bounds] == said


def _aliased(text: str, *, good: int) -> bool:
    found = _ALIASED.fullmatch(text)
    assert found is not None
    return not refused(normalize, found[good]) and refused(normalize, found[3 - good])


def _prefix(version: str, expected: Any) -> bool:
    return bool((alias_prefix(version) or False) == expected)


CHECKS: dict[str, Callable[..., bool]] = {
    "ComparatorTest::compareProvider": lambda a, op, b, does: _compares(op)(a, b, does),
    "ComparatorTest::equalToProvider": _compares("=="),
    "ComparatorTest::greaterThanOrEqualToProvider": _compares(">="),
    "ComparatorTest::greaterThanProvider": _compares(">"),
    "ComparatorTest::lessThanOrEqualToProvider": _compares("<="),
    "ComparatorTest::lessThanProvider": _compares("<"),
    "ComparatorTest::notEqualToProvider": _compares("!="),
    "IntervalsTest::compactProvider": lambda text, parts, conjunctive: (
        cover_of({"all" if conjunctive else "any": parts}) == (cover_of(text) if text else cover_of({"any": []}))
    ),
    "IntervalsTest::intervalsProvider": lambda said, made: cover_of(made) == expected_cover(said),
    "SemverTest::satisfiedByProvider": lambda text, versions, does: [v for v in versions if satisfies(v, text)] == does,
    "SemverTest::satisfiesProvider": lambda does, version, text: satisfies(version, text) is does,
    "SemverTest::sortProvider": _sorts,
    "SubsetsTest::notSubsets": lambda a, b: not is_subset(a, b),
    "SubsetsTest::subsets": is_subset,
    "VersionParserTest::caretConstraints": _bounds,
    "VersionParserTest::constraintProvider": lambda text, said: shown(parse(text)) == said,
    "VersionParserTest::failingConstraints": lambda text: refused(parse, text),
    "VersionParserTest::failingNormalizedVersions": lambda text, *_: refused(normalize, text),
    "VersionParserTest::failingNormalizedVersionsWithBadAlias": lambda text: _aliased(text, good=1),
    "VersionParserTest::failingNormalizedVersionsWithBadAliasee": lambda text: _aliased(text, good=2),
    "VersionParserTest::hyphenConstraints": _bounds,
    "VersionParserTest::isValidVersions": lambda text, does: refused(normalize, text) is not does,
    "VersionParserTest::multiConstraintProvider": lambda text: shown(parse(text)) == "[> 2.0.0.0 <= 3.0.0.0]",
    "VersionParserTest::multiConstraintProvider2": lambda text: (
        shown(parse(text)) == "[[> 2.0.0.0 < 2.0.5.0-dev] || > 2.0.6.0]"
    ),
    "VersionParserTest::numericAliasVersions": _prefix,
    "VersionParserTest::simpleConstraints": _bounds,
    "VersionParserTest::stabilityProvider": lambda said, version: stability(version) == said,
    "VersionParserTest::successfulNormalizedBranches": lambda name, said: normalize_branch(name) == said,
    "VersionParserTest::successfulNormalizedVersions": lambda text, said: normalize(text) == said,
    "VersionParserTest::tildeConstraints": _bounds,
    "VersionParserTest::wildcardConstraints": _bounds,
}
"""How each of their tables is asked of ours."""

NOT_OURS = {"CompilingMatcherTest"}
"""What only makes PHP faster."""


def _rows() -> dict[str, list[list[Any]]]:
    checkout = os.environ.get("SEMVER", "")
    if not checkout:
        pytest.fail("name a checkout of composer/semver: make semver SEMVER=<directory>", pytrace=False)
    return rows_of(Path(checkout).resolve())


ROWS = _rows()


EACH = [pytest.param(name, row, id=f"{name}-{n}") for name, rows in ROWS.items() for n, row in enumerate(rows)]


def test_there_is_no_table_that_we_do_not_read() -> None:
    assert {name for name in ROWS if name.partition("::")[0] not in NOT_OURS} == CHECKS.keys()
    assert all(ROWS.values())


@pytest.mark.parametrize(("name", "row"), EACH)
def test_ours_says_what_theirs_says(name: str, row: list[Any]) -> None:
    if name in CHECKS:
        assert CHECKS[name](*row), row
