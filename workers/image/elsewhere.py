"""The packages that a lock takes from no index: from git, from an address, or from the repository itself."""

import hashlib
import json
import posixpath
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from watcher.inert import inert
from watcher.pin import Pin
from watcher.settings import ImageSettings
from watcher.source import GIT, PATH, URL, Source
from watcher.wheels import Wheels
from workers.image.component import Component, key_of
from workers.image.content import sha256_of
from workers.image.entry import tree
from workers.image.errors import BuildRefused
from workers.image.link import Link, link, name_of
from workers.image.supply import Brought
from workers.image.unpack import emptied, only_directory, unpack
from workers.image.wheel import Wheel, read_wheel
from workers.image.workshop import Tree, Workshop

Checkout = Callable[[str, str, Path], None]
"""Writes the files of a commit of the git repository at an address into an empty directory."""


class Elsewhere:
    """The sources that are installed on the image's target. `components` are known without fetching anything."""

    def __init__(
        self,
        sources: Sequence[Source],
        root: Path,
        code: Collection[str],
        workshop: Workshop,
        checkout: Checkout,
        now: datetime,
    ) -> None:
        """`root` is the tree of the commit, and `code` are the paths in it that are in the image.

        Raises a `BuildRefused` for a source that cannot be installed at all.
        """
        self._root, self._code, self._workshop = root, code, workshop
        self._image, self._checkout, self._now = workshop.image, checkout, now
        target = Wheels.of(self._image)
        named = [self._named(one) for one in sources if target.wants(_pin(one))]
        self._links = {one: self._link(one) for one in named if one.editable and one.kind == PATH}
        self._sources = {self._component(one): one for one in dict.fromkeys(named)}

    @property
    def components(self) -> Sequence[Component]:
        """See `Supply`."""
        return tuple(self._sources)

    @property
    def pins(self) -> Mapping[Component, Pin]:
        """What other packages may count on. A version is empty where only a build can tell."""
        return {component: replace(_pin(one), version=component.version) for component, one in self._sources.items()}

    def expect(self, components: Collection[Component]) -> None:
        """See `Supply`."""

    def weigh(self, component: Component) -> int | None:
        """See `Supply`."""
        made = self._links.get(self._sources[component])
        return sum(map(len, made.files.values())) if made else None

    def bring(self, component: Component, place: Path) -> Brought:
        """See `Supply`."""
        source = self._sources[component]
        mine, direct_url = emptied(place / component.key), _direct_url(source, self._image)
        made = self._links.get(source)
        file = made.write(mine) if made else self._file(source, mine)
        if file and file.name.endswith(".whl"):
            wheel = read_wheel(file, source.package, component.version)
            return Brought.of(wheel, self._image, direct_url=direct_url)
        wheel = self._built(component, source, file, mine)
        return Brought.of(wheel, self._image, direct_url=direct_url, built_on=self._workshop.built_on(wheel))

    # --- what there is ---

    def _named(self, source: Source) -> Source:
        """The source with its name, wherever that stands."""
        place = (self._root / source.path).resolve()
        if source.kind == PATH and not (place.exists() and place.is_relative_to(self._root.resolve())):
            raise BuildRefused(source.lock, f"it asks for {_shown(source)}, which is not in the repository")
        if source.package:
            return source
        is_directory = source.kind == PATH and (self._root / source.at).is_dir()
        name = name_of(self._root, source.path) if is_directory else _wheel_name(source)
        if not name:
            hint = f"write `name @ …` in {source.lock}"
            raise BuildRefused(source.lock, f"what package is at {_shown(source)}, only its code can tell", hint)
        return replace(source, package=name)

    def _link(self, source: Source) -> Link | None:
        made = link(self._root, source.path, self._image.code)
        if made is None:
            return None
        if made.package != source.package:
            raise BuildRefused(source.lock, f"it has `{source.package}` in {source.path}, where `{made.package}` is")
        for to in made.to:
            if to != "." and not any(path.startswith(f"{to}/") for path in self._code):
                hint = "take it out of .toplayerignore or .dockerignore"
                raise BuildRefused(source.lock, f"`{source.package}` links to {to}, which is not in the image", hint)
        return made

    def _component(self, source: Source) -> Component:
        image, made = self._image, self._links.get(source)
        facts: dict[str, Any] = {"package": f"pypi:{source.package}", "python": image.python, "venv": image.venv}
        facts["direct"] = _direct_url(source, image).decode()
        if made:
            return Component(f"pypi:{source.package}", key_of(facts | {"link": dict(made.files)}), made.version)
        facts |= {"version": source.version, "files": list(source.hashes), "editable": source.editable}
        facts |= {"platform": image.platform, "libc": image.libc}
        if source.kind == PATH:
            facts["contents"] = self._contents(source)
        return Component(f"pypi:{source.package}", key_of(facts), source.version)

    def _contents(self, source: Source) -> str:
        place = self._root / source.at
        if place.is_file():
            return sha256_of(place)
        digits = hashlib.sha256()
        for entry in tree(place, "", _no_git):
            held = sha256_of(entry.content) if entry.content is not None else ""
            digits.update(repr((entry.path, entry.link, entry.executable, held)).encode())
        return digits.hexdigest()

    # --- where it comes from ---

    def _built(self, component: Component, source: Source, file: Path | None, place: Path) -> Wheel:
        """Of the archive `file`, or of a directory."""
        name = f"{source.package} from {_shown(source)}" + (f" at {source.commit[:12]}" if source.commit else "")
        build = Tree(
            name=name,
            package=source.package,
            key=component.key,
            place=self._unpacked(file, place, name) if file else self._directory(source, place),
            directory="" if source.kind == PATH and not source.editable else source.directory,
            version=component.version,
        )
        if source.editable and source.kind == PATH:
            at = "" if source.path == "." else source.path
            build = replace(build, place=self._root, directory=at, editable=True, place_there=self._image.code)
        return self._workshop.wheel(build, place, self._now)

    def _file(self, source: Source, place: Path) -> Path | None:
        """The wheel or the archive that the source is, if it is one."""
        if source.kind == URL:
            name = posixpath.basename(urlsplit(source.at).path) or "archive"
            return self._workshop.wheelhouse.fetch(source.at, place / name, source.hashes)
        file = self._root / source.at
        if source.kind == GIT or file.is_dir():
            return None
        if source.hashes and f"sha256:{sha256_of(file)}" not in source.hashes:
            raise BuildRefused(source.at, f"its bytes are not those that {source.lock} has the hash of", "lock again")
        return file

    def _unpacked(self, file: Path, place: Path, name: str) -> Path:
        unpack(file, emptied(place / "source"), name)
        return only_directory(place / "source", name)

    def _directory(self, source: Source, place: Path) -> Path:
        if source.kind == PATH:
            return self._root / source.path
        into = emptied(place / "source")
        self._checkout(source.at, source.commit, into)
        return into


def _no_git(path: str, _: bool) -> bool:
    return posixpath.basename(path) != ".git"


def _pin(source: Source) -> Pin:
    return Pin(
        ecosystem="pypi",
        package=source.package,
        version=source.version,
        lock=source.lock,
        marker=source.marker,
        source=source.kind,
        extras=source.extras,
        groups=source.groups,
    )


def _wheel_name(source: Source) -> str:
    try:
        return parse_wheel_filename(posixpath.basename(urlsplit(source.at).path))[0]
    except InvalidWheelFilename:
        return ""


def _bare(source: Source) -> str:
    """Where it is, without a user and a password."""
    parts = urlsplit(source.at)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if parts.scheme else source.at


def _shown(source: Source) -> str:
    return inert(_bare(source), 200)


def _direct_url(source: Source, image: ImageSettings) -> bytes:
    """What tells in an environment where a package is from: PEP 610, without credentials."""
    hashes = dict(one.split(":", 1) for one in source.hashes[:1]) if len(source.hashes) == 1 else {}
    archive = {"archive_info": {"hashes": hashes} if hashes else {}}
    found: dict[str, Any] = {"url": _bare(source)}
    if source.kind == PATH:
        at = posixpath.normpath(posixpath.join(image.code, source.path))
        is_file = posixpath.basename(at).endswith((".whl", ".tar.gz", ".zip"))
        found = {"url": f"file://{at}", **(archive if is_file else {"dir_info": {"editable": source.editable}})}
    elif source.kind == GIT:
        found["vcs_info"] = {"vcs": "git", "commit_id": source.commit}
    else:
        found |= archive
    if source.directory and source.kind != PATH:
        found["subdirectory"] = source.directory
    return json.dumps(found, sort_keys=True).encode()
