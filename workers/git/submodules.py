"""The submodules of a commit: directories of it that are commits of other repositories."""

import os
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from workers.git.errors import GitRefused

Bring = Callable[[str, str, Path], None]
"""Writes the files of a commit of the repository at an address into an empty directory."""
_KEY = re.compile(r"submodule\.(.+)\.(path|url)\n(.*)", re.DOTALL)
_LOCAL = re.compile(r"[/.]|file:")


@dataclass(frozen=True, slots=True)
class Submodule:
    """The repository at `url`, whose files as of `commit` belong to `path`."""

    path: str
    url: str
    commit: str


def submodules(links: Collection[tuple[str, str]], told: bytes, url: str, place: str) -> Iterator[Submodule]:
    """The submodules at `links` (their paths and commits) of the repository at `url`.

    `told` is what `git config -z` says of .gitmodules. A `GitRefused` for one of which it does not say where it is, and
    for one on our own disk, unless the repository itself is there: whoever can write to it may not see what lies here.
    """
    rows = [match.groups() for row in os.fsdecode(told).split("\0") if (match := _KEY.fullmatch(row))]
    paths = {value: name for name, key, value in rows if key == "path"}
    urls = {name: value for name, key, value in rows if key == "url"}
    for path, commit in links:
        said = urls.get(paths.get(path, ""), "")
        if not said:
            raise GitRefused(place, f"has a submodule at {path}, and its .gitmodules does not say where that is")
        found = resolved(said, url)
        if is_local(found) and not is_local(url):
            raise GitRefused(place, f"has a submodule at {path}, which is to be on this machine's own disk")
        yield Submodule(path, found, commit)


def resolved(url: str, base: str) -> str:
    """An address as git understands it in .gitmodules: one that begins with a dot is seen from the repository's own."""
    base = base.rstrip("/")
    if not url.startswith(("./", "../")):
        return url
    while url.startswith(("./", "../")):
        up, _, url = url.partition("/")
        if up == "..":
            base = re.sub(r"(?<=[^/:])[/:][^/:]*$", lambda match: ":" if match[0][0] == ":" else "", base)
    return f"{base}{url}" if base.endswith(":") else f"{base}/{url}"


def is_local(url: str) -> bool:
    """Whether it is a place on this machine's disk."""
    return _LOCAL.match(url) is not None
