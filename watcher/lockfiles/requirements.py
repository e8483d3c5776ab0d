"""requirements.txt, pinned by hand or compiled by uv or pip-tools.

The format: https://pip.pypa.io/en/stable/reference/requirements-file-format/.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qs, urlsplit

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from watcher.lockfiles.compiled import compiled
from watcher.lockfiles.lines import Line, lines
from watcher.lockfiles.place import Place
from watcher.lockfiles.wanted import INCLUDE, Wanted, constraint_of, included, inside, wanted_in
from watcher.lockfiles.where import anywhere
from watcher.pin import Pin
from watcher.source import Source

_OPTION = re.compile(r"(--[a-z][a-z-]*|-[a-zA-Z])[\s=]*(.*)")
_OPTIONS = (
    *("-i", "--index-url", "--extra-index-url", "--no-index", "-f", "--find-links", "--trusted-host"),
    *("--no-binary", "--only-binary", "--prefer-binary", "--require-hashes", "--pre", "--use-feature"),
    *("-e", "--editable"),
)
_OF_ONE = re.compile(r"(hash|config-settings?|global-option)[=\s]+(\S.*)")
# A file, a directory or an address in the place of a name.
_NO_NAME = re.compile(
    r"\.{0,2}/|\.{1,2}$|[A-Za-z][A-Za-z0-9+.-]*:|[^=]*\.(?:whl|zip|tar\.gz|tgz|tar\.bz2)(?:[\[;\s]|$)"
)
_EDITABLE = re.compile(r"(?:-e|--editable)[\s=]+(\S.*)")
_NAMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\s*(?:\[[^\]]*\])?\s*@\s*\S")
_EXTRAS = re.compile(r"\[([^\]]*)\]$")
_ASKED = re.compile(r"-r\s+\S+|\S+ \((?:pyproject\.toml|setup\.py|setup\.cfg)(?::[^)]*)?\)")


class Requirements:
    """A requirements file as a lock: every requirement in it is pinned by `==`, there or in a file that it includes.

    What is included by `-r` counts as if it stood here; what by `-c` pins what is asked for without a version, and what
    that needs. A pin's `lock` is the file that it stands in. What is asked for by a file, a directory or an address has
    no version that an index could better, and is no pin. Options are passed over.
    """

    ecosystem = "pypi"

    def also(self, text: str, path: str) -> tuple[str, ...]:
        """See `Format`: what it was compiled from; and of such a file, what it includes."""
        if path.endswith(".toml"):
            return ()
        made = compiled(lines(text, path), path)
        return (*made.inputs, *made.limits) if made else included(text, path)

    def pins(self, text: str, path: str, manifests: Mapping[str, str]) -> tuple[Pin, ...]:
        """See `Format`. Direct is what the notes (`# via -r …`) or else the inputs say; where neither is there, all."""
        made = compiled(lines(text, path), path)
        wanted = wanted_in(made.inputs, made.limits, manifests) if made else ()
        asked = {one.package for one in wanted if one.asks}
        rows = list(_rows(text, path, manifests, asks=True, above=()))
        by_note = any(row.via for row in rows)
        found: dict[tuple[str, str], Pin] = {}
        loose: dict[str, _Row] = {}
        for row in rows:
            pin = _pin(row)
            if pin is None:
                continue
            if not pin.version:
                if row.asks:
                    loose[pin.package] = row
                wanted = (*wanted, Wanted(pin.package, pin.constraint, pin.marker, row.asks))
                continue
            twin = found.get((pin.package, pin.marker))
            if twin is not None and (twin.lock == pin.lock or twin.version != pin.version):
                raise row.place.wrong("a package once", f"{pin.package} again")
            noted = not row.via or any(_ASKED.fullmatch(source) for source in row.via)
            direct = noted if by_note or not asked else pin.package in asked
            found[pin.package, pin.marker] = twin or replace(pin, direct=direct and (row.asks or pin.package in loose))
        pinned = {package for package, _ in found}
        for package, row in loose.items():
            if package not in pinned:
                raise row.place.wrong("one exact version (name==1.0)", row.line.text)
        return tuple(replace(pin, constraint=constraint_of(pin.package, pin.marker, wanted)) for pin in found.values())

    def sources(self, text: str, path: str, manifests: Mapping[str, str]) -> tuple[Source, ...]:
        """See `Format`: what is asked for by a file, a directory or an address, and by `-e`."""
        rows = _rows(text, path, manifests, asks=True, above=())
        return tuple(found for row in rows if row.asks for found in [_source(row)] if found)


@dataclass(frozen=True, slots=True)
class _Row:
    """A line and where it stands. `asks`: not in a file that only limits."""

    line: Line
    place: Place
    asks: bool

    @property
    def via(self) -> tuple[str, ...]:
        return _via(self.line)


def _rows(text: str, path: str, manifests: Mapping[str, str], *, asks: bool, above: tuple[str, ...]) -> Iterator[_Row]:
    """The lines of a file, and in the place of a line that includes another file, that one's. Limits come last."""
    later: list[tuple[str, Place]] = []
    for line in lines(text, path):
        place = Place(path, f"line {line.first}")
        match = INCLUDE.fullmatch(line.text)
        if match is None:
            yield _Row(line, place, asks)
            continue
        other = inside(posixpath.dirname(path), match[2])
        if other not in manifests:
            raise place.wrong("a file of the repository", match[2])
        if other in (path, *above):
            raise place.wrong("no file that includes itself", match[2])
        if match[1] in ("-r", "--requirement"):
            yield from _rows(manifests[other], other, manifests, asks=asks, above=(path, *above))
        else:
            later.append((other, place))
    for other, _ in later:
        yield from _rows(manifests[other], other, manifests, asks=False, above=(path, *above))


def _via(line: Line) -> tuple[str, ...]:
    """Who asks for the package, as uv and pip-tools note it behind or below a pin."""
    found: list[str] = []
    reading = False
    for comment in line.comments:
        words = comment.strip()
        if re.match(r"via\b", words):
            reading, words = True, words[3:].strip()
        else:
            reading = reading and comment.startswith("  ")
        found += words.split(", ") if reading and words else []
    return tuple(found)


def _pin(row: _Row) -> Pin | None:
    """The pin in a line, if it is one. Without a version: a requirement that leaves it open, or only a limit on it."""
    place = row.place
    if not row.line.text or _is_option(row.line.text, place):
        return None
    body, *options = " ".join(row.line.text.split()).split(" --")
    if _NO_NAME.match(body):
        return None
    if "://" in body:
        return None  # name @ address
    requirement = place.read(body, Requirement, "a requirement such as name==1.0")
    if requirement.url:
        return None
    specifiers = list(requirement.specifier)
    exact = len(specifiers) == 1 and specifiers[0].operator in ("==", "===") and not specifiers[0].version.endswith("*")
    return Pin(
        ecosystem="pypi",
        package=place.package(requirement.name),
        version=place.version(specifiers[0].version) if exact else "",
        lock=place.path,
        constraint="" if exact else str(requirement.specifier),
        marker=str(requirement.marker or ""),
        hashes=tuple(sorted(_hashes(options, place))),
        extras=tuple(sorted(requirement.extras)),
    )


def _source(row: _Row) -> Source | None:
    """What is asked for by its place, if the line does that."""
    body, *options = " ".join(row.line.text.split()).split(" --")
    match = _EDITABLE.fullmatch(" --".join([body, *options]))
    if match:
        body, options = match[1], []
    elif not body or body.startswith("-"):
        return None
    body, _, marker = body.partition(" ;") if " ;" in body else (body, "", "")
    place, name, extras = row.place, "", _EXTRAS.search(body)
    if _NAMED.match(body):
        requirement = place.read(f"{body} ; {marker}" if marker else body, Requirement, "name @ address")
        name, text, found = place.package(requirement.name), str(requirement.url), tuple(sorted(requirement.extras))
    elif _NO_NAME.match(body):
        text = body[: extras.start()] if extras else body
        found = tuple(sorted(filter(None, re.split(r"[\s,]+", extras[1])))) if extras else ()
        name = parse_qs(urlsplit(text).fragment).get("egg", [""])[0] if ":" in text else ""
    else:
        return None
    return Source(
        package=canonicalize_name(name),
        lock=place.path,
        marker=place.marker(marker.strip() or None),
        hashes=tuple(sorted(_hashes(options, place))),
        extras=found,
        **anywhere(place, text, editable=match is not None),
    )


def _is_option(text: str, place: Place) -> bool:
    match = _OPTION.fullmatch(text)
    if match is None:
        return False
    if match[1] not in _OPTIONS:
        raise place.wrong("a requirement, or an option that pip knows", match[1])
    return True


def _hashes(options: Iterable[str], place: Place) -> Iterator[str]:
    for option in options:
        match = _OF_ONE.fullmatch(option)
        if match is None:
            raise place.wrong("--hash=sha256:…", f"--{option}")
        if match[1] == "hash":
            yield place.digest(match[2])
