"""pdm.lock, by a PDM that writes its format.

PDM cannot be asked for a version: `pdm update name` goes to the newest one that is allowed, and so do the packages that
it takes along. So in the copy the project asks for exactly that version; then the manifest is as it was again, and PDM
locks once more, which keeps what is locked.
"""

import posixpath
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from watcher.inert import inert
from watcher.lockfiles.wanted import beside, inside
from workers.propose.bench import Unsolved
from workers.propose.graft import grafted
from workers.propose.manifest import unbuilt
from workers.propose.move import Move
from workers.propose.program import Program
from workers.propose.requirement_edit import raised_in
from workers.propose.uv import Uv, UvBench
from workers.propose.workshop import Workshop

_WRITERS = (("4.5.1", ">=2.28.1"), ("4.5", ">=2.17,<2.28.1"), ("4.4.2", "==2.16.*"), ("4.4", ">=2.11,<2.16"))
"""Formats of the lock, and the versions of PDM that write them; see `spec_version` in its sources."""
_FLAGS = (
    *("-d", "--dev", "--prod", "--production", "--no-default", "--without-default", "--no-cross-platform"),
    *("--static-urls", "--no-static-urls", "-v", "-vv", "--verbose", "-q", "--quiet"),
)
_VALUES = ("-G", "--group", "--with", "--without", "-S", "--strategy", "--exclude-newer", "-k", "--skip")
_PROJECT = re.compile(r"(?m)^[ \t]*\[[ \t]*project[ \t]*\][ \t]*(?:#[^\n]*)?(?:\r?\n|\Z)")
_TABLE = re.compile(r"(?m)^[ \t]*\[")
_ASKED = re.compile(r"(?m)^[ \t]*[\"']?dependencies[\"']?[ \t]*=[ \t]*\[")


class PdmLock:
    """PDM's lock."""

    def keeps(self, text: str, path: str) -> bool:
        return posixpath.basename(path) == "pdm.lock"

    def beside(self, text: str, path: str) -> tuple[str, ...]:
        """The manifest, PDM's configuration of the project, and the manifests of packages in the repository."""
        if not self.keeps(text, path):
            return ()
        here = posixpath.dirname(path)
        places = [inside(here, str(row["path"])) for row in tomllib.loads(text).get("package", ()) if "path" in row]
        inner = (posixpath.join(place, "pyproject.toml") for place in places if place)
        return (beside(path, "pyproject.toml"), beside(path, "pdm.toml"), *inner)

    def run(self, files: Mapping[str, str], path: str, moves: Sequence[Move], shop: Workshop) -> Mapping[str, str]:
        here, manifest = posixpath.dirname(path), beside(path, "pyproject.toml")
        if manifest not in files:
            raise Unsolved(f"there is no {manifest}")
        edits = raised_in(files, [manifest], moves, shop.uv.target.environment)
        text = edits.get(manifest, files[manifest])
        _harmless(text, manifest)
        copy = {**unbuilt({name: text for name, text in files.items() if name != manifest}), manifest: text}
        with shop.uv.bench(copy) as bench:
            pdm = _Pdm(bench, _program(files[path]), here, _environment(bench, shop.uv, text))
            if moves:
                bench.write(manifest, pinned(text, manifest, moves))
                pdm("--update-reuse")
                bench.write(manifest, text)
            pdm("--update-reuse")
            made = grafted(files[path], bench.read(path))
            bench.write(path, made)
            pdm("--check")
            return {**edits, path: made}


class _Pdm:
    """One version of PDM, at work in one directory."""

    def __init__(self, bench: UvBench, program: Program, directory: str, env: Mapping[str, str]) -> None:
        self._bench, self._program, self._directory, self._env = bench, program, directory, env

    def __call__(self, *words: str) -> None:
        # Its hooks are commands of the project.
        where = ["--project", ".", "--lockfile", "pdm.lock", "--skip", ":all"]
        self._bench.tool(self._program, ["lock", *words, *where], self._directory, **self._env)


def _harmless(manifest: str, path: str) -> None:
    """Raises `Unsolved` for arguments that the project gives to `pdm lock`, and that are not about what is resolved."""
    given = tomllib.loads(manifest).get("tool", {}).get("pdm", {}).get("options", {}).get("lock", ())
    rest = [str(word) for word in given]
    while rest:
        option, equals, _ = rest.pop(0).partition("=")
        if option in _VALUES and (equals or (rest and not rest[0].startswith("-"))):
            rest = rest if equals else rest[1:]
        elif option not in _FLAGS or equals:
            said = inert(option, 80)
            raise Unsolved(f"{path} gives `{said}` to `pdm lock` ([tool.pdm.options]), which toplayer does not do")


def _program(lock: str) -> Program:
    """A PDM that writes the format of the lock, with exactly the libraries that its authors released it with."""
    written = str(tomllib.loads(lock).get("metadata", {}).get("lock_version", ""))
    version = next((spec for begin, spec in _WRITERS if f"{written}.".startswith(f"{begin}.")), "")
    if not version:
        raise Unsolved(f"it has the format {written!r}, which is not known here", "lock it once with PDM 2.11 or newer")
    return Program("pdm", version, extra="locked")


def pinned(text: str, path: str, moves: Sequence[Move]) -> str:
    """The manifest, with the project asking for these versions exactly, before all else that it asks for.

    `Unsolved` if what it asks for does not stand in a list under `[project]`.
    """
    rows = ", ".join(f'"{move.package}=={move.version}"' for move in moves)
    project = _PROJECT.search(text)
    if project is None:
        raise Unsolved(f"{path} has no [project]")
    following = _TABLE.search(text, project.end())
    end = following.start() if following else len(text)
    asked = _ASKED.search(text, project.end(), end)
    if asked is None:
        made = f"{text[: project.end()].rstrip()}\ndependencies = [{rows}]\n{text[project.end() :]}"
    else:
        made = f"{text[: asked.end()]}{rows}, {text[asked.end() :]}"
    before, after = _requirements(text), _requirements(made)
    if before is None or after is None or after[: len(moves)] + before != after:
        raise Unsolved(f"{path} does not list what the project asks for", "write `dependencies` as a list in [project]")
    return made


def _requirements(text: str) -> list[Any] | None:
    """What the project asks for; None if that cannot be read, or is left to its build."""
    try:
        project = tomllib.loads(text)["project"]
        return None if "dependencies" in project.get("dynamic", ()) else list(project.get("dependencies", ()))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _environment(bench: UvBench, uv: Uv, manifest: str) -> dict[str, str]:
    home, project = bench.root.parent, tomllib.loads(manifest).get("project", {})
    return {
        **({"PDM_PYPI_URL": uv.index.url} if uv.index.url else {}),
        "PDM_CACHE_DIR": str(uv.state / "pdm"),
        "PDM_LOG_DIR": str(home / "log"),
        "XDG_CONFIG_HOME": str(home),
        # Pages of the index that it has kept may be from before the release.
        "PDM_NO_CACHE": "1",
        "PDM_CHECK_UPDATE": "0",
        "PDM_NON_INTERACTIVE": "1",
        "PDM_USE_VENV": "0",
        "PDM_PYTHON": str(bench.python(str(project.get("requires-python", ""))) / "bin" / "python"),
        # It would else start a build backend in an environment of its own, in which nothing of ours stands in the way.
        "PDM_BUILD_ISOLATION": "0",
    }
