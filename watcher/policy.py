"""What an app wants for one of its packages: which releases may come in by themselves, when, and with which others."""

import re
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from fnmatch import fnmatchcase

from watcher.pin import Pin
from watcher.requirement import Raise
from watcher.versions import SCHEMES
from watcher.versions.kind import KINDS, Kind
from watcher.window import Freeze, Window


class Watch(StrEnum):
    """Which pins move by themselves: all; what the project itself asks for; those that an advisory hits; none.

    Whoever watches what the project asks for also moves what an advisory hits.
    """

    ALL = "all"
    DIRECT = "direct"
    SECURITY = "security"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Cooldown:
    """How old a release has to be, by the size of the update."""

    patch: timedelta = timedelta(days=3)
    minor: timedelta = timedelta(days=3)
    major: timedelta = timedelta(days=3)

    def of(self, kind: Kind) -> timedelta:
        """How long an update of this size has to wait."""
        return {Kind.PATCH: self.patch, Kind.MINOR: self.minor, Kind.MAJOR: self.major}[kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The wishes for one package.

    `allow` is the largest update (`patch`, `minor`, `major`), or a constraint of the package's ecosystem. `prereleases`
    says whether they come in; None leaves that to the project. `windows` and `freeze` say when a bump may begin; a
    `group` moves together.
    """

    watch: Watch = Watch.DIRECT
    allow: str = Kind.MAJOR
    cooldown: Cooldown = Cooldown()
    prereleases: bool | None = None
    requirement: Raise = Raise.KEEP
    windows: tuple[Window, ...] = ()
    freeze: tuple[Freeze, ...] = ()
    group: str = ""

    @property
    def of_releases(self) -> "Policy":
        """What of it has a say in which release is taken. The rest says when a bump begins, and what moves together."""
        return replace(self, windows=(), freeze=(), group="")

    def lets_in(self, pin: Pin, version: str) -> bool:
        """Whether the pin may move to a version, as far as that depends on it being a pre-release.

        Without a word of the policy the project's own counts: that it has one already, or (Composer) that it lets in
        what is less than stable.
        """
        scheme = SCHEMES[pin.ecosystem]
        if self.prereleases or not scheme.is_prerelease(version):
            return True
        if scheme.is_prerelease(pin.version):
            return True
        return self.prereleases is None and pin.stability not in ("", "stable")

    def allows(self, ecosystem: str, before: str, after: str) -> bool:
        """Whether `allow` admits the update from one version to the other. A `ValueError` if it is no constraint."""
        scheme = SCHEMES[ecosystem]
        if self.allow in KINDS:
            return KINDS.index(scheme.kind(before, after)) <= KINDS.index(Kind(self.allow))
        return scheme.allows(self.allow, after)


DEFAULT = Policy()
"""What counts where nobody wishes anything."""


def matches(glob: str, package: str) -> bool:
    """Whether a glob names a package, however people spell it: `Ruamel.YAML` is `ruamel-yaml` (PEP 503)."""
    lower = glob.lower()
    return fnmatchcase(package, lower) or fnmatchcase(package, _RUNS.sub("-", lower))


_RUNS = re.compile(r"[-_.]+")
