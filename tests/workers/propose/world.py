"""What the tests of this room speak about: releases, the lines of a lock, a person's own uv."""

import difflib
import os
import subprocess
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import uv

from tests.rig.simple_index import JSON, SimpleIndex
from watcher.indexes.simple import parse
from watcher.release import Release
from watcher.secret import Secret
from watcher.settings import IndexSettings
from watcher.wheels import Wheels
from workers.propose.composer import Composer
from workers.propose.move import Move
from workers.propose.tools import Moved, moved
from workers.propose.uv import Uv
from workers.propose.workshop import Workshop

MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
PROJECT = """\
# a project
[project]
name = "shop"
version = "1.0"
requires-python = ">=3.9"
dependencies = [{}]
"""
TARGET = Wheels("3.12", "manylinux_2_28", "x86_64")


def release(index: SimpleIndex, package: str, version: str) -> Release:
    """A release as our index client reads it; without files if the index does not have it."""
    body = index.answer(f"/simple/{package}/").body
    found = parse(body, package, f"{index.url}/{package}/", JSON).releases if body else ()
    return next((one for one in found if one.version == version), Release(package=package, version=version))


def move_to(index: SimpleIndex, package: str, version: str) -> Move:
    return Move(package=package, version=version, release=release(index, package, version))


def by_a_person(directory: Path, index: SimpleIndex, *words: str, **env: str) -> str:
    """Runs uv as somebody at a desk does, in a real checkout; what it said on stdout."""
    clean = {"PATH": os.environ["PATH"], "HOME": str(directory), "UV_DEFAULT_INDEX": index.url, **env}
    clean |= {"UV_CACHE_DIR": str(directory / ".cache"), "UV_NO_SYSTEM_CONFIG": "1", "UV_PYTHON_DOWNLOADS": "never"}
    done = subprocess.run([uv.find_uv_bin(), *words], cwd=directory, env=clean, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def write(directory: Path, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        place = directory / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text.encode())


def checkout(directory: Path) -> dict[str, str]:
    """Every file of a directory but caches, as a repository would have it."""
    found = (path for path in directory.rglob("*") if path.is_file() and not {".cache", "__pycache__"} & {*path.parts})
    return {str(path.relative_to(directory)): path.read_bytes().decode() for path in found}


def changed_lines(before: str, after: str) -> list[str]:
    """The lines that went (`-`) and came (`+`), line ends and all."""
    old, new = (text.splitlines(keepends=True) for text in (before, after))
    return [line for line in difflib.ndiff(old, new) if line[0] in "+-"]


def locked(directory: Path, index: SimpleIndex, *wanted: str, tail: str = "") -> dict[str, str]:
    """A checkout with a uv.lock as a person made it on that day."""
    manifest = PROJECT.format(", ".join(f'"{one}"' for one in wanted)) + tail
    write(directory, {"pyproject.toml": manifest})
    by_a_person(directory, index, "lock")
    return checkout(directory)


def compiled(directory: Path, index: SimpleIndex, wanted: str, *options: str) -> dict[str, str]:
    """A checkout with a requirements.txt as `uv pip compile` made it."""
    write(directory, {"requirements.in": wanted})
    by_a_person(directory, index, "pip", "compile", "requirements.in", "-o", "requirements.txt", "-q", *options)
    return checkout(directory)


def behind_a_password(index: SimpleIndex, uv: Uv) -> Uv:
    """The index wants a password from now on; and uv, set up with it."""
    index.authorization = "Basic " + b64encode(b"bot:s3cret").decode()
    (uv.state.parent / "secret").write_text("s3cret")
    password = Secret(file=str(uv.state.parent / "secret"))
    return replace(uv, index=IndexSettings(kind="pypi", url=index.url, username="bot", password=password))


def workshop(uv: Uv) -> Workshop:
    return Workshop(uv=uv, composer=Composer(uv.state))


def move(files: dict[str, str], path: str, wish: Move, uv: Uv, now: datetime = MONDAY) -> Moved:
    return moved(path, [wish], lambda name: files[name].encode() if name in files else None, workshop(uv), now)


def after(files: dict[str, str], path: str, wish: Move, uv: Uv) -> str:
    made = move(files, path, wish, uv)
    assert set(made.files) <= {path}
    return made.files.get(path, files[path])
