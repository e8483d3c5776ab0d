"""Lock tools that are written in Python, and the right version of them: in the image, on PATH, or fetched by uv."""

import contextlib
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import uv
from packaging.specifiers import SpecifierSet

from workers.process import ToolFailed, run
from workers.propose.bench import DEADLINE
from workers.propose.box import Box


@dataclass(frozen=True, slots=True)
class Program:
    """A lock tool that is written in Python: its command, and the `distribution` that it comes with.

    `version` is a specifier (`==2.1.3`), empty for any. `extra` is what to install with it; `python` is the version
    (`3.11`) to run it with, where that matters. One that `travels` can do its work in the app's image, too.
    """

    name: str
    version: str = ""
    distribution: str = ""
    extra: str = ""
    python: str = ""
    travels: bool = False

    def command(self, env: Mapping[str, str]) -> list[str]:
        """What runs it with that environment: the one on PATH if that fits, else uv fetches it."""
        there = shutil.which(self.name, path=env["PATH"])
        return [there] if there is not None and self._is_at(there, env) else self._fetched()

    def is_in(self, box: Box) -> bool:
        """Whether the box has it, and of the right version."""
        if not (self.travels and box.holds(self.name)):
            return False
        python = box.version_of("python3") if self.python else ""
        return self._fits(python or "", box.version_of(self.name) or "")

    def _is_at(self, place: str, env: Mapping[str, str]) -> bool:
        """Whether that file is it: by its interpreter's version and by what it says of its own."""
        python = _said([_interpreter(place), "--version"], env) if self.python else ""
        return self._fits(python, _said([place, "--version"], env) if self.version else "")

    def _fits(self, python: str, itself: str) -> bool:
        """Whether what the two say of their versions is what is wanted."""
        if self.python and f" {self.python}." not in python:
            return False
        number = re.search(r"\d+(?:\.\d+)+", itself)
        return not self.version or (number is not None and number[0] in SpecifierSet(self.version, prereleases=True))

    def _fetched(self) -> list[str]:
        wanted = f"{self.distribution or self.name}{self.extra and f'[{self.extra}]'}{self.version}"
        python = ["--python", self.python] if self.python else ["--no-python-downloads"]
        # What the project says to uv is not said to the one that fetches its tool.
        return [uv.find_uv_bin(), "tool", "run", "--no-config", *python, "--from", wanted, self.name]


def _interpreter(program: str) -> str:
    """What the program's first line runs it with."""
    with contextlib.suppress(OSError), Path(program).open("rb") as file:
        return file.readline(1000).decode("utf-8", "replace").removeprefix("#!").strip() or program
    return program


def _said(argv: Sequence[str], env: Mapping[str, str]) -> str:
    try:
        ran = run(argv, cwd=None, env=env, deadline=DEADLINE, accept=range(256))
    except ToolFailed:
        return ""
    return ran.stdout.decode("utf-8", "replace")
