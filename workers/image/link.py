"""A package of the repository that stays where it is: a wheel that only links to it (`pip install -e`, PEP 660).

Where a pyproject.toml says everything, nothing has to be run to make one: the code is in the code layer, and the link
is a file with its path, the metadata, and the entry points. What is left to a build backend is built by it.
"""

import base64
import hashlib
import posixpath
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from watcher.lockfiles.table import toml
from workers.image.errors import BuildRefused
from workers.image.roots import Roots, roots, table
from workers.image.unpack import small_text

_DEFAULT = "setuptools.build_meta"


@dataclass(frozen=True, slots=True)
class Link:
    """The files of a wheel that links to the directories `to`, paths in the repository."""

    package: str
    version: str
    to: Roots
    files: Mapping[str, str]

    def write(self, directory: Path) -> Path:
        """Writes the wheel."""
        stem = f"{self.package.replace('-', '_')}-{self.version}"
        path = directory / f"{stem}-py3-none-any.whl"
        rows = [f"{name},sha256={_hash(text)},{len(text.encode())}" for name, text in self.files.items()]
        record = f"{stem}.dist-info/RECORD"
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in self.files.items():
                archive.writestr(name, text)
            archive.writestr(record, "".join(f"{row}\n" for row in (*rows, f"{record},,")))
        return path


def link(root: Path, path: str, code: str) -> Link | None:
    """The link to the project in the directory `path` of the tree `root`, which lies in the image at `code`.

    None if only its build backend knows how to make one. A `BuildRefused` if there is no project at all.
    """
    file = posixpath.normpath(posixpath.join(path, "pyproject.toml"))
    if not (root / file).is_file():
        if (root / path / "setup.py").is_file():
            return None
        raise BuildRefused(file, "expected a project to install, got no such file")
    data = pyproject(root, file)
    project, system, tool = table(data, "project"), table(data, "build-system"), table(data, "tool")
    if not _is_static(project):
        return None
    found = roots(root / path, project["name"], str(system.get("build-backend", _DEFAULT)), tool)
    if found is None:
        return None
    to = tuple(posixpath.normpath(posixpath.join(path, one)) for one in found)
    try:
        package, version = canonicalize_name(project["name"]), str(Version(project["version"]))
        places = [posixpath.normpath(posixpath.join(code, one)) for one in to]
        files = dict(_files(project, package, version, places))
    except (InvalidRequirement, InvalidVersion, KeyError, TypeError, AttributeError, ValueError) as error:
        raise BuildRefused(file, f"its [project] cannot be read: {error}") from None
    return Link(package, version, to, files)


def pyproject(root: Path, file: str, name: str = "") -> dict[str, Any]:
    """What a pyproject.toml says that lies in the tree `root`, and not behind a link that leads out of it.

    `name` is what people call the file, if its path says too little.
    """
    if not (root / file).resolve().is_relative_to(root.resolve()):
        raise BuildRefused(name or file, "expected a file of its own tree, got a link that leads out of it")
    return toml(small_text(root / file, name or file), name or file)


def name_of(root: Path, path: str) -> str:
    """The name of the project in a directory, as far as its pyproject.toml tells; else an empty text."""
    file = posixpath.normpath(posixpath.join(path, "pyproject.toml"))
    if not (root / file).is_file():
        return ""
    name = table(pyproject(root, file), "project").get("name")
    return canonicalize_name(name) if isinstance(name, str) else ""


def _is_static(project: Mapping[str, Any]) -> bool:
    """Whether the metadata that matters stands there."""
    ours = {"version", "dependencies", "optional-dependencies", "scripts", "gui-scripts", "entry-points"}
    dynamic = project.get("dynamic") or ()
    return isinstance(project.get("name"), str) and isinstance(project.get("version"), str) and not ours & {*dynamic}


def _files(project: Mapping[str, Any], package: str, version: str, to: Sequence[str]) -> Iterator[tuple[str, str]]:
    info = f"{package.replace('-', '_')}-{version}.dist-info"
    yield f"__editable__.{package.replace('-', '_')}.pth", "".join(f"{one}\n" for one in to)
    yield f"{info}/METADATA", "".join(f"{line}\n" for line in _metadata(project, version))
    yield f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: toplayer\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    groups = {"console_scripts": project.get("scripts"), "gui_scripts": project.get("gui-scripts")}
    groups |= project.get("entry-points", {})
    lines = [
        f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in group.items())
        for name, group in groups.items()
        if group
    ]
    if lines:
        yield f"{info}/entry_points.txt", "\n".join(lines)


def _metadata(project: Mapping[str, Any], version: str) -> Iterator[str]:
    yield "Metadata-Version: 2.1"
    yield f"Name: {project['name']}"
    yield f"Version: {version}"
    if needs := project.get("requires-python"):
        yield f"Requires-Python: {' '.join(str(needs).split())}"
    yield from (f"Requires-Dist: {Requirement(text)}" for text in project.get("dependencies", ()))
    for extra, texts in project.get("optional-dependencies", {}).items():
        name = canonicalize_name(extra)
        yield f"Provides-Extra: {name}"
        for requirement in map(Requirement, texts):
            condition = f'extra == "{name}"'
            marker = f"({requirement.marker}) and {condition}" if requirement.marker else condition
            requirement.marker = None
            yield f"Requires-Dist: {requirement} ; {marker}"


def _hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
