"""Compiled modules, for images that are to start without compiling: as reproducible as what they are made of.

In layers they name the path that the module has in the image, and hold the hash of the source in the place of a time;
nobody checks it, because a layer does not change. The version of the Python that compiles is part of the component's
key. Or the hosts compile, and keep it: then the sources need times.
"""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path, PurePosixPath

import uv

from watcher.settings import ImageSettings
from workers.image import compile_all
from workers.image.component import Component
from workers.image.content import chunks, sha256_of
from workers.image.entry import Entry
from workers.image.errors import BuildRefused
from workers.image.supply import Brought, Over, Supply
from workers.process import ToolFailed, environment, run

CACHE = "__pycache__"
_FORM = 2
"""Grows when the same source is compiled to other bytes than before."""
_EARLIEST, _SECONDS = 315_532_800, 2**30
"""Times from 1980 on, which is when those of zip files begin, to 2014: no tool meets a file from the future."""
_DEADLINE = timedelta(minutes=10)
_GROWTH = 1.6
"""Packed, compiled modules add this much to a package of Python: what is guessed until it was made."""


class Compiler:
    """A Python of the image's version on this machine. `version` is its whole version: `3.12.4`."""

    def __init__(self, image: ImageSettings, directory: Path) -> None:
        """A `BuildRefused` if there is none."""
        self._minor = ".".join(image.python.split(".")[:2])
        self._env = environment(directory, PYTHONHASHSEED="0")
        self._directory = directory
        self._python = self._found()
        said = self._run([self._python, "-I", "-S", "-c", "import platform; print(platform.python_version())"])
        self.version = said.decode().strip()

    def compiled(self, entries: Sequence[Entry], place: Path) -> Iterator[Entry]:
        """What is to be laid beside the modules among the entries. `place` is a directory for it."""
        place.mkdir(exist_ok=True)
        rows: list[tuple[Entry, Path]] = []
        for number, entry in enumerate(sorted(entries, key=lambda entry: entry.path)):
            if entry.content is None or not entry.path.endswith(".py"):
                continue
            source = place / f"{number}.py"
            with source.open("wb") as file:
                file.writelines(chunks(entry.content))
            rows.append((entry, source))
        listed = [(str(source), f"/{entry.path}") for entry, source in rows]
        self._run([self._python, "-I", "-S", "-W", "ignore", compile_all.__file__], json.dumps(listed).encode())
        tag = f"cpython-{self._minor.replace('.', '')}"
        for entry, source in rows:
            source.unlink()
            path = PurePosixPath(entry.path)
            yield Entry(str(path.parent / CACHE / f"{path.stem}.{tag}.pyc"), source.with_suffix(".pyc"))

    def _found(self) -> str:
        if f"{sys.version_info.major}.{sys.version_info.minor}" == self._minor:
            return sys.executable
        words = ["python", "find", "--no-python-downloads", "--no-project", f"cpython=={self._minor}.*"]
        try:
            return self._run([os.fsdecode(uv.find_uv_bin()), *words]).decode().strip()
        except BuildRefused:
            why = f"there is no Python {self._minor} here to compile with"
            hint = f'`uv python install {self._minor}` for the user that runs toplayer, or `bytecode = "cache"`'
            raise BuildRefused("image.bytecode", why, hint) from None

    def _run(self, argv: Sequence[str], input: bytes = b"") -> bytes:
        try:
            return run(argv, cwd=self._directory, env=self._env, deadline=_DEADLINE, input=input).stdout
        except ToolFailed as error:
            raise BuildRefused("image.bytecode", str(error), error.hint) from error


class Compiled(Over):
    """The components of another supply, with their modules compiled."""

    def __init__(self, supply: Supply, compiler: Compiler) -> None:
        super().__init__(supply, {"compiled": compiler.version, "form": _FORM})
        self._compiler = compiler

    def weigh(self, component: Component) -> int | None:
        """See `Supply`."""
        found = super().weigh(component)
        return None if found is None else round(found * _GROWTH)

    def bring(self, component: Component, place: Path) -> Brought:
        """See `Supply`."""
        found = super().bring(component, place)
        compiled = list(self._compiler.compiled(found.entries, place / "compiled"))
        return replace(found, entries=[*found.entries, *compiled], size=round(found.size * _GROWTH))


class Dated(Over):
    """The components of another supply, for hosts that keep what they have compiled.

    Python takes a compiled module for that of a source of the same size and time, and in layers all times are the same:
    after a bump it would run the code of the version before. So each source has a time that is made of its bytes.
    """

    def __init__(self, supply: Supply) -> None:
        super().__init__(supply, {"dated": _FORM})

    def bring(self, component: Component, place: Path) -> Brought:
        """See `Supply`."""
        found = super().bring(component, place)
        return replace(found, entries=[_dated(entry) for entry in found.entries])


def _dated(entry: Entry) -> Entry:
    if entry.content is None or not entry.path.endswith(".py"):
        return entry
    return replace(entry, time=_EARLIEST + int(sha256_of(entry.content)[:8], 16) % _SECONDS)
