"""An image with CPython on Linux, as a target: which wheels it can install.

Computed from the settings alone, never from the interpreter that runs us. Tags: PEP 425, 600 (manylinux) and 656
(musllinux), https://packaging.python.org/specifications/platform-compatibility-tags/.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from packaging.markers import InvalidMarker, Marker, UndefinedComparison, UndefinedEnvironmentName
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename
from packaging.version import Version

from watcher.image import Platform
from watcher.pin import Pin
from watcher.release import File, Release
from watcher.settings import ImageSettings
from watcher.target import Fit
from watcher.versions.pep440 import Pep440

_MACHINES = {
    "amd64": "x86_64",
    "arm64": "aarch64",
    "386": "i686",
    "arm/v7": "armv7l",
    "arm/v6": "armv6l",
    "loong64": "loongarch64",
}
_LEGACY = {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014"}


@dataclass(frozen=True, slots=True)
class Wheels:
    """Python `python` (`3.12` or `3.12.4`) with the C library `libc` (`manylinux_2_28`) on a machine (`x86_64`).

    Without a patch level it is taken to be 0, as uv does: a file that needs a later one is refused. `builds` says that
    there is a place to build what has no wheel; `groups` are the extras and groups of the project that are installed.
    With `anywhere`, any file that is not yanked will do.
    """

    python: str
    libc: str
    machine: str
    builds: bool = False
    groups: tuple[str, ...] = ()
    anywhere: bool = False

    @classmethod
    def of(cls, image: ImageSettings) -> "Wheels":
        """What the image of these settings can install."""
        platform = Platform.parse(image.platform)
        full = f"{platform.architecture}/{platform.variant}"
        machine = _MACHINES.get(full) or _MACHINES.get(platform.architecture, platform.architecture)
        return cls(image.python, image.libc, machine, image.sandbox is not None, image.groups)

    def __str__(self) -> str:
        return f"Python {self.python} on {self.libc}_{self.machine}"

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables of markers (PEP 508) in such a target."""
        return _environment(self.python, self.machine)

    def rank(self, file: File) -> int:
        """How well a file that fits does so: the lower the better. A `ValueError` for a wheel that does not."""
        tags = wheel_tags(self.python, self.libc, self.machine)
        if is_source(file):
            return len(tags)
        return min(tags[tag] for tag in _tags_of(file) if tag in tags)

    def wants(self, pin: Pin) -> bool:
        """See `Target`. A marker that cannot be evaluated is for the installer to judge: the pin counts as wanted."""
        if pin.groups and not set(pin.groups) & set(self.groups):
            return False
        try:
            return not pin.marker or Marker(pin.marker).evaluate(dict(self.environment))
        except (InvalidMarker, UndefinedComparison, UndefinedEnvironmentName, ValueError):
            return True

    def fit(self, pin: Pin, release: Release) -> Fit:
        """See `Target`. A source distribution counts where there is no wheel, and a place to build one."""
        if _build(release.version) != _build(pin.version):
            mine = f"+{_build(pin.version)}" if _build(pin.version) else "without a label"
            return Fit(rule="build", said=f"is another build than the pin's ({mine})")
        good = [file for file in release.files if file.yanked is None]
        if self.anywhere and good:
            return Fit(tuple(good))
        wheels = [file for file in good if file.filename.endswith(".whl")]
        found = self._fit(wheels)
        if not found.files and self.builds:
            here = [file for file in good if is_source(file)]
            sources = tuple(file for file in here if _admits(file.requires_python, self.python))
            return Fit(sources) if sources else found
        return found

    def elsewhere(self) -> "Wheels":
        """See `Target`."""
        return replace(self, anywhere=True)

    def _fit(self, wheels: Sequence[File]) -> Fit:
        if not wheels:
            return Fit(rule="wheel", said="has no wheel")
        for_python = [file for file in wheels if _admits(file.requires_python, self.python)]
        if not for_python:
            needs = " or ".join(sorted({file.requires_python for file in wheels}))
            return Fit(rule="requires-python", said=f"needs Python {needs}, and the image has {self.python}")
        tags = wheel_tags(self.python, self.libc, self.machine)
        fitting = tuple(file for file in for_python if not tags.keys().isdisjoint(_tags_of(file)))
        return Fit(fitting) if fitting else Fit(rule="wheel", said=f"has no wheel for {self}")


def is_source(file: File) -> bool:
    """Whether a file is a source distribution (PEP 527)."""
    return file.filename.endswith((".tar.gz", ".zip"))


def _build(version: str) -> str:
    return Pep440().key(version).local or ""


def _admits(requires_python: str, python: str) -> bool:
    try:
        return Pep440().allows(requires_python, python)
    except ValueError:
        return False


def _tags_of(file: File) -> frozenset[Tag]:
    try:
        return parse_wheel_filename(file.filename)[3]
    except ValueError:
        return frozenset()


@lru_cache(maxsize=64)
def wheel_tags(python: str, libc: str, machine: str) -> Mapping[Tag, int]:
    """Every tag that such a target installs, and its rank: of two wheels, the one with the lower rank fits better."""
    release = Version(python).release[:2]
    interpreter = f"cp{release[0]}{release[1]}"
    platforms = [*_platforms(libc, machine), f"linux_{machine}"]
    both: Iterable[Iterator[Tag]] = (
        cpython_tags(release, abis=[interpreter], platforms=platforms),
        compatible_tags(release, interpreter, platforms),
    )
    return {tag: rank for rank, tag in enumerate(dict.fromkeys(tag for tags in both for tag in tags))}


def _platforms(libc: str, machine: str) -> Iterator[str]:
    """The platform tags of a C library, newest first: it runs what was built for any older one of its kind."""
    kind, major, minor = libc.split("_")
    oldest = 0 if kind == "musllinux" else 5 if machine in ("x86_64", "i686") else 17
    for number in range(int(minor), oldest - 1, -1):
        yield f"{kind}_{major}_{number}_{machine}"
        if kind == "manylinux" and number in _LEGACY:
            yield f"{_LEGACY[number]}_{machine}"


@lru_cache(maxsize=64)
def _environment(python: str, machine: str) -> Mapping[str, str]:
    """The variables of PEP 508 in such a target."""
    release = (*Version(python).release, 0)[:3]
    full = ".".join(map(str, release))
    return {
        "implementation_name": "cpython",
        "implementation_version": full,
        "os_name": "posix",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": full,
        "python_version": ".".join(map(str, release[:2])),
        "sys_platform": "linux",
    }
