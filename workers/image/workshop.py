"""A source tree → a wheel, made by the tree's own build backend in a sandbox, once.

What the backend needs is resolved here, from the metadata of wheels, and laid out as packages of an image are: no code
of strangers runs but in the sandbox, which has no network. What was made is kept by the key of everything that it
depends on, the sandbox's base included. The protocol: PEP 517, 518 and 660.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from watcher.inert import inert
from watcher.pin import Pin
from watcher.settings import ImageSettings
from workers.image import hook
from workers.image.component import key_of
from workers.image.entry import Entry, tree
from workers.image.errors import BuildRefused
from workers.image.install import installed
from workers.image.link import pyproject
from workers.image.sandbox import Job, Sandbox
from workers.image.unpack import emptied, small_text
from workers.image.venv import venv
from workers.image.wheel import Wheel, read_wheel
from workers.image.wheel_cache import WheelCache, proven
from workers.image.wheelhouse import NO_WHEEL, Wheelhouse

Resolve = Callable[[Sequence[str]], Sequence[Pin]]
"""Requirements (PEP 508) → the versions that they come to on the image's Python and platform."""

_ROOT = "/toplayer"
_LEGACY = ("setuptools.build_meta:__legacy__", ("setuptools>=40.8.0",))
# Tools that read versions from git's tags would find none: the lock knows the version.
_VERSIONS = ("SETUPTOOLS_SCM_PRETEND_VERSION", "PDM_BUILD_SCM_VERSION", "POETRY_DYNAMIC_VERSIONING_BYPASS")
_LONG_AGO = "315532800"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A source tree to be built: `place` is where it lies, `directory` the part of it that counts.

    `name` is what people call it, `key` stands for everything that comes of it but for what it is built in, and the
    wheel has to be one of `package`, at `version` if there is one. One that is `editable` lies in the image at
    `place_there`, where the wheel links to.
    """

    name: str
    package: str
    key: str
    place: Path
    directory: str = ""
    version: str = ""
    editable: bool = False
    place_there: str = f"{_ROOT}/source"


@dataclass(frozen=True, slots=True)
class Workshop:
    """Builds wheels for one image. Without a `sandbox` everything is refused. `cache` is where wheels are kept."""

    image: ImageSettings
    wheelhouse: Wheelhouse
    sandbox: Sandbox | None = None
    resolve: Resolve = field(default=lambda _: ())
    cache: WheelCache | None = None

    def wheel(self, source: Tree, place: Path, now: datetime) -> Wheel:
        """The wheel of a source tree, in the directory `place` or in the cache.

        Raises `BuildRefused` with the backend's last words, and what the sandbox and the index raise.
        """
        if self.sandbox is None:
            raise BuildRefused(source.name, "it has to be built, which means to run its code", NO_WHEEL)
        key = key_of({"source": source.key, "in": self.sandbox.digest})
        if self.cache and (found := self.cache.find(key, source.package, source.version, now)):
            return found
        made = proven(self._made(self.sandbox, source, place, now), source.package, source.version)
        if self.cache:
            self.cache.keep(key, made, now)
        return made

    def built_on(self, wheel: Wheel) -> str:
        """The digest of the base that such a wheel of ours fits; empty for one that fits any."""
        return "" if wheel.is_portable or self.sandbox is None else str(self.sandbox.digest)

    def _made(self, sandbox: Sandbox, source: Tree, place: Path, now: datetime) -> Path:
        backend, requires, paths = _build_system(source)
        out = place / "out"
        for complete in ("", "complete"):
            job = Job(
                name=source.name,
                argv=[
                    f"{_ROOT}/env/bin/python",
                    f"{_ROOT}/hook.py",
                    _kind(source),
                    backend,
                    json.dumps(paths),
                    complete,
                ],
                entries=[*self._environment(requires, emptied(place / "requires"), now), *_tree(source)],
                out=f"{_ROOT}/out",
                directory=f"{source.place_there}/{source.directory}".rstrip("/"),
                env=self._env(source),
            )
            sandbox.run(job, out)
            shutil.rmtree(place / "requires")
            if wheel := next(out.rglob("*.whl"), None):
                return wheel
            requires = (*requires, *_asked(next(out.rglob("requires.json"), None), source))
        raise BuildRefused(source.name, "its build backend left no wheel")

    def _environment(self, requires: Sequence[str], place: Path, now: datetime) -> Iterator[Entry]:
        """The virtual environment of the backend."""
        image = self.image.model_copy(update={"venv": f"{_ROOT}/env"})
        pins = self.resolve(requires) if requires else ()
        offers = self.wheelhouse.best(pins, now) if pins else {}
        yield from venv(image)
        for pin in pins:
            wheel = read_wheel(self.wheelhouse.bring(pin, offers[pin], place), pin.package, pin.version)
            yield from installed(wheel, image)

    def _env(self, source: Tree) -> Mapping[str, str]:
        version = dict.fromkeys(_VERSIONS, source.version) if source.version else {}
        return {
            "PATH": f"{_ROOT}/env/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": f"{_ROOT}/home",
            "TMPDIR": f"{_ROOT}/temporary",
            "LANG": "C.UTF-8",
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            "SOURCE_DATE_EPOCH": _LONG_AGO,
            "TOPLAYER_OUT": f"{_ROOT}/out",
            **version,
        }


def _kind(source: Tree) -> str:
    return "editable" if source.editable else "wheel"


def _tree(source: Tree) -> Iterator[Entry]:
    root = _ROOT.lstrip("/")
    for name in ("home", "temporary", "out"):
        yield Entry(f"{root}/{name}")
    yield Entry(f"{root}/hook.py", Path(hook.__file__))
    yield Entry(source.place_there.lstrip("/"))
    yield from tree(source.place, source.place_there.lstrip("/"))


def _build_system(source: Tree) -> tuple[str, tuple[str, ...], list[str]]:
    """The backend, what it needs, and where it is looked for first: PEP 518, with setuptools where nothing is said."""
    directory = source.place / source.directory
    file = directory / "pyproject.toml"
    if not file.is_file() and not (directory / "setup.py").is_file():
        raise BuildRefused(source.name, "expected a pyproject.toml or a setup.py, got neither")
    name = f"{source.name}: pyproject.toml"
    data = pyproject(source.place, str(file.relative_to(source.place)), name) if file.is_file() else {}
    system: dict[str, Any] = data.get("build-system", {})
    try:
        requires = tuple(str(Requirement(text)) for text in system.get("requires", _LEGACY[1]))
        backend, paths = (
            str(system.get("build-backend", _LEGACY[0])),
            [str(one) for one in system.get("backend-path", ())],
        )
    except (InvalidRequirement, TypeError, AttributeError) as error:
        raise BuildRefused(source.name, f"its [build-system] cannot be read: {inert(str(error), 200)}") from None
    return backend, requires, paths


def _asked(file: Path | None, source: Tree) -> tuple[str, ...]:
    """What the backend asked for when it was up."""
    if file is None:
        return ()
    try:
        return tuple(str(Requirement(text)) for text in json.loads(small_text(file, source.name)))
    except (ValueError, TypeError) as error:
        raise BuildRefused(source.name, f"its build backend asks for {inert(str(error), 200)!r}") from None
