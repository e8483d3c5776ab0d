"""A wheel → the files that it leaves in a virtual environment of the image.

uv lays them out: where what goes, console scripts, their modes. It does so for the Python that it is run with, so three
things are made right for the image's: the directory that has the Python's version in its name, the first line of
scripts, and RECORD, which is written anew. Where the file came from, and when, is left out.
"""

import csv
import hashlib
import io
import posixpath
import re
import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import uv

from watcher.settings import ImageSettings
from watcher.wheels import Wheels
from workers.image.entry import Entry, tree
from workers.image.errors import BuildRefused
from workers.image.layer import chunks
from workers.image.wheel import Wheel
from workers.process import ToolFailed, environment, run

DEADLINE = timedelta(minutes=5)
# What `--python-platform` has names for, by the version of glibc. Which wheels fit has been decided before.
_GLIBC = (17, 28, *range(31, 41))
_LEFT_OUT = re.compile(r"\.lock|lib/[^/]+/site-packages/[^/]+\.dist-info/(direct_url|uv_cache)\.json")
_LONGEST_SHEBANG = 127
_EXEC = re.compile(rb"#!/bin/sh\n'''exec' [^\n]*\n' '''\n")


@dataclass(frozen=True, slots=True)
class Installer:
    """uv, and a Python for it to install for. Both live in `bench`, a throwaway directory."""

    bench: Path
    image: ImageSettings

    @classmethod
    def at(cls, bench: Path, image: ImageSettings) -> "Installer":
        """An installer that is ready to work."""
        installer = cls(bench, image)
        installer._uv(
            bench / "cache", "venv", "--quiet", "--python", sys.executable, str(installer._python.parent.parent)
        )
        return installer

    @property
    def _python(self) -> Path:
        return self.bench / "host" / "bin" / "python"

    def install(self, wheel: Wheel, prefix: Path) -> list[Entry]:
        """The files of the wheel, laid out in the new directory `prefix`, as they have to be in the image.

        What uv itself needs is beside it, in `<prefix>.cache`.
        """
        try:
            self._uv(prefix.with_name(f"{prefix.name}.cache"), *argv(wheel.path, prefix, self._python, self.image))
        except ToolFailed as error:
            raise BuildRefused(wheel.path.name, f"uv cannot install it: {error.said}", error.hint) from error
        files = [self._right(entry) for entry in tree(prefix, "") if not entry.is_directory]
        for file in files:
            _check_place(wheel, file)
        venv = self.image.venv.lstrip("/")
        listed = _recorded([file for file in files if not _LEFT_OUT.fullmatch(file.path)], wheel)
        return [replace(file, path=f"{venv}/{file.path}") for file in listed]

    def _right(self, entry: Entry) -> Entry:
        """The entry with its path and its first line as they are in the image."""
        target = site_packages(self.image).split("/")[1]
        path = re.sub(r"^(lib)(?:64)?/python3\.\d+(?=/|$)", rf"\1/{target}", entry.path)
        path = re.sub(r"^(include/site)/python3\.\d+(?=/|$)", rf"\1/{target}", path)
        if not (path.startswith("bin/") and isinstance(entry.content, Path)):
            return replace(entry, path=path)
        return replace(entry, path=path, content=shebang(entry.content, self._python, f"{self.image.venv}/bin/python"))

    def _uv(self, cache: Path, *words: str) -> None:
        env = environment(
            self.bench,
            UV_CACHE_DIR=str(cache),
            UV_NO_CONFIG="1",
            UV_NO_PROGRESS="1",
            UV_OFFLINE="1",
            UV_PYTHON_DOWNLOADS="never",
            NO_COLOR="1",
        )
        run([uv.find_uv_bin(), *words], cwd=self.bench, env=env, deadline=DEADLINE)


def argv(wheel: Path, prefix: Path, python: Path, image: ImageSettings) -> list[str]:
    """The words for uv that install one file, and nothing that it needs, for the image's Python and platform."""
    return [
        *("pip", "install", "--quiet", "--no-deps", "--no-build", "--no-index", "--link-mode", "hardlink"),
        *("--python", str(python), "--prefix", str(prefix)),
        *("--python-version", image.python, "--python-platform", platform(Wheels.of(image))),
        str(wheel),
    ]


def platform(target: Wheels) -> str:
    """The narrowest of uv's names that has room for the target."""
    kind, _, minor = target.libc.split("_")
    if kind == "musllinux":
        return f"{target.machine}-unknown-linux-musl"
    known = min((number for number in _GLIBC if number >= int(minor)), default=_GLIBC[-1])
    return f"{target.machine}-manylinux_2_{known}"


def site_packages(image: ImageSettings) -> str:
    """Where packages go in the virtual environment: `lib/python3.12/site-packages`."""
    return f"lib/python{'.'.join(image.python.split('.')[:2])}/site-packages"


def shebang(script: Path, before: Path, after: str) -> Path | bytes:
    """A script whose first line names the interpreter `after` if it named `before`.

    The kernel takes 127 characters without a space; what is longer goes through a shell, as pip and uv do it.
    """
    with script.open("rb") as file:
        head = file.read(4096)
    simple = f"#!{before}\n".encode()
    if head.startswith(simple):
        old = simple
    elif (through := _EXEC.match(head)) and str(before).encode() in through[0]:
        old = through[0]
    else:
        return script
    new = f"#!{after}\n"
    if len(new) > _LONGEST_SHEBANG or " " in after:
        new = f"""#!/bin/sh\n'''exec' '{after}' "$0" "$@"\n' '''\n"""
    return new.encode() + script.read_bytes().removeprefix(old)


def _check_place(wheel: Wheel, entry: Entry) -> None:
    """A wheel may put data anywhere below the environment, but not in the place of what makes it one."""
    own = re.fullmatch(r"pyvenv\.cfg|lib64(/.*)?|bin/(python|python3|python3\.\d+)", entry.path)
    if own or entry.link:
        raise BuildRefused(f"{wheel.path.name}: {entry.path}", "it would take the place of the environment's own file")


def _recorded(entries: Iterable[Entry], wheel: Wheel) -> list[Entry]:
    """The entries with a RECORD of just these: paths relative to site-packages, hashes, sizes, sorted."""
    kept = {entry.path: entry for entry in entries}
    found = [path for path in kept if re.fullmatch(r"lib/python3\.\d+/site-packages/[^/]+\.dist-info/RECORD", path)]
    if len(found) != 1:
        raise BuildRefused(wheel.path.name, f"uv left {len(found)} RECORD files, expected one")
    site = posixpath.dirname(posixpath.dirname(found[0]))
    rows = sorted(_row(entry, site) for entry in kept.values() if entry.path != found[0])
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([*rows, (posixpath.relpath(found[0], site), "", "")])
    kept[found[0]] = Entry(found[0], text.getvalue().encode())
    return list(kept.values())


def _row(entry: Entry, site: str) -> tuple[str, str, str]:
    digest, size = hashlib.sha256(), 0
    for chunk in chunks(entry.content or b""):
        digest.update(chunk)
        size += len(chunk)
    encoded = urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
    return posixpath.relpath(entry.path, site), f"sha256={encoded}", str(size)
