"""What lint writes is the same image: the old and the new Dockerfile are built for real, and all files compared.

A few here, and with EXHAUSTIVE=1 (`make dockerfiles`) every one of the fifty that lint changes.
"""

import hashlib
import io
import os
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient

from tests.rig.dockerfiles import CONTEXT, Sample, samples, write
from tests.rig.engine import RealEngine
from watcher.dockerfile.advice.lint import lint
from watcher.dockerfile.parse import parse
from watcher.dockerfile.project import Project
from watcher.dockerfile.settings import DockerfileSettings
from watcher.image import Platform
from workers.dockerfile.engine import Engine
from workers.dockerfile.plan import Plan

pytestmark = pytest.mark.journey

SAYS = ("Env", "User", "WorkingDir", "Entrypoint", "Cmd", "Labels", "ExposedPorts", "Volumes", "StopSignal", "OnBuild")
LOGS = re.compile(r"usr/lib/[\w-]+/log|.*/vendor/autoload\.php")
"""What the tools of the tests write with the time in it."""
MORE = re.compile(r"root(/\.(cache|npm)(/.*)?)?|lists(/.*)?")
"""What may be there besides: where a cache was mounted, and the list that was taken apart."""
PASTS = (
    ("app/main.py", "requirements.txt", "python/src/requirements.txt"),
    ("php/src/composer.lock", "composer.lock", "docs/more.md"),
    ("docs/more.md", "uv.lock", "src/a.c", "conf/nginx.conf"),
)
FURTHER = {
    "what-lies-where": (
        "FROM python:3.12-slim\nWORKDIR /srv/app\nCOPY --chown=1000:1000 . .\nCOPY conf/nginx.conf /etc/app.conf\n"
        "COPY docs /srv/docs\nRUN pip install -r requirements.txt -r python/src/requirements.txt && echo done > /done\n"
    ),
    "packages-of-both-kinds": (
        "FROM php:8.2-cli\nWORKDIR /srv\nCOPY scripts /s\nRUN sh /s/start.sh > /said\nCOPY . .\n"
        "RUN pip install -r requirements.txt\nRUN composer install --no-dev -a\nUSER 1000\n"
    ),
    "owners": (
        "FROM php:8.2-cli\nCOPY --chown=1000:1000 docs /app/docs\nCOPY --chown=1000:1000 php/src /app/php\n"
        "COPY --chmod=755 conf /app/conf\nRUN cd /app/php && composer install\nCOPY app /app/app\n"
    ),
    "compilers": (
        "FROM python:3.12-slim\nRUN apt-get update && apt-get install -y gcc\nCOPY requirements.txt /r/\n"
        "RUN pip install -r /r/requirements.txt\nCOPY app /app\nCMD python -m app\n"
    ),
    "an-argument": "FROM python:3.12-slim\nARG GIT_SHA\nRUN pip install six\nRUN echo $GIT_SHA > /sha\nCOPY app /app\n",
    "assets": "FROM node:22-alpine\nWORKDIR /w\nCOPY . .\nRUN npm ci && npm run build\nCOPY docs /w/docs\n",
}


def everything() -> list[Sample]:
    """The fifty, as far as engines build them without further ado, and more."""
    more = [Sample(name, text.encode()) for name, text in FURTHER.items()]
    return [*(one for one in samples() if one.needs not in ("--parents and --exclude", "named contexts")), *more]


def rewritten(one: Sample, *, containerd: bool = False) -> list[str]:
    """What lint makes of it, by several pasts; nothing if it leaves it alone."""
    found = set()
    for past in PASTS:
        project = Project(
            files={path: len(content) for path, content in CONTEXT.items()},
            read=lambda path: CONTEXT[path].decode() if path in CONTEXT else None,
            history=tuple(frozenset({path}) for path in past for _ in range(6)),
            containerd=containerd,
        )
        found.add(lint(parse(one.text, one.name), project).fixed)
    return sorted(found - {one.text})


CHOSEN = [one for one in everything() if os.environ.get("EXHAUSTIVE") or one.name in ("02-origin-before", "owners")]


@dataclass(frozen=True)
class File:
    """One entry of an image's tree. Times say when it was built, and nothing else."""

    kind: bytes
    mode: int
    owner: tuple[int, int]
    link: str
    content: str


class Kitchen:
    """An engine, and a directory to build from."""

    def __init__(self, docker: RealEngine, root: Path) -> None:
        self._root, self._docker = root, docker
        write(CONTEXT, root / "context")
        (root / "token").write_text("hunter2")
        (root / "login").mkdir()
        self._engine = Engine(DockerfileSettings(engine=docker.address), root / "login")

    def image(self, one: Sample, text: str, api: APIClient) -> tuple[dict[str, File], Mapping[str, Any]]:
        """What a build of this text leaves, and what the image says of itself."""
        (self._root / "Dockerfile").write_text(text)
        (self._root / "Dockerfile.dockerignore").write_text(one.ignore)
        plan = Plan(
            dockerfile=self._root / "Dockerfile",
            name=one.name,
            context=self._root / "context",
            contexts={},
            platform=Platform.parse("linux/amd64"),
            target=one.target,
            arguments=one.arguments,
            secrets={"token": self._root / "token"},
            network="none",
            tag="kitchen:1",
        )
        self._engine.build(plan)
        says = api.inspect_image(plan.tag)["Config"]
        container = api.create_container(plan.tag, command=["true"])
        try:
            stream = io.BytesIO(b"".join(api.export(container["Id"])))
        finally:
            api.remove_container(container["Id"], force=True)
        with tarfile.open(fileobj=stream) as tar:
            return {info.name.rstrip("/"): _file(tar, info) for info in tar}, {name: says.get(name) for name in SAYS}


def _file(tar: tarfile.TarFile, info: tarfile.TarInfo) -> File:
    content = tar.extractfile(info) if info.isreg() else None
    written = hashlib.sha1(content.read()).hexdigest() if content and not LOGS.fullmatch(info.name) else ""
    return File(info.type, info.mode, (info.uid, info.gid), info.linkname, written)


@pytest.fixture(scope="module")
def kitchen(toolbox: RealEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Kitchen, APIClient]]:
    with toolbox.api() as api:
        yield Kitchen(toolbox, tmp_path_factory.mktemp("kitchen")), api


@pytest.mark.parametrize("one", CHOSEN, ids=lambda one: one.name)
def test_what_lint_writes_is_the_same_image(one: Sample, kitchen: tuple[Kitchen, APIClient]) -> None:
    place, api = kitchen
    # Docker 23 has a BuildKit that knows `--link`, and the rest of what some of the fifty need.
    newer = int(api.version()["Version"].partition(".")[0]) >= 23
    texts = rewritten(one) if newer or not one.needs else []
    if newer and os.environ.get("EXHAUSTIVE"):
        texts += [text for text in rewritten(one, containerd=True) if text not in texts]
    files, says = place.image(one, one.text, api) if texts else ({}, {})
    for text in texts:
        now, claims = place.image(one, text, api)
        if "/opt/venv" in text and "/opt/venv" not in one.text:
            # The one rewrite that moves something, and says so: packages into an environment that is first in PATH.
            assert claims["Env"][0] == f"PATH=/opt/venv/bin:{says['Env'][0].removeprefix('PATH=')}"
            claims = {**claims, "Env": says["Env"]}
            now = {path: file for path, file in now.items() if not path.startswith("opt")}
            files = {path: file for path, file in files.items() if not path.startswith("usr/lib/")}
            now = {path: file for path, file in now.items() if not path.startswith("usr/lib/")}
        assert claims == says, text
        assert {path: file for path, file in now.items() if path in files} == {
            path: file for path, file in files.items() if path in now
        }, text
        # Composer's log is in its stage, and so is the directory that nobody else needed.
        gone = {path for path in files if path not in now and path != "usr/lib"}
        assert not {path for path in gone if not path.startswith("usr/lib/composer")}, text
        assert {path for path in now if path not in files and not MORE.fullmatch(path)} == set(), text
