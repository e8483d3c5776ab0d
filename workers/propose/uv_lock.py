"""uv.lock, by `uv lock`."""

import posixpath
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from watcher.lockfiles.wanted import inside
from workers.propose.bench import Unsolved
from workers.propose.manifest import unbuilt
from workers.propose.move import Move
from workers.propose.requirement_edit import raised_in
from workers.propose.uv import configuration, upgrades
from workers.propose.workshop import Workshop

_OWN = ("virtual", "editable", "directory")
_START = "[[package]]\n"


class UvLock:
    """`[tool.uv]` applies as it stands, and `--exclude-newer` is never given: uv would write it into the lock."""

    def keeps(self, text: str, path: str) -> bool:
        return posixpath.basename(path) == "uv.lock"

    def beside(self, text: str, path: str) -> tuple[str, ...]:
        """The manifests of everything in the lock that lies in the repository, and uv's configuration."""
        if not self.keeps(text, path):
            return ()
        here = posixpath.dirname(path)
        sources = [package.get("source", {}) for package in tomllib.loads(text).get("package", ())]
        places = [str(source[kind]) for source in sources for kind in _OWN if kind in source]
        manifests = (inside(here, posixpath.join(place, "pyproject.toml")) for place in sorted(places))
        return (*configuration(here), *filter(None, manifests))

    def run(self, files: Mapping[str, str], path: str, moves: Sequence[Move], shop: Workshop) -> Mapping[str, str]:
        here = posixpath.dirname(path)
        edits = raised_in(files, [name for name in files if name.endswith("pyproject.toml")], moves)
        with shop.uv.bench(unbuilt({**files, **edits})) as bench:
            bench.uv(argv(moves), here, any_python=False)
            made = bench.read(path)
            # uv writes the format of its own day, and files that appeared since. Where its older self still takes the
            # old text, only what moved is taken from the new one.
            kept = grafted(files[path], made)
            bench.write(path, kept)
            try:
                bench.uv(["lock", "--check"], here, any_python=False)
            except Unsolved:
                bench.write(path, made)
                bench.uv(["lock", "--check"], here, any_python=False)
                return {**edits, path: made}
            return {**edits, path: kept}


def argv(moves: Sequence[Move]) -> list[str]:
    """The words behind `uv`. A page of the index that is still in uv's cache may be from before the release."""
    return ["lock", *upgrades(moves)]


def grafted(old: str, new: str) -> str:
    """`new`, with the text of `old` wherever they say the same: for packages at the same version from the same source.

    Raises `Unsolved` if a package at the same version comes from elsewhere now.
    """
    old_head, *old_packages = old.replace("\r\n", "\n").split(_START)
    new_head, *new_packages = new.split(_START)
    known = {_key(text): text for text in old_packages}
    packages = []
    for text in new_packages:
        twin = known.get(_key(text))
        if twin is not None and _source(twin) != _source(text):
            name, version = _key(text)
            hint = "set `url` of this index in the configuration to the one in the lock"
            raise Unsolved(f"{name} {version} would come from {_source(text)} and not from {_source(twin)}", hint)
        packages.append(twin if twin is not None and _meaning(twin) == _meaning(text) else text)
    same = {**tomllib.loads(old_head), "revision": 0} == {**tomllib.loads(new_head), "revision": 0}
    text = _START.join([old_head if same else new_head, *packages]).rstrip("\n") + "\n"
    return text.replace("\n", "\r\n") if "\r\n" in old else text


def _package(text: str) -> dict[str, Any]:
    package: dict[str, Any] = tomllib.loads(_START + text)["package"][0]
    return package


def _key(text: str) -> tuple[str, str]:
    package = _package(text)
    return str(package["name"]), str(package.get("version", ""))


def _source(text: str) -> str:
    return " ".join(f"{kind} {place}" for kind, place in _package(text).get("source", {}).items())


def _meaning(text: str) -> dict[str, Any]:
    """All but the files: one that was uploaded to a version later is no reason to touch it."""
    return {key: value for key, value in _package(text).items() if key not in ("sdist", "wheels")}
