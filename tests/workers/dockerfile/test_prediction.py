"""Predictions compared with what a real BuildKit does: the fifty Dockerfiles, each after changes of files.

Two changes each, and with EXHAUSTIVE=1 (`make dockerfiles`) all that touch one.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig.dockerfiles import CONTEXT, Sample, keys, samples, write
from tests.rig.engine import RealEngine, engine
from tests.rig.process import need
from tests.rig.toolbox import load_images
from watcher.dockerfile.graph import Graph, Inputs, graph
from watcher.dockerfile.ignore import keeper
from watcher.dockerfile.parse import parse
from watcher.dockerfile.predict import Fate, predict
from watcher.dockerfile.settings import DockerfileSettings
from watcher.image import Platform
from workers.dockerfile.engine import Engine
from workers.dockerfile.plan import Plan
from workers.dockerfile.progress import Progress

pytestmark = pytest.mark.journey

PLATFORM = Platform.parse("linux/amd64")
CHANGES = (
    *("app/main.py", "requirements.txt", "php/src/composer.lock", "python/src/requirements.txt", "docs/more.md"),
    *("src/a.c", "uv.lock", "package.json", "web/index.html", "notes/notes.txt", "data/bundle.tar"),
)


@pytest.fixture(scope="module")
def docker() -> Iterator[RealEngine]:
    need("docker")
    with engine() as running, running.api() as api:
        load_images(api)
        yield running


def foreseen(one: Sample, context: dict[str, bytes]) -> Graph:
    keep = keeper(one.ignore)
    files = {path: key for path, key in keys(context).items() if keep(path)}
    inputs = Inputs(files=files, platform=PLATFORM, arguments=one.arguments, target=one.target)
    return graph(parse(one.text, one.name), inputs)


class Bench:
    """One Dockerfile, its context on disk, and the engine."""

    def __init__(self, one: Sample, docker: RealEngine, root: Path) -> None:
        self.context = root / "context"
        write(CONTEXT, self.context)
        (root / "Dockerfile").write_bytes(one.text.encode())
        if one.ignore:
            (root / "Dockerfile.dockerignore").write_text(one.ignore)
        (root / "token").write_text("hunter2")
        (root / "login").mkdir()
        self._engine = Engine(DockerfileSettings(engine=docker.address), root / "login")
        self._plan = Plan(
            dockerfile=root / "Dockerfile",
            name=one.name,
            context=self.context,
            platform=PLATFORM,
            target=one.target,
            arguments=one.arguments,
            secrets={"token": root / "token"},
            network="none",
        )

    def build(self) -> Progress:
        return self._engine.build(self._plan)


@pytest.mark.parametrize("one", [one for one in samples() if not one.needs], ids=lambda one: one.name)
def test_buildkit_makes_anew_what_was_foreseen_and_nothing_else(
    one: Sample, docker: RealEngine, tmp_path: Path
) -> None:
    bench = Bench(one, docker, tmp_path)
    context = dict(CONTEXT)
    before = foreseen(one, context)
    # Everything that BuildKit speaks of is a step of ours, by the same name.
    assert set(bench.build().steps) <= {step.label for step in before.steps}
    left = len(CHANGES) if os.environ.get("EXHAUSTIVE") else 2
    for path in CHANGES:
        # Of its own for each Dockerfile: they share the engine's cache.
        context[path] += f"\n# changed for {one.name}\n".encode()
        now = foreseen(one, context)
        prediction = predict(now, before.keys, [path])
        before = now
        if not prediction.rebuilt or not left:
            continue
        left -= 1
        write({path: context[path]}, bench.context)
        done = bench.build().steps
        for step in prediction.steps:
            if step.step.instruction.keyword == "FROM":
                continue
            seen = done.get(step.step.label)
            worked = seen is not None and not seen.cached
            if step.fate is not Fate.OPEN:
                assert worked == (step.fate is Fate.REBUILT), f"{path}: {step.step.name}: {step.why}"
