"""The images that a Dockerfile stands on or copies from, each by digest: a build stands on what was looked at."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from watcher.dockerfile.content import key_of
from watcher.dockerfile.graph import Base
from watcher.dockerfile.parse import Parsed
from watcher.dockerfile.source import Span
from watcher.dockerfile.stages import SCRATCH, Stages, sources
from watcher.image import Platform, Reference
from watcher.settings import RegistrySettings
from workers.dockerfile.errors import BuildRefused
from workers.oci.manifest import ImageConfig, Manifest, choose, digest_of
from workers.oci.store import Store, StoreRefused, small_blob
from workers.oci.stores import open_image

FRONTEND = "BUILDKIT_SYNTAX"
"""The build argument that names an image to read the Dockerfile, whatever its own `# syntax=` says."""
_LARGEST_CONFIG = 4 * 1024**2
_MOST_INDEXES = 3
_OLDER = {"amd64": "386", "arm64": "arm"}
"""What machines of an architecture run besides."""

Here = Callable[[str], dict[str, Any] | None]
"""What the engine that builds knows of an image, by its name."""


class Image(NamedTuple):
    """An image by the name that a Dockerfile has for it, for one platform."""

    name: str
    platform: Platform


@dataclass(frozen=True, slots=True)
class Found:
    """An image: what it gives to those who stand on it; the name that everybody else has to call it by, so that it
    stays this one (empty: it is nowhere but on the engine, where it was made); its manifest's digest there; and what it
    says that it is for.

    The name has the digest of what the tag names. That is an index for several platforms as often as not, and the
    manifest one of those that it lists.
    """

    base: Base
    pinned: str = ""
    digest: str = ""
    platform: Platform | None = None


def external(stages: Stages, target: str) -> tuple[Image, ...]:
    """The images that a build of `target` needs, with the variables in their names filled in."""
    found: dict[Image, None] = {}
    for stage in stages.needed(stages.target(target)):
        if stage.standing_on is None and stage.base != SCRATCH:
            found[Image(stage.base, stage.platform)] = None
        for instruction in stages.body(stage):
            for name in sources(instruction):
                if stages.find(name, stage.index) is None and name != SCRATCH:
                    # Whatever the stage is built for, what it takes from elsewhere is for the image.
                    found[Image(name, stages.platform)] = None
    return tuple(found)


class Names:
    """What images are called, in `registries` and by the engine that is `here`. Each name is asked about once: what is
    built for several platforms stands on the same, whatever happens to a tag in the meantime."""

    def __init__(self, registries: Mapping[str, RegistrySettings], here: Here) -> None:
        self._registries, self.here = registries, cache(here)
        self._answers: dict[str, bytes | None] = {}

    def store(self, reference: Reference) -> Store:
        """Where an image of that name is."""
        return open_image(reference, self._registries)

    def manifest(self, reference: Reference, store: Store) -> bytes | None:
        """What the registry has under that name, a manifest or an index; None if there is nothing."""
        name = str(reference)
        if name not in self._answers:
            self._answers[name] = _asked(reference, store, hopeful=self.here(name) is not None)
        return self._answers[name]


def stood_upon(stages: Stages, target: str, found: Mapping[Image, Found]) -> None:
    """Raises `BuildRefused` if a stage stands on an image for other machines. An engine builds upon that all the same,
    and calls it what it was asked for. Files may be copied from any."""
    for stage in stages.needed(stages.target(target)):
        base = found.get(Image(stage.base, stage.platform)) if stage.standing_on is None else None
        if base and base.platform and not _runs(base.platform, stage.platform):
            why = f"it is for {base.platform}, and is built upon for {stage.platform}"
            hint = (
                f"name one that is for {stage.platform}, too; or, if that is meant, say FROM --platform={base.platform}"
            )
            raise BuildRefused(f"image {stage.base}", why, hint)


def _runs(own: Platform, machine: Platform) -> bool:
    """Whether what is for one platform runs on a machine of another, as BuildKit has it."""
    known = (machine.architecture, _OLDER.get(machine.architecture))
    return own.os == machine.os and own.architecture in known


def look_up(images: Iterable[Image], names: Names) -> dict[Image, Found]:
    """Each image as it is now. Raises `BuildRefused` for one that is nowhere, and what a registry raises."""
    return {image: _look_up(image, names) for image in images}


def _look_up(image: Image, names: Names) -> Found:
    try:
        reference = Reference.parse(image.name)
    except ValueError as error:
        raise BuildRefused(f"image {image.name}", str(error)) from None
    here = names.here(image.name)
    # The classic store knows of no digest of what was made here; that of containerd makes one up.
    if here is not None and not here.get("RepoDigests"):
        return _made_here(image, here)
    store = names.store(reference)
    raw = names.manifest(reference, store)
    if raw is None and here is not None:
        return _made_here(image, here)
    if raw is None:
        hint = "push it there, or name another"
        raise BuildRefused(f"image {image.name}", f"{store.where} has no image {reference.name}", hint)
    manifest = _manifest(image, store, raw)
    config = ImageConfig.parse(small_blob(manifest.config, store, _LARGEST_CONFIG), image.name)
    name = f"{reference.repository}{f':{reference.tag}' if reference.tag else ''}@{digest_of(raw)}"
    layers = tuple((str(layer.digest), layer.size) for layer in manifest.layers)
    return Found(_base(config.diff_ids, config.run, layers), name, manifest.digest, config.platform)


def _asked(reference: Reference, store: Store, hopeful: bool) -> bytes | None:
    """What the registry has under that name. Docker's hub does not say of a repository that there is none, but that
    nobody may see it: with an image of that name on the engine, that is an answer, too."""
    try:
        return store.manifest(reference.name)
    except StoreRefused:
        if hopeful and not reference.host:
            return None
        raise


def _manifest(image: Image, store: Store, raw: bytes) -> Manifest:
    for _ in range(_MOST_INDEXES):
        chosen = choose(raw, image.platform, image.name)
        if chosen is None:
            return Manifest.parse(raw, image.name)
        found = store.manifest(chosen)
        if found is None:
            raise BuildRefused(f"image {image.name}", f"{store.where} has an index of it, and not {chosen}")
        raw = found
    raise BuildRefused(f"image {image.name}", "expected an image, got indexes of indexes of indexes")


def _made_here(image: Image, said: Mapping[str, Any]) -> Found:
    """What the engine has, and nobody else: of one platform."""
    own = Platform(*(str(said.get(key) or "") for key in ("Os", "Architecture", "Variant")))
    if own.os and not _runs(own, image.platform):
        why = f"only the engine has it, for {own}, and it is built upon for {image.platform}"
        raise BuildRefused(f"image {image.name}", why, "push one for each platform to a registry, and an index of them")
    filesystem = said.get("RootFS")
    ids = [str(id) for id in (filesystem or {}).get("Layers") or [said.get("Id")]]
    return Found(_base(ids, said.get("Config"), tuple((id, 0) for id in ids)))


def _base(diff_ids: Iterable[str], run: Any, layers: tuple[tuple[str, int], ...]) -> Base:
    """BuildKit, too, knows an image by its layers: published again with other labels, it makes nothing anew."""
    table = run if isinstance(run, dict) else {}
    rows = [str(row) for row in table.get("Env") or ()]
    return Base(
        key=key_of(*diff_ids),
        env=dict(row.split("=", 1) for row in rows if "=" in row),
        workdir=str(table.get("WorkingDir") or "/"),
        user=str(table.get("User") or ""),
        shell=tuple(str(word) for word in table.get("Shell") or ()),
        triggers=tuple(str(row) for row in table.get("OnBuild") or ()),
        layers=layers,
    )


def pinned(parsed: Parsed, stages: Stages, found: Mapping[Image, Found], frontend: str = "") -> str:
    """The Dockerfile's text with every image by its digest; `frontend` is the name of the one that reads it."""
    edits: dict[Span, str] = {}
    if frontend and parsed.frontend:
        edits[parsed.frontend.span] = frontend
    for stage in stages.all:
        base = found.get(Image(stage.base, stage.platform)) if stage.standing_on is None else None
        if base and base.pinned:
            edits[stage.word.span] = base.pinned
        for instruction in stage.own:
            for name in sources(instruction):
                taken = found.get(Image(name, stages.platform)) if stages.find(name, stage.index) is None else None
                if taken and taken.pinned:
                    spans = (flag.span for flag in instruction.flags)
                    edits |= {place: taken.pinned for span in spans for place in _places(parsed.text, span, name)}
    text = parsed.text
    for span in sorted(edits, reverse=True):
        text = text[: span.start] + edits[span] + text[span.end :]
    return text


def _places(text: str, flag: Span, name: str) -> Iterator[Span]:
    """Where a flag says `from=` this name: `--from=name`, or in one of the fields of a mount."""
    said = re.compile(rf"""(?:--|[=,"'])(?i:from)=({re.escape(name)})(?=[,"'\s]|$)""")
    yield from (Span(*found.span(1)) for found in said.finditer(text, flag.start, flag.end))
