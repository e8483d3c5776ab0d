"""requirements.txt, pinned by hand or compiled by uv or pip-tools.

The format: https://pip.pypa.io/en/stable/reference/requirements-file-format/.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from packaging.requirements import Requirement

from watcher.lockfiles.compiled import compiled
from watcher.lockfiles.lines import Line, lines
from watcher.lockfiles.place import Place
from watcher.lockfiles.wanted import constraint_of, included, wanted_in
from watcher.pin import Pin

_OPTION = re.compile(r"(--[a-z][a-z-]*|-[a-zA-Z])[\s=]*(.*)")
_INCLUDES = ("-r", "-c", "--requirement", "--constraint")
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
_ASKED = re.compile(r"-r\s+\S+|\S+ \((?:pyproject\.toml|setup\.py|setup\.cfg)(?::[^)]*)?\)")


class Requirements:
    """A requirements file as a lock: every requirement in it is pinned by `==`.

    What is asked for by a file, a directory or an address has no version that an index could better, and is no pin.
    Options are passed over. A file that includes others is refused: its pins are not all in it.
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
        logical = lines(text, path)
        made = compiled(logical, path)
        wanted = wanted_in(made.inputs, made.limits, manifests) if made else ()
        asked = {one.package for one in wanted if one.asks}
        vias = {line.first: _via(line) for line in logical}
        by_note = any(vias.values())
        found: dict[tuple[str, str], Pin] = {}
        for line in logical:
            place = Place(path, f"line {line.first}")
            pin = _pin(line, place)
            if pin is None:
                continue
            if (pin.package, pin.marker) in found:
                raise place.wrong("a package once", f"{pin.package} again")
            via = vias[line.first]
            noted = not via or any(_ASKED.fullmatch(source) for source in via)
            found[pin.package, pin.marker] = replace(
                pin,
                direct=noted if by_note or not asked else pin.package in asked,
                constraint=constraint_of(pin.package, pin.marker, wanted),
            )
        return tuple(found.values())


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


def _pin(line: Line, place: Place) -> Pin | None:
    if not line.text or _is_option(line.text, place):
        return None
    body, *options = " ".join(line.text.split()).split(" --")
    if _NO_NAME.match(body):
        return None
    if "://" in body:
        return None  # name @ address
    requirement = place.read(body, Requirement, "a requirement such as name==1.0")
    if requirement.url:
        return None
    specifiers = list(requirement.specifier)
    if len(specifiers) != 1 or specifiers[0].operator not in ("==", "===") or specifiers[0].version.endswith("*"):
        raise place.wrong("one exact version (name==1.0)", body)
    return Pin(
        ecosystem="pypi",
        package=place.package(requirement.name),
        version=place.version(specifiers[0].version),
        lock=place.path,
        marker=str(requirement.marker or ""),
        hashes=tuple(sorted(_hashes(options, place))),
        extras=tuple(sorted(requirement.extras)),
    )


def _is_option(text: str, place: Place) -> bool:
    match = _OPTION.fullmatch(text)
    if match is None:
        return False
    option, value = match[1], match[2]
    if option in _INCLUDES:
        raise place.wrong("every pin in this one file", f"{option} {value}")
    if option not in _OPTIONS:
        raise place.wrong("a requirement, or an option that pip knows", option)
    return True


def _hashes(options: Iterable[str], place: Place) -> Iterator[str]:
    for option in options:
        match = _OF_ONE.fullmatch(option)
        if match is None:
            raise place.wrong("--hash=sha256:…", f"--{option}")
        if match[1] == "hash":
            yield place.digest(match[2])
