"""A lock in TOML that its tool wrote anew, with the old text wherever the two say the same."""

import tomllib
from typing import Any

from workers.propose.bench import Unsolved

_START = "[[package]]\n"


def grafted(old: str, new: str) -> str:
    """`new`, with the text of `old` wherever they say the same: for packages at the same version from the same source.

    Raises `Unsolved` if a package at the same version comes from elsewhere now.
    """
    old_head, *old_packages = old.split(_START)
    new_head, *new_packages = new.split(_START)
    known = {_key(text): text for text in old_packages}
    sources: dict[tuple[str, ...], list[str]] = {}
    for text in old_packages:
        sources.setdefault(_release(text), []).append(_source(text))
    packages = []
    for text in new_packages:
        before = sources.get(_release(text), [])
        if before and _source(text) not in before:
            name, version, *_ = _release(text)
            hint = "set `url` of this index in the configuration to the one in the lock"
            raise Unsolved(f"{name} {version} would come from {_source(text)} and not from {before[0]}", hint)
        twin = known.get(_key(text))
        packages.append(twin if twin is not None and _meaning(twin) == _meaning(text) else text)
    head = old_head if _head(old_head) == _head(new_head) else new_head
    return _START.join([head, *packages]).rstrip("\n") + "\n"


def _head(text: str) -> dict[str, Any]:
    """All that stands above the packages, but for who wrote it."""
    data = tomllib.loads(text)
    data.pop("revision", None)
    data.get("metadata", {}).pop("lock_version", None)
    return data


def _package(text: str) -> dict[str, Any]:
    package: dict[str, Any] = tomllib.loads(_START + text)["package"][0]
    return package


def _release(text: str) -> tuple[str, ...]:
    """A package at a version. To PDM, one with an extra is another one."""
    package = _package(text)
    return str(package["name"]), str(package.get("version", "")), *map(str, package.get("extras", ()))


def _key(text: str) -> tuple[object, ...]:
    """What tells a package from every other one: a version of it can be from several places, each for its platform."""
    return _release(text), _source(text), tuple(_package(text).get("resolution-markers", ()))


def _source(text: str) -> str:
    return " ".join(f"{kind} {place}" for kind, place in _package(text).get("source", {}).items())


def _meaning(text: str) -> dict[str, Any]:
    """All but the files: one that was uploaded to a version later is no reason to touch it."""
    return {key: value for key, value in _package(text).items() if key not in ("sdist", "wheels", "files")}
