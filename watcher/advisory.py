"""Advisories: which versions of a package are known to be harmful, and who says so."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from operator import xor

from watcher.errors import IndexLied
from watcher.versions import Scheme
from watcher.versions.line import Line

_MOST = 5_000
_HEAVIEST = 500_000
"""Of all advisories about one package together: their versions and spans, and the characters of their constraints.
TensorFlow, which has the most on PyPI, comes to a quarter of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Versions from `introduced` on (empty: from the first), up to `fixed` and without it, or up to and with `last`."""

    introduced: str = ""
    fixed: str = ""
    last: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """One advisory about one package. What was withdrawn is none.

    It affects what is in one of `spans`, is one of `versions`, or is admitted by `constraint` (empty: nothing), all in
    the words of the package's ecosystem. `malware`: the release does harm by intent. `severity` is `low`, `moderate`,
    `high`, `critical` or empty. `modified` is the source's own mark of the advisory's state.
    """

    id: str
    aliases: tuple[str, ...] = ()
    summary: str = ""
    severity: str = ""
    url: str = ""
    malware: bool = False
    published_at: datetime | None = None
    modified: str = ""
    spans: tuple[Span, ...] = ()
    versions: tuple[str, ...] = ()
    constraint: str = ""

    @property
    def name(self) -> str:
        """What people call it: its CVE if it has one."""
        return next((alias for alias in sorted(self.aliases) if alias.startswith("CVE-")), self.id)

    def affects(self, version: str, scheme: Scheme) -> bool:
        """Whether a version (in normal form) is affected. What the scheme cannot read affects nothing."""
        return bool(affecting(version, [self], scheme))

    def ranges(self, line: Line) -> Iterator[range]:
        """Which versions of a line are affected: their places."""
        yield from map(line.at, self.versions)
        for span in self.spans:
            with suppress(ValueError):
                yield line.span(span.introduced, span.fixed, span.last)
        with suppress(ValueError):
            if self.constraint:
                yield from line.admitted(self.constraint)

    @property
    def weight(self) -> int:
        """How much it says."""
        return len(self.spans) + len(self.versions) + len(self.constraint)


def bearable(advisories: Sequence[Advisory], url: str, where: str) -> Sequence[Advisory]:
    """What the answer from `url` has against one package. An `IndexLied` if it is more than anybody ever had to say."""
    if len(advisories) > _MOST:
        raise IndexLied(url, where, f"at most {_MOST:,} advisories about a package", f"{len(advisories):,}")
    if (weight := sum(one.weight for one in advisories)) > _HEAVIEST:
        raise IndexLied(url, where, f"advisories with at most {_HEAVIEST:,} versions in all", f"{weight:,}")
    return advisories


class Affected(Mapping[str, Advisory]):
    """The advisories that affect one version, by what people call them, in the order of these names.

    Thousands of versions are asked about thousands of advisories, so it is a number with a bit for each of them, and
    what affects one version and not another is a subtraction.
    """

    __slots__ = ("_known", "_mask")

    def __init__(self, known: Sequence[Advisory] = (), mask: int = 0) -> None:
        """`known` have one advisory for each bit of `mask`, the lowest bit first."""
        self._known, self._mask = known, mask

    def __len__(self) -> int:
        return self._mask.bit_count()

    def __iter__(self) -> Iterator[str]:
        mask = self._mask
        while mask:
            yield self._known[(mask & -mask).bit_length() - 1].name
            mask &= mask - 1

    def __getitem__(self, name: str) -> Advisory:
        place = bisect_left(self._known, name, key=lambda one: one.name)
        if place < len(self._known) and self._known[place].name == name and self._mask >> place & 1:
            return self._known[place]
        raise KeyError(name)

    def __sub__(self, other: "Affected") -> "Affected":
        """Those of the same advisories that do not affect the other version."""
        return Affected(self._known, self._mask & ~other._mask)

    def __and__(self, mask: int) -> "Affected":
        return Affected(self._known, self._mask & mask)


class Against:
    """What of some advisories affects each of a package's versions (in normal form).

    It is worked out for all of them at once, along the line of versions: an advisory is looked at where it begins to
    hold and where it ends, and not once for each version. One that several sources have, by one name, is one, and is
    malware if one of them calls it so.
    """

    def __init__(self, advisories: Iterable[Advisory], versions: Iterable[str], scheme: Scheme) -> None:
        named: dict[str, list[Advisory]] = {}
        for advisory in advisories:
            named.setdefault(advisory.name, []).append(advisory)
        together = [same for _, same in sorted(named.items())]
        line = scheme.line(versions) if together else Line((), scheme)
        turns = [0] * (len(line.versions) + 1)
        for number, same in enumerate(together):
            for place in _edges(where for one in same for where in one.ranges(line)):
                turns[place] ^= 1 << number
        self._known = tuple(min(same, key=lambda one: not one.malware) for same in together)
        self._malware = sum(1 << number for number, one in enumerate(self._known) if one.malware)
        self._masks = dict(zip(line.versions, accumulate(turns, xor), strict=False))

    def affecting(self, version: str) -> Affected:
        """Those that affect one of the versions."""
        return Affected(self._known, self._masks.get(version, 0))

    def malware(self, version: str) -> Affected:
        """Those of them that say of it that it does harm by intent."""
        return self.affecting(version) & self._malware


def _edges(ranges: Iterable[range]) -> Iterator[int]:
    """Where ranges begin and end; those that overlap, or touch, are one."""
    start, end = 0, 0
    for one in sorted((one for one in ranges if one), key=lambda one: one.start):
        if one.start > end:
            if end > start:
                yield from (start, end)
            start = one.start
        end = max(end, one.stop)
    if end > start:
        yield from (start, end)


def affecting(version: str, advisories: Iterable[Advisory], scheme: Scheme) -> Affected:
    """The advisories that affect a version (in normal form). See `Against`."""
    return Against(advisories, [version], scheme).affecting(version)
