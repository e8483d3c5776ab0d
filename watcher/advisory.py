"""Advisories: which versions of a package are known to be harmful, and who says so."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, compress
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


class Against:
    """What of some advisories affects each of a package's versions (in normal form).

    It is worked out for all of them at once, along the line of versions: an advisory is looked at where it begins to
    hold and where it ends, and not once for each version.
    """

    def __init__(self, advisories: Iterable[Advisory], versions: Iterable[str], scheme: Scheme) -> None:
        known = tuple(advisories)
        line = scheme.line(versions) if known else Line((), scheme)
        turns = [0] * (len(line.versions) + 1)
        for number, advisory in enumerate(known):
            for place in _edges(advisory.ranges(line)):
                turns[place] ^= 1 << number
        self._masks = dict(zip(line.versions, accumulate(turns, xor), strict=False))
        # As the digits of a mask stand: the last one first.
        self._named = [(one.name, one) for one in reversed(known)]

    def affecting(self, version: str) -> dict[str, Advisory]:
        """Those that affect one of the versions, by what people call them: one that several sources have counts
        once."""
        mask = self._masks.get(version, 0)
        digits = f"{mask:0{len(self._named)}b}" if mask else ""
        return dict(compress(self._named, map(int, digits)))


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


def affecting(version: str, advisories: Iterable[Advisory], scheme: Scheme) -> dict[str, Advisory]:
    """The advisories that affect a version (in normal form), by name. See `Against`."""
    return Against(advisories, [version], scheme).affecting(version)
