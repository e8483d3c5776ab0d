"""Predictions compared with what a real BuildKit does, by steps and by bytes: the fifty Dockerfiles, after changes of
files.

One change of every second one, and with EXHAUSTIVE=1 (`make dockerfiles`) all that touch any.
"""

import json
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.rig.dockerfiles import CONTEXT, Sample, keys, samples, write
from tests.rig.engine import RealEngine
from watcher.dockerfile.graph import Graph, Inputs, graph
from watcher.dockerfile.ignore import keeper
from watcher.dockerfile.layers import Layer, layers_of
from watcher.dockerfile.parse import parse
from watcher.dockerfile.predict import Fate, predict
from watcher.dockerfile.settings import DockerfileSettings
from watcher.image import Platform
from workers.dockerfile.engine import Engine
from workers.dockerfile.plan import Plan
from workers.dockerfile.progress import Progress

pytestmark = pytest.mark.journey

EXTRA = "extra"
PLATFORM = Platform.parse("linux/amd64")
CHANGES = (
    *("app/main.py", "requirements.txt", "php/src/composer.lock", "python/src/requirements.txt", "docs/more.md"),
    *("src/a.c", "uv.lock", "package.json", "web/index.html", "notes/notes.txt", "data/bundle.tar"),
)


def foreseen(one: Sample, context: dict[str, bytes], bench: "Bench") -> Graph:
    keep = keeper(one.ignore)
    files = {path: key for path, key in keys(context).items() if keep(path)}
    inputs = Inputs(
        files=files,
        platform=PLATFORM,
        arguments=one.arguments,
        target=one.target,
        merges=bench.engine.is_containerd,
        contexts={EXTRA: {path[6:]: key for path, key in files.items() if path.startswith("notes/")}},
    )
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
        self.engine = Engine(DockerfileSettings(engine=docker.address), root / "login")
        self._plan = Plan(
            dockerfile=root / "Dockerfile",
            name=one.name,
            context=self.context,
            contexts={EXTRA: self.context / "notes"} if self.engine.takes_contexts else {},
            platform=PLATFORM,
            target=one.target,
            arguments=one.arguments,
            secrets={"token": root / "token"},
            network="none",
            tag="bench:1",
        )
        self._archive = root / "image.tar"

    def build(self) -> Progress:
        return self.engine.build(self._plan)

    def layers(self) -> tuple[Layer, ...]:
        """Those of the image as it is now, from the bottom up; each by its diff ID, with the bytes of its tar."""
        self.engine.save(self._plan.tag, self._archive)
        with tarfile.open(self._archive) as tar:

            def read(name: str) -> bytes:
                found = tar.extractfile(name)
                assert found
                return found.read()

            (row,) = json.loads(read("manifest.json"))
            config = json.loads(read(row["Config"]))
            sizes = [len(read(name)) for name in row["Layers"]]
        told = [str(one.get("created_by", "")) for one in config["history"] if not one.get("empty_layer")]
        # The base was imported, and its row of the history says nothing.
        assert len(told) == len(sizes)
        return tuple(map(Layer, told, sizes, config["rootfs"]["diff_ids"]))


EVERY = bool(os.environ.get("EXHAUSTIVE"))


@pytest.mark.parametrize(
    "one", [one for one in samples() if not one.needs][:: 1 if EVERY else 2], ids=lambda one: one.name
)
def test_buildkit_makes_anew_what_was_foreseen_and_nothing_else(
    one: Sample, toolbox: RealEngine, tmp_path: Path
) -> None:
    it_goes_as_foreseen(one, Bench(one, toolbox, tmp_path), len(CHANGES) if EVERY else 1)


def it_goes_as_foreseen(one: Sample, bench: Bench, left: int) -> None:
    """Builds a Dockerfile, and again after changes of files, of which `left` make a difference."""
    context = dict(CONTEXT)
    before = foreseen(one, context, bench)
    # Everything that BuildKit speaks of is a step of ours, by the same name.
    assert set(bench.build().steps) <= {step.label for step in before.steps}
    layers = bench.layers()
    for path in CHANGES:
        # Of its own for each Dockerfile: they share the engine's cache.
        context[path] += f"\n# changed for {one.name}\n".encode()
        now = foreseen(one, context, bench)
        # What lies in `notes` is also in the context of that name.
        prediction = predict(now, before.keys, [path, path.replace("notes/", f"{EXTRA}:")], layers)
        before = now
        if not prediction.rebuilt or not left:
            continue
        left -= 1
        write({path: context[path]}, bench.context)
        done = bench.build().steps
        for step in prediction.steps:
            # Of a base, and of what stands on nothing, BuildKit does not say what it kept.
            if step.step.instruction.keyword == "FROM" or step.step.is_free:
                continue
            seen = done.get(step.step.label)
            worked = seen is not None and not seen.cached
            if step.fate is not Fate.OPEN:
                assert worked == (step.fate is Fate.REBUILT), f"{path}: {step.step.name}: {step.why}"
        then, layers = layers, bench.layers()
        made = layers_of(now, layers)
        kept = [number for number, one in enumerate(prediction.steps) if one.fate is Fate.KEPT and one.layer]
        assert [made[number] for number in kept] == [prediction.steps[number].layer for number in kept]
        # What is made anew within the second of the one before may be that very layer: times are of seconds.
        remade = [made.get(number) for number, one in enumerate(prediction.steps) if one.fate is not Fate.KEPT]
        same = sum(layer.size for layer in remade if layer and layer in then)
        for what, fresh in ((prediction.classic, above(then, layers)), (prediction.containerd, new_in(then, layers))):
            # Files have grown, by a block or two for each layer.
            pulled, grown = sum(layer.size for layer in fresh), 2 * tarfile.BLOCKSIZE * len(fresh)
            assert what.least - grown - same <= pulled <= what.most + grown, path


def above(before: Sequence[Layer], after: Sequence[Layer]) -> Sequence[Layer]:
    """All layers from the lowest one on that is new."""
    lowest = next((n for n, (one, was) in enumerate(zip(after, before, strict=False)) if one != was), len(after))
    return after[lowest:]


def new_in(before: Sequence[Layer], after: Sequence[Layer]) -> Sequence[Layer]:
    """The layers that were not there."""
    return [one for one in after if one.digest not in {was.digest for was in before}]
