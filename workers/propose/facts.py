"""What a reviewer wants to know about a bump, besides the bump itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from watcher.advisory import Advisory
from watcher.lockfiles.diff import LockDiff
from watcher.release import Release
from workers.propose.links import Link


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """What its authors say has changed in a package: their words, and where these are from."""

    package: str
    text: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer of the image that runs now: the components in it (`pypi:requests`), and its bytes as they travel."""

    components: tuple[str, ...]
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All of it. What is not known is empty, and is not said.

    `releases` and `sizes` (bytes of the file that the image takes) are by package and version, `why` says by package
    what a change other than the asked one is for, `layers` are those of the newest image, from the bottom up. `hosts`
    is how many run it, in `waves` of which some wait for a person (`approve`), behind `links`. `plugins` are Composer's
    that the project has, and that were not run. `foretold` is what a build of the change makes anew, of an app with a
    Dockerfile.
    """

    releases: Mapping[tuple[str, str], Release] = field(default_factory=dict)
    sizes: Mapping[tuple[str, str], int] = field(default_factory=dict)
    advisories: Mapping[str, Advisory] = field(default_factory=dict)
    notes: Sequence[Notes] = ()
    why: Mapping[str, str] = field(default_factory=dict)
    layers: Sequence[Layer] = ()
    foretold: Sequence[str] = ()
    hosts: int = 0
    fleet: str = ""
    waves: str = ""
    approve: Sequence[int] = ()
    links: Sequence[Link] = ()
    plugins: Sequence[str] = ()


Read = Callable[[str], bytes | None]
"""The bytes of the file at a path of the repository, or None if there is none."""
Teller = Callable[[LockDiff, Read], Facts]
"""Finds out what there is to tell about a change of a lock; the files are those after it. It never fails: what it
cannot find, it leaves out."""


def knows_nothing(_diff: LockDiff, _read: Read) -> Facts:
    """A teller without anything to tell."""
    return Facts()
