"""A composer.lock → the parts of an image: a component for each package, and one for what Composer writes itself.

Composer resolves nothing here, and lays everything out: it installs the lock into a copy of the commit, and what it
left there is split up. What the repository of the image has already, Composer is told that it has installed: an empty
directory stands for it. So a bump downloads one package, also on a machine that has nothing but the lock.
"""

import hashlib
import json
import os
import posixpath
import re
import shutil
import threading
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from watcher.errors import ToplayerError
from watcher.inert import inert
from watcher.lockfiles.composer_json import document, mapping
from watcher.lockfiles.composer_lock import Locked
from watcher.lockfiles.place import Place
from watcher.lockfiles.wanted import inside
from watcher.settings import ImageSettings
from watcher.versions.composer import normalize, satisfies
from workers.composer import Composer, words
from workers.image.component import AUTOLOADER, Component, key_of
from workers.image.composer_project import Project, paths
from workers.image.content import chunks
from workers.image.entry import Entry, shown, tree
from workers.image.errors import BuildRefused
from workers.image.plugins import installed
from workers.image.sandbox import Sandbox
from workers.image.supply import Brought
from workers.process import ToolFailed

_METAPACKAGE = "metapackage"
_NUMBER = re.compile(r"\d+(?:\.\d+){0,3}", re.ASCII)


class Vendor:
    """What the lock at `lock` brings into an image. Its files are there when somebody asks for them.

    `components` are known without installing anything. Raises `LockfileUnreadable` and `BuildRefused`.
    """

    def __init__(
        self,
        root: Path,
        lock: str,
        image: ImageSettings,
        composer: Composer,
        scratch: Path,
        sandbox: Sandbox | None = None,
    ) -> None:
        """`sandbox` is where what the settings let Composer run is run."""
        self._project, self._sandbox = Project.read(root, lock), sandbox if image.composer else None
        self._image, self._composer, self._scratch = image, composer, scratch
        self._guard = threading.Lock()
        self._runs = 0
        self._made: Mapping[str, Sequence[Entry]] | None = None
        self._failed: ToplayerError | None = None
        self._licenses = {f"packagist:{one.package}": _license(one) for one in self._project.packages}
        packages = [self._component(one) for one in self._project.packages if one.row.get("type") != _METAPACKAGE]
        self.components: tuple[Component, ...] = (*packages, self._autoloader())
        self._wanted = set[str]()

    @property
    def place(self) -> str:
        """Where Composer puts packages, as a path in the repository: what lies there in the commit does not count."""
        return self._project.vendor

    def expect(self, components: Collection[Component]) -> None:
        """See `Supply`."""
        with self._guard:
            mine = {component.name for component in components} & {component.name for component in self.components}
            if self._runs == 0:
                self._wanted = mine
            elif not mine <= self._wanted:
                self._wanted |= mine
                self._made = None

    def weigh(self, component: Component) -> int:
        """See `Supply`. What is new has to be installed anyway, and then its size is no guess."""
        return _weighed(self.entries(component))

    def bring(self, component: Component, place: Path) -> Brought:
        """See `Supply`."""
        entries = self.entries(component)
        return Brought(entries, _weighed(entries), license=self._licenses.get(component.name, ""))

    def entries(self, component: Component) -> Sequence[Entry]:
        """The files of a component that is expected. Composer runs when the first of them is asked for.

        Raises `BuildRefused`, `ToolTimedOut`, `IndexUnreachable` and `IndexRefused`.
        """
        with self._guard:
            if self._failed is not None:
                raise self._failed
            if self._made is None:
                try:
                    self._made = self._installed()
                except ToplayerError as error:
                    self._failed = error
                    raise
            return self._made.get(component.name, ())

    # --- what there is ---

    def _component(self, one: Locked) -> Component:
        facts = {
            "package": f"packagist:{one.package}",
            "name": one.row["name"],
            "version": one.version,
            "dist": _identity(one.part("dist")),
            "source": _identity(one.part("source")),
            "type": one.row.get("type"),
            "target": one.row.get("target-dir"),
            "vendor": posixpath.join(self._image.code, self._project.vendor),
            **self._runs_what(),
        }
        return Component(f"packagist:{one.package}", key_of(facts), one.version)

    def _autoloader(self) -> Component:
        """It depends on the whole lock, and where Composer looks into files for classes, on all of these."""
        project = self._project
        facts = {
            "name": AUTOLOADER,
            "lock": _digest(project.texts[0]),
            "manifest": _digest(project.texts[1]),
            "tree": project.contents() if project.is_scanned or "scripts" in self._image.composer else "",
            "vendor": posixpath.join(self._image.code, project.vendor),
            **self._runs_what(),
        }
        return Component(AUTOLOADER, key_of(facts))

    def _runs_what(self) -> dict[str, object]:
        """What plugins may make of any package depends on all of the lock, and on the base that they run in."""
        if self._sandbox is None:
            return {}
        return {"runs": self._image.composer, "in": self._sandbox.digest, "of": _digest(self._project.texts[0])}

    # --- what is in it ---

    def _installed(self) -> dict[str, list[Entry]]:
        """Composer's work, by component."""
        self._runs += 1
        mine = self._scratch / f"composer-{self._runs}"
        project, copy, home = self._project, mine / "tree", mine / "home"
        home.mkdir(parents=True)
        shutil.copytree(project.root, copy, symlinks=True, copy_function=_linked)
        shutil.rmtree(copy / project.vendor, ignore_errors=True)
        before = set(paths(copy))
        _pretend(copy / project.vendor, [one for one in project.packages if not self._is_needed(one)])
        _settle(copy / project.lock, project, self._image)
        # The cache that all share has what belongs to others.
        composer = replace(self._composer, cache=mine / "cache") if self._sandbox else self._composer
        try:
            composer.install(copy / project.directory, home, project.suffix)
        except ToolFailed as error:
            raise BuildRefused(
                project.lock, f"Composer does not install it: {words(error.said)}", error.hint
            ) from error
        if self._sandbox:
            for path in sorted(set(paths(copy)) - before, reverse=True):
                _remove(copy / path)
            copy = installed(self._sandbox, self._image, project.lock, copy, project.directory, mine)
        owners = dict(_owners(copy, project))
        found: dict[str, list[Entry]] = {}
        # A package that is installed from its sources is a checkout; its history is nothing for an image.
        fresh = tree(copy, "", lambda path, known: posixpath.basename(path) != ".git" and (known or path not in before))
        for entry in fresh:
            if entry.path not in before:
                place = posixpath.join(self._image.code.lstrip("/"), entry.path)
                found.setdefault(_owner(entry.path, owners), []).append(replace(entry, path=place))
        return found

    def _is_needed(self, one: Locked) -> bool:
        """Whether the package's files have to be there: somebody wants them, or Composer looks into them."""
        config, autoload = self._project.manifest.config, one.part("autoload")
        is_scanned = "classmap" in autoload or self._project.is_optimized or one.row.get("bin")
        is_cheap = one.row.get("type") == _METAPACKAGE or one.part("dist").get("type") == "path"
        return bool(
            self._sandbox
            or f"packagist:{one.package}" in self._wanted
            or is_scanned
            or is_cheap
            or "preferred-install" in config
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _identity(part: Mapping[str, Any]) -> list[object]:
    """What says which bytes come of it: the reference; its address only where there is none."""
    reference = part.get("reference")
    return [part.get("type"), reference, part.get("shasum"), None if reference else part.get("url")]


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _linked(source: str, target: str) -> str:
    """Another name for a file, in the place of a copy: Composer makes new files and changes none of these."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)
    return target


def _pretend(vendor: Path, packages: Sequence[Locked]) -> None:
    """Lets Composer find these packages installed, as it would have noted it down itself."""
    rows = [
        {
            **one.row,
            "version_normalized": normalize(one.row["version"]),
            "installation-source": "dist" if one.part("dist") else "source",
        }
        for one in packages
    ]
    if not rows:
        return
    for one in packages:
        target = one.place.at("target-dir").a(str, one.row.get("target-dir") or "", "a directory")
        place = inside(one.row["name"], target) if target else one.row["name"]
        if not place.startswith(one.row["name"]):
            raise one.place.at("target-dir").wrong("a directory of the package", target)
        (vendor / place).mkdir(parents=True)
    (vendor / "composer").mkdir(exist_ok=True)
    noted = {"packages": rows, "dev": False, "dev-package-names": []}
    (vendor / "composer" / "installed.json").write_text(json.dumps(noted))


def _settle(path: Path, project: Project, image: ImageSettings) -> None:
    """Tells Composer of the image's PHP, and that its extensions are there: this machine's say nothing about it."""
    lock = document(path.read_text(encoding="utf-8"), path.name)
    php = f"{image.php}.0" if image.php.count(".") == 1 else str(image.php)
    asked = dict(project.platform())
    ours = {name: _fitting(constraint, php) for name, constraint in asked.items() if name.startswith(("ext-", "lib-"))}
    given = mapping(lock.get("platform-overrides"), Place(path.name, "platform-overrides"))
    lock["platform-overrides"] = {**ours, **({"php": php} if php else {}), **given}
    # It is another name for the commit's own file: a new one has to take its place.
    path.unlink()
    path.write_text(json.dumps(lock))


def _fitting(constraint: str, php: str) -> str:
    """A version that a constraint on an extension admits: PHP's own, or the first one that the constraint names."""
    named: list[str] = _NUMBER.findall(constraint)
    for version in (php or "8.0.0", *named):
        try:
            if satisfies(version, constraint):
                return version
        except ValueError:
            continue
    return php or "8.0.0"


def _owners(copy: Path, project: Project) -> Iterator[tuple[str, str]]:
    """The component of each directory that Composer has installed a package into."""
    path = posixpath.join(project.vendor, "composer/installed.json")
    data = document((copy / path).read_text(encoding="utf-8"), path)
    rows = Place(path, "packages").a(list, data.get("packages"), "a list of packages")
    for row in rows:
        place = row.get("install-path")
        if isinstance(place, str):
            where = inside(posixpath.dirname(path), place)
            if not where:
                raise BuildRefused(shown(place), "a package is installed out of the repository", _INSIDE)
            yield where, f"packagist:{row['name'].lower()}"


def _license(one: Locked) -> str:
    """What a lock says of a package's licence: of several, any may be chosen."""
    said = one.row.get("license")
    return inert(" OR ".join(map(str, said)) if isinstance(said, list) else str(said or ""), 200)


def _weighed(entries: Iterable[Entry]) -> int:
    """What files come to as they travel, nearly to the byte: a tar adds little that does not pack away."""
    packer, total = zlib.compressobj(), 0
    for one in entries:
        for chunk in chunks(one.content) if one.content is not None else ():
            total += len(packer.compress(chunk))
    return total + len(packer.flush())


_INSIDE = "keep all packages in the vendor directory, or somewhere else in the repository"


def _owner(path: str, owners: Mapping[str, str]) -> str:
    while path:
        if path in owners:
            return owners[path]
        path = posixpath.dirname(path)
    return AUTOLOADER
