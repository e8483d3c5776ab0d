"""Advisories: which versions of a package are known to be harmful, and who says so."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from watcher.versions import Scheme


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Versions from `introduced` on (empty: from the first), up to `fixed` and without it, or up to and with `last`."""

    introduced: str = ""
    fixed: str = ""
    last: str = ""

    def holds(self, version: str, scheme: Scheme) -> bool:
        """Whether `version` is one of them."""
        key = scheme.key(version)
        if self.introduced and key < scheme.key(self.introduced):
            return False
        if self.fixed:
            return bool(key < scheme.key(self.fixed))
        return not self.last or bool(key <= scheme.key(self.last))


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
        if version in self.versions:
            return True
        for span in self.spans:
            with suppress(ValueError):
                if span.holds(version, scheme):
                    return True
        with suppress(ValueError):
            return bool(self.constraint) and scheme.allows(self.constraint, version)
        return False


def affecting(version: str, advisories: Iterable[Advisory], scheme: Scheme) -> dict[str, Advisory]:
    """The advisories that affect a version, by what people call them: the same one of several sources counts once."""
    found: dict[str, Advisory] = {}
    for advisory in advisories:
        if advisory.affects(version, scheme):
            found.setdefault(advisory.name, advisory)
    return found
