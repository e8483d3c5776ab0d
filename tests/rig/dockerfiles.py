"""Fifty Dockerfiles of many shapes (`tests/dockerfiles`), the files that they are built from, and what may change."""

import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

DIRECTORY = Path(__file__).parents[1] / "dockerfiles"


def _bundle(content: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("inside.txt")
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content.encode()))
    return out.getvalue()


CONTEXT: Mapping[str, bytes] = {
    "app/main.py": b"print('main')\n",
    "app/util.py": b"print('util')\n",
    "requirements.txt": b"requests==2.34.1\nyt-dlp==2026.10.21\n",
    "pyproject.toml": b"[project]\nname = 'shop'\n",
    "uv.lock": b"version = 1\n",
    "composer.json": b'{"require": {"acme/core": "^1.0"}}\n',
    "composer.lock": b'{"packages": [{"name": "acme/core", "version": "1.0.0"}]}\n',
    "package.json": b'{"name": "web"}\n',
    "web/index.html": b"<p>web</p>\n",
    "php/index.php": b"<?php echo 1;\n",
    "php/src/composer.json": b'{"require": {"acme/core": "^1.0"}}\n',
    "php/src/composer.lock": b'{"packages": [{"name": "acme/core", "version": "1.0.0"}]}\n',
    "php/src/shop.php": b"<?php echo 2;\n",
    "python/src/requirements.txt": b"requests==2.34.1\n",
    "python/src/setup.py": b"from setuptools import setup\nsetup(name='shop')\n",
    "python/src/shop/__main__.py": b"print('shop')\n",
    "src/a.c": b"int a;\n",
    "src/b.c": b"int b;\n",
    "docs/readme.md": b"# read me\n",
    "docs/more.md": b"# more\n",
    "scripts/start.sh": b"#!/bin/sh\necho started\n",
    "conf/nginx.conf": b"server {}\n",
    "data/with space.txt": b"blank\n",
    "data/bundle.tar": _bundle("inside\n"),
    "Makefile": b"all:\n\ttrue\n",
    "notes/notes.txt": b"a note\n",
}
"""The context of all of them. `notes` is also a context of its own, called `extra`."""


@dataclass(frozen=True)
class Sample:
    """One Dockerfile, with what it is built with. `needs`: what only newer builders have."""

    name: str
    raw: bytes
    ignore: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    needs: str = ""

    @property
    def text(self) -> str:
        """The Dockerfile as it is built here: without the directive that would fetch a frontend from a hub."""
        rows = self.raw.decode().splitlines(keepends=True)
        return "".join(row for row in rows if not row.startswith("# syntax="))


_NEEDS = {
    "07-arg-default-forms": "defaults without a colon",
    "16-run-heredoc": "heredocs",
    "17-copy-heredoc": "heredocs",
    "18-shebang-heredoc": "heredocs",
    "21-copy-link": "--link",
    "45-dollar-forms": "patterns in variables",
    "48-parents-and-exclude": "--parents and --exclude",
    "49-named-context": "named contexts",
}
_TARGETS = {"31-target": "release"}
_ARGUMENTS: Mapping[str, Mapping[str, str]] = {
    "06-arg-before-from": {"VARIANT": "slim"},
    "39-args-everywhere": {"COMMIT": "1"},
}


def samples() -> list[Sample]:
    """All of them, by name."""
    found = []
    for path in sorted(DIRECTORY.glob("*.Dockerfile")):
        name = path.name.removesuffix(".Dockerfile")
        beside = path.with_name(f"{path.name}.dockerignore")
        ignore = beside.read_text() if beside.exists() else ""
        arguments = _ARGUMENTS.get(name, {})
        found.append(Sample(name, path.read_bytes(), ignore, arguments, _TARGETS.get(name, ""), _NEEDS.get(name, "")))
    return found


def sample(name: str) -> Sample:
    """The one whose name begins so."""
    return next(one for one in samples() if one.name.startswith(name))


def write(context: Mapping[str, bytes], directory: Path) -> None:
    """Writes a context to a directory."""
    for name, content in context.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755 if name.endswith(".sh") else 0o644)


def keys(context: Mapping[str, bytes]) -> dict[str, str]:
    """What stands for the mode and the content of each file, as a repository would say it."""
    return {name: hashlib.sha1(content).hexdigest() for name, content in context.items()}
