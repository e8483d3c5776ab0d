"""Where in a file we are, and the readers of what stands there. A lockfile is hostile until it has been read."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from packaging.markers import Marker
from packaging.utils import canonicalize_name

from watcher.errors import LockfileUnreadable
from watcher.versions.pep440 import Pep440, specifiers

T = TypeVar("T")
_LONGEST = 4_000
"""Characters in one value. The parsers behind it are recursive, and this is as deep as they have to go."""
_STRONG = {"sha256": 64, "sha384": 96, "sha512": 128}


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the file at `path`: a line, or a way through its tables. Its readers raise `LockfileUnreadable`."""

    path: str
    where: str = ""

    def at(self, where: str) -> "Place":
        """A place inside of this one."""
        return Place(self.path, f"{self.where}.{where}".lstrip("."))

    def wrong(self, expected: str, got: object) -> LockfileUnreadable:
        """The error to raise. What was got is shown short, and without anything that a terminal would obey."""
        shown = repr(got[:80]) if isinstance(got, str) else "nothing" if got is None else type(got).__name__
        return LockfileUnreadable(self.path, self.where, expected, shown)

    def a(self, kind: type[T], value: object, expected: str) -> T:
        """`value`, which has to be of that kind."""
        if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
            return value
        raise self.wrong(expected, value)

    def read(self, value: object, reader: Callable[[str], T], expected: str) -> T:
        """What `reader` makes of a text; it refuses one with a `ValueError`."""
        text = self.a(str, value, expected)
        if len(text) <= _LONGEST:
            with suppress(ValueError, RecursionError):
                return reader(text)
        raise self.wrong(expected, text)

    def package(self, value: object) -> str:
        """The normal form of a Python package's name."""
        return self.read(value, _name, "the name of a package")

    def version(self, value: object) -> str:
        """The normal form of a PEP 440 version."""
        return self.read(value, Pep440().normal, "a PEP 440 version")

    def constraint(self, value: object) -> str:
        """A PEP 440 specifier in its one spelling; no value is no constraint."""
        return "" if value is None else self.read(value, lambda text: str(specifiers(text)), "a PEP 440 specifier")

    def marker(self, value: object) -> str:
        """A PEP 508 marker in its one spelling; no value is no marker."""
        return "" if value is None else self.read(value, lambda text: str(Marker(text)), "a PEP 508 marker")

    def digest(self, value: object) -> str:
        """`sha256:…`, or one of the longer hashes of its family."""
        return self.read(value, _digest, "a hash such as sha256:…")


def _name(text: str) -> str:
    if len(text) > 200:
        raise ValueError
    return canonicalize_name(text, validate=True)


def _digest(text: str) -> str:
    algorithm, _, digits = text.partition(":")
    if len(digits) != _STRONG.get(algorithm) or not set(digits) <= set("0123456789abcdef"):
        raise ValueError
    return text
