"""A constraint: which versions somebody accepts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import eq, ge, gt, le, lt

from watcher.versions.semver.version import (
    ALIAS,
    FLAG,
    MODIFIER,
    SPACE,
    NotComposer,
    is_branch,
    key,
    normalize,
    stability,
)

_LONGEST = 20_000
"""Advisories list hundreds of ranges; the constraints of people are a hundred times shorter."""

_FLAGS = re.ASCII | re.IGNORECASE
_OR = re.compile(r"\|\|?")
# Spaces belong to a ` - ` range, to an ` as ` alias and to an operator; all others part what must hold together.
_AND = re.compile(r"(?!\A)(?<!as)(?<![=>< ,]) *(?<!-)[, ](?!-) *(?!,|as|$)")
_FLAGGED = re.compile(rf"([^,\s]*?)@({FLAG})", _FLAGS)
_WITH_REFERENCE = re.compile(r"(dev-[^,\s@]+?|[^,\s@]+?\.x-dev)#.+", _FLAGS)
_EVERYTHING = re.compile(r"(v)?[xX*](\.[xX*])*", _FLAGS)
_VERSION = rf"v?(\d++)(?:\.(\d++))?(?:\.(\d++))?(?:\.(\d++))?(?:{MODIFIER}|\.([xX*][.-]?dev))(?:\+[^\s]+)?"
_TILDE = re.compile(rf"~{_VERSION}", _FLAGS)
_CARET = re.compile(rf"\^{_VERSION}", _FLAGS)
_WILDCARD = re.compile(r"v?(\d++)(?:\.(\d++))?(?:\.(\d++))?(?:\.[xX*])++", re.ASCII)
_HYPHEN = re.compile(rf"({_VERSION}) +- +({_VERSION})", _FLAGS)
_COMPARISON = re.compile(r"(<>|!=|>=?|<=?|==?)?\s*(.*)", re.ASCII)
# Composer looks for `RC` in a text that it has put into lower case, so there is none: `>=1.0-RC1` starts below RC1.
_SUFFIXED = re.compile(rf"-{MODIFIER}$", re.ASCII)
_BARE_BRANCH = re.compile(r"[0-9a-zA-Z./-]*-dev", re.ASCII)
_FROM_TO = ((">=", 0), ("<", 1))
_COMPARE = {"==": eq, "<": lt, "<=": le, ">": gt, ">=": ge}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One bound: `op` is `==`, `!=`, `<`, `<=`, `>` or `>=`, `version` is in normal form."""

    op: str
    version: str

    def admits(self, normal: str) -> bool:
        """Whether a version in normal form is within the bound. A branch equals itself and is beyond every other."""
        if is_branch(normal) or is_branch(self.version):
            return (normal == self.version) is (self.op == "==") if self.op in ("==", "!=") else False
        if self.op == "!=":
            return key(normal) != key(self.version)
        return bool(_COMPARE[self.op](key(normal), key(self.version)))


ZERO = Comparison(">=", "0.0.0.0-dev")
"""Where the numbers begin."""

All = tuple[Comparison, ...]
"""Bounds that have to hold together. Without any, everything does."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """What a constraint comes to: one of `any_of` has to hold."""

    any_of: tuple[All, ...]

    def admits(self, normal: str) -> bool:
        """Whether a version in normal form is accepted."""
        return any(all(bound.admits(normal) for bound in bounds) for bounds in self.any_of)

    @property
    def is_everything(self) -> bool:
        """Whether it is `*` and nothing else."""
        return self.any_of == ((),)


@lru_cache(maxsize=16_384)
def parse(constraint: str) -> Constraint:
    """A constraint, read. A `NotComposer` for what Composer refuses."""
    if len(constraint) > _LONGEST:
        raise NotComposer(f"a constraint of at most {_LONGEST:,} characters", constraint)
    try:
        return Constraint(tuple(_all(text) for text in alternatives(constraint)))
    except ValueError:
        raise NotComposer("a constraint that Composer knows", constraint) from None


def alternatives(constraint: str) -> list[str]:
    """The parts of a constraint of which one has to hold."""
    parts = _OR.split(constraint.strip(SPACE))
    last = len(parts) - 1
    parted = [part.lstrip() if number else part for number, part in enumerate(parts)]
    return [part.rstrip() if number < last else part for number, part in enumerate(parted)]


def together(alternative: str) -> list[str]:
    """The parts of an alternative that have to hold together."""
    return _AND.split(alternative)


def _all(alternative: str) -> All:
    return tuple(bound for text in together(alternative) for bound in _bounds(text))


def _bounds(text: str) -> All:
    """One range or comparison. A `ValueError` for what is neither."""
    alias = ALIAS.fullmatch(text)
    if alias:
        text = alias[1]
    flag = ""
    flagged = _FLAGGED.fullmatch(text)
    if flagged:
        text, flag = flagged[1] or "*", flagged[2]
    reference = _WITH_REFERENCE.fullmatch(text)
    if reference:
        text = reference[1]
    everything = _EVERYTHING.fullmatch(text)
    if everything:
        return (ZERO,) if everything[1] or everything[2] else ()
    return _range(text) or (_comparison(text, flag),)


def _range(text: str) -> All:
    tilde, caret = _TILDE.fullmatch(text), _CARET.fullmatch(text)
    if tilde:
        # The last number that is written may grow; of one alone, all that follow it.
        return _from(text, tilde.groups(), max(1, _written(tilde.groups()) - 1))
    if caret:
        return _from(text, caret.groups(), _first_that_counts(caret.groups()))
    wildcard = _WILDCARD.fullmatch(text)
    if wildcard:
        position = _written((*wildcard.groups(), None))
        low, high = (Comparison(op, f"{_numbers(wildcard.groups(), position, more)}-dev") for op, more in _FROM_TO)
        return (high,) if low == ZERO else (low, high)
    hyphen = _HYPHEN.fullmatch(text)
    return _between(hyphen[1], hyphen.groups()[1:9], hyphen[10], hyphen.groups()[10:18]) if hyphen else ()


Groups = Sequence[str | None]
"""What _VERSION has found: four numbers, a word, its numbers, `dev`, and `x-dev`."""


def _written(groups: Groups) -> int:
    """How many numbers are written. An `x-dev` in the place of one counts."""
    numbers = next((n for n in (4, 3, 2) if groups[n - 1]), 1)
    return numbers + 1 if len(groups) > 7 and groups[7] else numbers


def _first_that_counts(groups: Groups) -> int:
    """The place of the first number that is not zero: what may not change. Of zeros alone, the last one but patches."""
    if groups[0] != "0" or not groups[1]:
        return 1
    return 2 if groups[1] != "0" or not groups[2] else 3


def _from(text: str, groups: Groups, position: int) -> All:
    """From the version behind an operator to where the number at `position` grows."""
    suffix = "" if _is_suffixed(groups) else "-dev"
    low = normalize(f"{text}{suffix}"[1:])
    return Comparison(">=", low), Comparison("<", f"{_numbers(groups, position, 1)}-dev")


def _between(first: str, low: Groups, last: str, high: Groups) -> All:
    start = Comparison(">=", normalize(first) + ("" if _is_suffixed(low) else "-dev"))
    end = normalize(last)
    if (high[1] and high[2]) or _is_suffixed(high):
        return start, Comparison("<=", end)
    return start, Comparison("<", f"{_numbers(high, 2 if high[1] else 1, 1)}-dev")


def _is_suffixed(groups: Groups) -> bool:
    return bool(groups[4] or groups[6] or groups[7])


def _numbers(groups: Groups, position: int, more: int = 0) -> str:
    """Four numbers: those until `position`, the one there grown by `more`, and zeros."""
    kept = [group or "" for group in groups[:position]]
    if more:
        kept[-1] = str(int(kept[-1]) + more)
    return ".".join([*kept, "0", "0", "0"][:4])


def _comparison(text: str, flag: str) -> Comparison:
    found = _COMPARISON.match(text)
    assert found is not None
    op, wanted = found[1] or "==", found[2]
    try:
        version = normalize(wanted)
    except NotComposer:
        # People have always written foo-dev for the branch dev-foo.
        if not _BARE_BRANCH.fullmatch(wanted):
            raise
        version = normalize(f"dev-{wanted.removesuffix('-dev')}")
    if op not in ("==", "=") and flag not in ("", "stable") and stability(version) == "stable":
        version += f"-{flag}"
    elif op in ("<", ">=") and not _SUFFIXED.search(wanted.lower()) and not wanted.startswith("dev-"):
        version += "-dev"
    return Comparison({"=": "==", "<>": "!="}.get(op, op), version)
