"""A commit and its Dockerfile → an image in a registry, by the BuildKit of a Docker engine.

The build starts from the image before it, says before it begins what it will make anew, and afterwards what it made
anew without need. The image tells by a label which steps it was made of: the next prediction compares with that.
"""

import contextlib
import errno
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from watcher.dockerfile.layers import layers_of
from watcher.dockerfile.stages import mounts
from watcher.dockerfile.told import told
from watcher.dockerfile.verify import verify
from watcher.image import Reference
from watcher.inert import inert
from watcher.rollout import Built
from watcher.settings import RegistrySettings
from watcher.units import size
from workers.dockerfile.bases import FRONTEND, Found, Image, pinned
from workers.dockerfile.context import level
from workers.dockerfile.draft import Builder, Draft, drafts
from workers.dockerfile.earlier import REVISION, STEPS, Earlier, earlier
from workers.dockerfile.engine import Engine
from workers.dockerfile.errors import BuildRefused
from workers.dockerfile.finish import Journal, finish, is_finished, recalled
from workers.dockerfile.plan import Plan
from workers.dockerfile.progress import Progress
from workers.dockerfile.recipe import Recipe, tag_of
from workers.dockerfile.secrets import Secrets
from workers.oci.manifest import Manifest
from workers.oci.store import Store
from workers.scratch import scratch as throwaway
from workers.several import build_each

Report = Callable[[str], None]


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
    `BuildCutOff`, `EngineGone`, and what registries raise. Nothing half-made can be seen in the repository, whatever
    happens.
    """
    began = time.monotonic()
    with _disk(scratch), throwaway(scratch) as directory:
        level(recipe.tree)
        (directory / "docker").mkdir(mode=0o700)
        engine = Engine(recipe.settings, directory / "docker")
        builder = Builder(engine.platform, engine.is_containerd, engine.image)
        # What cannot be built for one platform is found out before it is built for another.
        sketches = drafts(recipe, store, registries, builder)
        named = {reference for sketch in sketches.values() for reference in sketch.references}
        engine.log_in((*named, Reference.parse(store.where)), registries)

        def build_one(part: Recipe) -> Built:
            place = directory / part.platform.in_tag
            place.mkdir(mode=0o700)
            return _Build(sketches[part.image.platform], store, engine, place, report).run()

        return replace(build_each(recipe, store, build_one), seconds=time.monotonic() - began)


class _Build:
    """One build for one platform, in one throwaway directory."""

    def __init__(self, sketch: Draft, store: Store, engine: Engine, directory: Path, report: Report) -> None:
        self._draft, self._recipe, self._settings = sketch, sketch.recipe, sketch.recipe.settings
        self._store, self._engine, self._directory = store, engine, directory
        self._report = (lambda line: report(f"{self._recipe.platform}: {line}")) if self._recipe.is_part else report

    def run(self) -> Built:
        began, there = time.monotonic(), self._there()
        if there is not None:
            self._report(f"{self._recipe.tag} is there already")
            if is_finished(there):
                return self._built(there.manifest, recalled(there, self._store), 0, began)
            journal = self._journal(Progress(()), there)
            manifest, sent = finish(there, self._store, self._recipe.tag, journal)
            return self._built(manifest, journal, sent, began)
        for line in self._told():
            self._report(line)
        secrets = Secrets.written(self._settings.secrets, self._directory)
        plan = self._plan(secrets)
        try:
            progress = self._engine.build(plan)
            self._check(secrets, plan)
            ids = self._engine.push(plan.tag)
        finally:
            # Under the name of a registry an engine would show for ever what is not there.
            self._engine.forget(plan.tag)
        made = earlier(self._store, self._recipe.tag, self._recipe.platform)
        if made is None:
            what = f"{self._recipe.tag} for {self._recipe.platform}"
            raise BuildRefused(self._store.where, f"the engine pushed {what}, and it is not there")
        journal = self._journal(progress, made)
        manifest, sent = finish(made, self._store, self._recipe.tag, journal)
        pushed = sent + _travelled(made, ids)
        self._report(f"{size(pushed)} sent to {self._store.where}")
        return self._built(manifest, journal, pushed, began)

    # --- before ---

    def _there(self) -> Earlier | None:
        """What an earlier try has made of the same steps. Where several platforms are in one index, the parts may have
        lost their own tags since."""
        tags = dict.fromkeys((self._recipe.tag, tag_of(self._recipe.commit)))
        found = (earlier(self._store, tag, self._recipe.platform) for tag in tags)
        return next((one for one in found if one is not None and one.steps == self._draft.graph.keys), None)

    def _told(self) -> Iterator[str]:
        if self._draft.starts:
            yield from told(self._draft.prediction, self._recipe.classic)
        else:
            yield "no image to start from: everything is made"

    def _plan(self, secrets: Secrets) -> Plan:
        sketch, settings = self._draft, self._settings
        file = self._directory / "Dockerfile"
        text = pinned(sketch.parsed, sketch.stages, sketch.images, sketch.read_by)
        file.write_bytes(text.encode("utf-8", "surrogateescape"))
        (self._directory / "Dockerfile.dockerignore").write_text(sketch.ignore, encoding="utf-8")
        cache = settings.cache
        if cache and not self._engine.keeps_caches:
            self._report(f"the engine cannot keep a cache in {cache}: it needs buildx and the containerd image store")
        if sketch.contexts and not self._engine.takes_contexts:
            why = "expected buildx and an engine from Docker 23 on, which can be given several directories"
            raise BuildRefused("contexts", why, "update it, or copy from directories of the one `context`")
        arguments = dict(settings.arguments)
        if FRONTEND in arguments:
            arguments[FRONTEND] = sketch.read_by
        return Plan(
            dockerfile=file,
            name=self._recipe.called,
            context=sketch.context,
            contexts=sketch.contexts,
            platform=self._recipe.platform,
            tag=f"{self._store.where}:{self._recipe.tag}",
            target=settings.target,
            arguments=arguments,
            secrets=secrets.files,
            ssh=settings.ssh,
            labels={**settings.labels, **self._labels()},
            # By its own digest, also where it was found in an index, or by a tag.
            cache_from=(f"{self._store.where}@{sketch.before.manifest.digest}",) if sketch.before else (),
            cache=cache if self._engine.keeps_caches else "",
            network=settings.network,
            hidden=secrets.hidden,
            deadline=settings.deadline,
        )

    def _labels(self) -> dict[str, str]:
        name, base = self._base()
        found = {
            "org.opencontainers.image.created": self._recipe.committed_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            REVISION: self._recipe.commit,
            "org.opencontainers.image.source": self._recipe.source,
            "org.opencontainers.image.base.name": name if base else "",
            "org.opencontainers.image.base.digest": base.digest if base else "",
            STEPS: " ".join(self._draft.graph.keys),
        }
        return {key: text for key, text in found.items() if text}

    def _base(self) -> tuple[str, Found | None]:
        """What the image stands on: its name, and what was found of it, unless it is nothing at all."""
        stages, standing = self._draft.stages, self._draft.graph.target
        while standing.standing_on is not None:
            standing = stages.all[standing.standing_on]
        return standing.base, self._draft.images.get(Image(standing.base, standing.platform))

    # --- after ---

    def _check(self, secrets: Secrets, plan: Plan) -> None:
        """Refuses to push an image that tells a secret."""
        hint = "mount it only where it is used (RUN --mount=type=secret), and write it nowhere"
        if secrets.are_told(self._engine.texts(plan.tag)):
            raise BuildRefused(self._settings.file, "the image's configuration or history tells a secret", hint)
        # What an image was made of that was published has been looked at. What the builder has kept, for all that is
        # known, is of a build that was refused.
        seen = self._draft.before.steps if self._draft.before else ()
        fresh = [step for step in self._draft.graph.steps if step.key not in seen]
        if any(mount["type"] == "secret" for step in fresh for mount in mounts(step.instruction)):
            archive = self._directory / "image.tar"
            self._engine.save(plan.tag, archive)
            base = self._base()[1]
            if secrets.are_in(archive, len(base.base.layers) if base else 0):
                raise BuildRefused(self._settings.file, "a file in the image holds a secret", hint)
            archive.unlink()

    def _journal(self, progress: Progress, made: Earlier) -> Journal:
        sketch, worked = self._draft, {label: not vertex.cached for label, vertex in progress.steps.items()}
        # Without an image before it, everything was to be made.
        placed = layers_of(sketch.graph, made.layers)
        warnings = verify(sketch.prediction, worked, sketch.changes, placed) if sketch.before else ()
        if progress.lost_cache:
            lost = f"the cache could not be kept in {self._settings.cache}: {inert(progress.lost_cache, 300)}"
            warnings = (*warnings, lost)
        for warning in warnings:
            self._report(f"warning: {warning}")
        timings = {
            step.said: progress.steps[step.label].seconds
            for step in sketch.graph.steps
            if step.instruction.keyword == "RUN" and worked.get(step.label)
        }
        return Journal(
            foreseen=sketch.prediction.pulled(self._recipe.classic) if sketch.starts else None,
            told=tuple(self._told()),
            warning="; ".join(warnings),
            timings=timings,
        )

    def _built(self, manifest: Manifest, journal: Journal, pushed: int, began: float) -> Built:
        before = self._draft.before
        had = {layer.digest for layer in before.manifest.layers} if before else set()
        new = [layer for layer in manifest.layers if layer.digest not in had]
        return Built(
            image=manifest.digest,
            layers=len(manifest.layers),
            new_layers=len(new),
            size=manifest.size,
            new_size=sum(layer.size for layer in new),
            pushed=pushed,
            seconds=time.monotonic() - began,
            foreseen=journal.foreseen,
            told=journal.told,
            warning=journal.warning,
            timings=journal.timings,
        )


def _travelled(made: Earlier, ids: frozenset[str]) -> int:
    """Bytes that an engine pushed, which names layers by diff IDs, or by digests, as it keeps them."""
    pairs = zip(made.config.diff_ids, made.manifest.layers, strict=True)
    layers = sum(layer.size for diff_id, layer in pairs if ids & {diff_id.short, layer.digest.short})
    return layers + made.manifest.config.size + len(made.manifest.raw)


@contextlib.contextmanager
def _disk(scratch: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = "free some space and try again; nothing was published" if full else ""
        raise BuildRefused(str(error.filename or scratch), error.strerror or str(error), hint) from error
