"""A commit and its Dockerfile → an image in a registry, by the BuildKit of a Docker engine.

The build starts from the image before it, says before it begins what it will make anew, and afterwards what it made
anew without need. The image tells by a label which steps it was made of: the next prediction compares with that.
"""

import contextlib
import errno
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from watcher.dockerfile.graph import Graph, Inputs, graph
from watcher.dockerfile.layers import Layer
from watcher.dockerfile.parse import Parsed, decoded, parse
from watcher.dockerfile.predict import Fate, Prediction, predict
from watcher.dockerfile.settings import DockerfileSettings
from watcher.dockerfile.stages import Stages, stages
from watcher.dockerfile.verify import verify
from watcher.image import Digest, Platform
from watcher.rollout import Built
from watcher.settings import ImageSettings, RegistrySettings
from watcher.units import size
from workers.dockerfile.bases import Found, external, look_up, pinned
from workers.dockerfile.context import files_of, ignore_text, place
from workers.dockerfile.engine import Engine, Plan
from workers.dockerfile.errors import BuildRefused
from workers.oci.manifest import ImageConfig, Manifest
from workers.oci.store import Store, small_blob
from workers.scratch import scratch as throwaway

STEPS = "toplayer.steps"
"""The label with the keys of the steps that an image was made of."""
_REVISION = "org.opencontainers.image.revision"
_LARGEST_CONFIG = 4 * 1024**2

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What an image is made from: the files of `commit` in the directory `tree`.

    `previous` is the image that was built last, if the ledger knows one; else one of the commits in `parents` is looked
    for by its tag. `changed` tells which files differ between two commits (None: it cannot).
    """

    image: ImageSettings
    tree: Path
    commit: str
    committed_at: datetime
    source: str = ""
    previous: Digest | None = None
    parents: Sequence[str] = ()
    changed: Callable[[str, str], Sequence[str] | None] = lambda _before, _after: None

    @property
    def tag(self) -> str:
        return tag_of(self.commit)


def tag_of(commit: str) -> str:
    """The tag of a commit's image."""
    return f"commit-{commit[:12]}"


@dataclass(frozen=True, slots=True)
class Earlier:
    """An image as the registry has it: its manifest, its layers by what made them, and the keys of its steps."""

    manifest: Manifest
    config: ImageConfig

    @property
    def labels(self) -> Mapping[str, str]:
        labels = self.config.run.get("Labels")
        return {str(name): str(text) for name, text in labels.items()} if isinstance(labels, dict) else {}

    @property
    def steps(self) -> tuple[str, ...]:
        return tuple(self.labels.get(STEPS, "").split())

    @property
    def layers(self) -> tuple[Layer, ...]:
        rows = self.config.table.get("history")
        told = [row for row in rows if isinstance(row, dict) and not row.get("empty_layer")] if rows else []
        if len(told) != len(self.manifest.layers):
            return ()
        pairs = zip(told, self.manifest.layers, strict=True)
        return tuple(Layer(str(row.get("created_by", "")), layer.size) for row, layer in pairs)


def earlier(store: Store, name: str) -> Earlier | None:
    """The image called `name` (a tag or a digest), or None if there is none."""
    raw = store.manifest(name)
    if raw is None:
        return None
    manifest = Manifest.parse(raw, f"{store.where}:{name}")
    return Earlier(manifest, ImageConfig.parse(small_blob(manifest.config, store, _LARGEST_CONFIG), store.where))


def build(
    recipe: Recipe,
    store: Store,
    registries: Mapping[str, RegistrySettings],
    *,
    scratch: Path,
    report: Report = lambda _: None,
) -> Built:
    """Builds the image and publishes it under the tag of its commit. `scratch` is only for throwaway directories.

    Raises `DockerfileUnreadable`, `BuildRefused` and `BuildFailed` (a person has to act), `BuildTimedOut`,
    `EngineGone`, and what registries raise. Unless it returns, nothing can be seen in the repository.
    """
    began = time.monotonic()
    with _disk(scratch), throwaway(scratch) as directory:
        return _Build(recipe, store, registries, directory, report).run(began)


class _Build:
    """One build, in one throwaway directory."""

    def __init__(
        self,
        recipe: Recipe,
        store: Store,
        registries: Mapping[str, RegistrySettings],
        directory: Path,
        report: Report,
    ) -> None:
        self._recipe, self._settings, self._store = recipe, recipe.image.dockerfile or DockerfileSettings(), store
        self._directory, self._report = directory, report
        self._platform = Platform.parse(recipe.image.platform)
        self._parsed = _read(recipe.tree, self._settings.file)
        self._context = place(recipe.tree, self._settings.context)
        self._ignore = ignore_text(recipe.tree, self._settings.context, self._settings.file)
        self._stages: Stages = stages(self._parsed, self._settings.arguments, self._platform)
        names = external(self._stages, self._settings.target)
        (directory / "docker").mkdir(mode=0o700)
        self._engine = Engine(self._settings, registries, directory / "docker")
        self._bases = look_up(names, self._platform, registries, self._engine)
        self._graph = self._made_of()
        self._name, self._before = self._previous()

    def run(self, began: float) -> Built:
        there = earlier(self._store, self._recipe.tag)
        if there is not None and there.steps == self._graph.keys:
            self._report(f"{self._recipe.tag} is there already")
            return self._built(there.manifest, 0, 0, "", began)
        changed = self._changed()
        prediction = predict(
            self._graph,
            self._before.steps if self._before else (),
            changed,
            self._before.layers if self._before else (),
        )
        for line in told(prediction, first=self._before is None):
            self._report(line)
        plan = self._plan()
        progress = self._engine.build(plan)
        worked = {label: not vertex.cached for label, vertex in progress.steps.items()}
        # Without an image before it, everything was to be made.
        warnings = verify(prediction, worked, changed) if self._before else ()
        for warning in warnings:
            self._report(f"warning: {warning}")
        self._check_secrets(plan)
        travelled = self._engine.push(plan.tag)
        made = earlier(self._store, self._recipe.tag)
        if made is None:
            raise BuildRefused(self._store.where, f"the engine pushed {self._recipe.tag}, and it is not there")
        self._engine.forget(plan.tag)
        pushed = self._travelled(made, travelled)
        self._report(f"{size(pushed)} sent to {self._store.where}")
        timings = {
            step.said: progress.steps[step.label].seconds
            for step in self._graph.steps
            if step.instruction.keyword == "RUN" and worked.get(step.label)
        }
        built = self._built(made.manifest, pushed, prediction.most, "; ".join(warnings), began)
        return replace(built, timings=timings)

    # --- before ---

    def _made_of(self) -> Graph:
        inputs = Inputs(
            files=files_of(self._context, self._ignore),
            platform=self._platform,
            arguments=self._settings.arguments,
            bases={name: found.base for name, found in self._bases.items()},
            target=self._settings.target,
        )
        return graph(self._parsed, inputs)

    def _previous(self) -> tuple[str, Earlier | None]:
        """The image to start from: by the digest that the ledger has, else by the tag of a parent."""
        for name in filter(None, (self._recipe.previous, *map(tag_of, self._recipe.parents))):
            if found := earlier(self._store, name):
                return name, found
        return "", None

    def _changed(self) -> Sequence[str] | None:
        before = self._before.labels.get(_REVISION) if self._before else None
        found = self._recipe.changed(before, self._recipe.commit) if before else None
        if found is None:
            return None
        root = "" if self._settings.context == "." else f"{self._settings.context.strip('/')}/"
        return [path.removeprefix(root) for path in found if path.startswith(root)]

    def _plan(self) -> Plan:
        file = self._directory / "Dockerfile"
        file.write_bytes(pinned(self._parsed, self._stages, self._bases).encode("utf-8", "surrogateescape"))
        (self._directory / "Dockerfile.dockerignore").write_text(self._ignore, encoding="utf-8")
        secrets, hidden = self._secrets()
        at = f"{'@' if self._name.startswith('sha256:') else ':'}{self._name}"
        cache = self._settings.cache
        if cache and not self._engine.keeps_caches:
            self._report(f"the engine cannot keep a cache in {cache}: it needs buildx and the containerd image store")
        labels = {**self._settings.labels, **self._labels()}
        return Plan(
            dockerfile=file,
            name=self._settings.file,
            context=self._context,
            platform=self._platform,
            tag=f"{self._store.where}:{self._recipe.tag}",
            target=self._settings.target,
            arguments=self._settings.arguments,
            secrets=secrets,
            ssh=self._settings.ssh,
            labels=labels,
            annotations={name: text for name, text in labels.items() if _is_annotation(name, self._engine)},
            cache_from=(f"{self._store.where}{at}",) if self._before else (),
            cache=cache if self._engine.keeps_caches else "",
            network=self._settings.network,
            hidden=hidden,
            deadline=self._settings.deadline,
        )

    def _secrets(self) -> tuple[dict[str, Path], tuple[str, ...]]:
        files, hidden = {}, []
        for number, (id, secret) in enumerate(sorted(self._settings.secrets.items())):
            try:
                value = secret.reveal()
            except LookupError as error:
                raise BuildRefused(f"secret {id}", str(error)) from None
            files[id] = self._directory / f"secret-{number}"
            files[id].touch(mode=0o600)
            files[id].write_text(value, encoding="utf-8")
            hidden += [value, *filter(lambda row: len(row) > 3, value.splitlines())]
        return files, tuple(hidden)

    def _labels(self) -> dict[str, str]:
        last: Found | None = None
        name, standing = "", self._graph.target
        while standing.standing_on is not None:
            standing = self._stages.all[standing.standing_on]
        if standing.base in self._bases:
            name, last = standing.base, self._bases[standing.base]
        found = {
            "org.opencontainers.image.created": self._recipe.committed_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            _REVISION: self._recipe.commit,
            "org.opencontainers.image.source": self._recipe.source,
            "org.opencontainers.image.base.name": name,
            "org.opencontainers.image.base.digest": last.digest if last else "",
            STEPS: " ".join(self._graph.keys),
        }
        return {key: text for key, text in found.items() if text}

    # --- after ---

    def _check_secrets(self, plan: Plan) -> None:
        """Refuses to push an image whose configuration tells a secret."""
        said = self._engine.configuration(plan.tag)
        if any(secret in said for secret in plan.hidden if len(secret) > 3):
            self._engine.forget(plan.tag)
            hint = "mount it only where it is used (RUN --mount=type=secret), and write it nowhere"
            raise BuildRefused(self._settings.file, "the image's configuration or history tells a secret", hint)

    def _travelled(self, made: Earlier, ids: frozenset[str]) -> int:
        pairs = zip(made.config.diff_ids, made.manifest.layers, strict=True)
        layers = sum(layer.size for diff_id, layer in pairs if diff_id.short in ids)
        return layers + made.manifest.config.size + len(made.manifest.raw)

    def _built(self, manifest: Manifest, pushed: int, foreseen: int, warning: str, began: float) -> Built:
        had = {layer.digest for layer in self._before.manifest.layers} if self._before else set()
        new = [layer for layer in manifest.layers if layer.digest not in had]
        return Built(
            image=manifest.digest,
            layers=len(manifest.layers),
            new_layers=len(new),
            size=manifest.size,
            new_size=sum(layer.size for layer in new),
            pushed=pushed,
            seconds=time.monotonic() - began,
            foreseen=foreseen,
            warning=warning,
        )


def told(prediction: Prediction, *, first: bool = False) -> Iterator[str]:
    """The prediction, for people: where each changed file enters, what is made anew, and what a host pulls."""
    if first:
        yield "no image to start from: everything is made"
        return
    for path, steps in prediction.entries.items():
        where = ", ".join(f"{_stage(step.stage.name)}{step.name}" for step in steps)
        yield f"{path} enters at {where}" if steps else f"{path} is in no layer"
    rebuilt = prediction.rebuilt
    for one in rebuilt:
        may = "may be made anew" if one.fate is Fate.OPEN else "is made anew"
        yield f"{_stage(one.step.stage.name)}{one.step.name} {may}: {one.why}"
    least, most = size(prediction.least), size(prediction.most)
    yield f"a host will pull {most if least == most else f'{least} to {most}'}" if rebuilt else "nothing is made anew"


def _is_annotation(name: str, engine: Engine) -> bool:
    """Whether a label is one of those that are the same as annotations (image specification), and can be written so."""
    return engine.annotates and name.startswith("org.opencontainers.image.")


def _stage(name: str) -> str:
    return f"stage {name}, " if name else ""


def _read(tree: Path, file: str) -> Parsed:
    path = place(tree, file)
    if not path.is_file():
        raise BuildRefused(file, "there is no such file at this commit", "see `file` in apps.*.image.dockerfile")
    return parse(decoded(path.read_bytes(), file), file)


@contextlib.contextmanager
def _disk(scratch: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = "free some space and try again; nothing was published" if full else ""
        raise BuildRefused(str(error.filename or scratch), error.strerror or str(error), hint) from error
