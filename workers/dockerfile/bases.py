"""The images that a Dockerfile stands on or copies from, each by digest: a build stands on what was looked at."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from watcher.dockerfile.graph import Base
from watcher.dockerfile.parse import Parsed
from watcher.dockerfile.source import Span
from watcher.dockerfile.stages import SCRATCH, Stages, sources
from watcher.image import Platform, Reference
from watcher.settings import RegistrySettings
from workers.dockerfile.engine import Engine
from workers.dockerfile.errors import BuildRefused
from workers.oci.manifest import ImageConfig, Manifest, choose
from workers.oci.store import Store, small_blob
from workers.oci.stores import open_image

_LARGEST_CONFIG = 4 * 1024**2
_MOST_INDEXES = 3


@dataclass(frozen=True, slots=True)
class Found:
    """An image: what it gives to those who stand on it, and how it is named by digest (empty: it is nowhere but on the
    engine, where it was made)."""

    base: Base
    pinned: str
    digest: str


def external(stages: Stages, target: str) -> tuple[str, ...]:
    """The images that a build of `target` needs, as the Dockerfile names them once its variables are filled in."""
    found: dict[str, None] = {}
    for stage in stages.needed(stages.target(target)):
        if stage.standing_on is None and stage.base != SCRATCH:
            found[stage.base] = None
        for instruction in stages.body(stage):
            for name in sources(instruction):
                if stages.find(name, stage.index) is None and name != SCRATCH:
                    found[name] = None
    return tuple(found)


def look_up(
    names: Iterable[str], platform: Platform, registries: Mapping[str, RegistrySettings], engine: Engine
) -> dict[str, Found]:
    """Each image as it is now. Raises `BuildRefused` for one that is nowhere, and what a registry raises."""
    return {name: _look_up(name, platform, registries, engine) for name in names}


def _look_up(name: str, platform: Platform, registries: Mapping[str, RegistrySettings], engine: Engine) -> Found:
    try:
        reference = Reference.parse(name)
    except ValueError as error:
        raise BuildRefused(f"base {name}", str(error)) from None
    here = engine.image(name)
    if here is not None and not here.get("RepoDigests"):
        return Found(_base(str(here.get("Id")), here.get("Config")), "", "")
    store = open_image(reference, registries)
    manifest = _manifest(name, store, reference.name, platform)
    config = ImageConfig.parse(small_blob(manifest.config, store, _LARGEST_CONFIG), name)
    tag = f":{reference.tag}" if reference.tag else ""
    return Found(
        _base(str(manifest.digest), config.run), f"{reference.repository}{tag}@{manifest.digest}", manifest.digest
    )


def _manifest(name: str, store: Store, wanted: str, platform: Platform) -> Manifest:
    for _ in range(_MOST_INDEXES):
        raw = store.manifest(wanted)
        if raw is None:
            raise BuildRefused(f"base {name}", f"{store.where} has no image {wanted}", "push it there, or name another")
        chosen = choose(raw, platform, name)
        if chosen is None:
            return Manifest.parse(raw, name)
        wanted = chosen
    raise BuildRefused(f"base {name}", "expected an image, got indexes of indexes of indexes")


def _base(key: str, run: Any) -> Base:
    table = run if isinstance(run, dict) else {}
    rows = [str(row) for row in table.get("Env") or ()]
    return Base(
        key=key,
        env=dict(row.split("=", 1) for row in rows if "=" in row),
        workdir=str(table.get("WorkingDir") or "/"),
        user=str(table.get("User") or ""),
        shell=tuple(str(word) for word in table.get("Shell") or ()),
        triggers=tuple(str(row) for row in table.get("OnBuild") or ()),
    )


def pinned(parsed: Parsed, stages: Stages, found: Mapping[str, Found]) -> str:
    """The Dockerfile's text with every image by its digest."""
    edits: dict[Span, str] = {}
    for stage in stages.all:
        if stage.standing_on is None and (base := found.get(stage.base)) and base.pinned:
            edits[stage.word.span] = base.pinned
        for instruction in stage.own:
            for flag in instruction.flags:
                name = flag.value if flag.name == "from" else _mounted(instruction.keyword, flag.name, flag.value)
                image = found.get(name) if stages.find(name, stage.index) is None else None
                if image and image.pinned:
                    edits[flag.span] = f"--{flag.name}={flag.value.replace(name, image.pinned, 1)}"
    text = parsed.text
    for span in sorted(edits, reverse=True):
        text = text[: span.start] + edits[span] + text[span.end :]
    return text


def _mounted(keyword: str, flag: str, value: str) -> str:
    """The image that a mount is from, or an empty text."""
    if keyword != "RUN" or flag != "mount":
        return ""
    return next((part.removeprefix("from=") for part in value.split(",") if part.startswith("from=")), "")
