"""A commit and its Dockerfile → what a build of it will be: everything that can be known before it begins."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from watcher.dockerfile.content import key_of
from watcher.dockerfile.graph import Base, Graph, Inputs, graph
from watcher.dockerfile.parse import Parsed, decoded, parse
from watcher.dockerfile.predict import Prediction, predict
from watcher.dockerfile.stages import Stages, stages
from watcher.dockerfile.verify import Changes
from watcher.image import Platform, Reference
from watcher.settings import RegistrySettings
from workers.dockerfile.bases import FRONTEND, Found, Here, Image, Names, external, look_up, stood_upon
from workers.dockerfile.context import files_of, ignore_text, place
from workers.dockerfile.earlier import REVISION, Earlier, earlier
from workers.dockerfile.errors import BuildRefused
from workers.dockerfile.recipe import Recipe, tag_of
from workers.oci.store import Store

_LARGEST = 1_000_000


@dataclass(frozen=True, slots=True)
class Builder:
    """What builds, as far as it matters to what comes of it: its platform (None: the image's own), whether it keeps
    each layer for itself (`merges`), and what it knows of images."""

    platform: Platform | None = None
    merges: bool = False
    here: Here = lambda _: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """`images` are what it stands on and copies from, `frontend` is what reads it, if that is an image. `before` is the
    image that it starts from, called `name`, and `changes` what is not as it was there (None: nobody knows)."""

    recipe: Recipe
    parsed: Parsed
    stages: Stages
    graph: Graph
    context: Path
    contexts: Mapping[str, Path]
    ignore: str
    images: Mapping[Image, Found]
    frontend: Image | None
    before: Earlier | None
    name: str
    changes: Changes | None
    prediction: Prediction

    @property
    def starts(self) -> bool:
        """Whether the image that it starts from is one of ours of a Dockerfile: what is made anew can be told."""
        return self.before is not None and bool(self.before.steps)

    @property
    def references(self) -> Iterator[Reference]:
        """Every image that a builder has to be let in for, but for its own."""
        named = (*self.images, *([self.frontend] if self.frontend else ()))
        yield from (Reference.parse(image.name) for image in named)
        if self.recipe.settings.cache:
            yield Reference.parse(self.recipe.settings.cache)

    @property
    def read_by(self) -> str:
        """The frontend's name with its digest, or an empty text."""
        return self.images[self.frontend].pinned or self.frontend.name if self.frontend else ""


def drafts(
    recipe: Recipe, store: Store, registries: Mapping[str, RegistrySettings], builder: Builder
) -> dict[str, Draft]:
    """The draft of a build for each of the image's platforms. Raises `DockerfileUnreadable`, `BuildRefused`, and what
    registries raise."""
    names = Names(registries, builder.here)
    return {name: draft(recipe.on(name), store, names, builder) for name in recipe.image.every_platform}


def draft(recipe: Recipe, store: Store, names: Names, builder: Builder) -> Draft:
    """The draft of a build for one platform."""
    settings, tree = recipe.settings, recipe.tree
    parsed = _read(tree, settings.file)
    context = place(tree, settings.context)
    contexts = {name: place(tree, path) for name, path in settings.contexts.items()}
    ignore = ignore_text(tree, settings.context, settings.file)
    found = stages(parsed, settings.arguments, recipe.platform, builder.platform)
    frontend = _frontend(parsed, recipe, builder)
    wanted = [image for image in external(found, settings.target) if image.name not in contexts]
    images = look_up([*wanted, *([frontend] if frontend else ())], names)
    stood_upon(found, settings.target, images)
    others = {name: files_of(path, ignore_text(path, ".", "")) for name, path in contexts.items()}

    def base(name: str, platform: Platform) -> Base:
        if name in others:
            return Base(key_of("context", sorted(others[name].items())))
        image = images.get(Image(name, platform))
        return image.base if image else Base(name)

    inputs = Inputs(
        files=files_of(context, ignore),
        platform=recipe.platform,
        arguments=settings.arguments,
        bases=base,
        builder=builder.platform,
        contexts=others,
        target=settings.target,
        merges=builder.merges,
    )
    made = graph(parsed, inputs)
    name, before = _previous(recipe, store)
    changes = _changes(recipe, {"": context, **contexts}, before) if before else None
    known, layers = (before.steps, before.layers) if before else ((), ())
    return Draft(
        recipe=recipe,
        parsed=parsed,
        stages=found,
        graph=made,
        context=context,
        contexts=contexts,
        ignore=ignore,
        images=images,
        frontend=frontend,
        before=before,
        name=name,
        changes=changes,
        prediction=predict(made, known, changes.files if changes else None, layers),
    )


def _read(tree: Path, file: str) -> Parsed:
    path = place(tree, file)
    if not path.is_file():
        raise BuildRefused(file, "there is no such file at this commit", "see `file` in apps.*.image.dockerfile")
    return parse(decoded(path.read_bytes(), file), file)


def _frontend(parsed: Parsed, recipe: Recipe, builder: Builder) -> Image | None:
    """It is run in the build, by the builder."""
    said = recipe.settings.arguments.get(FRONTEND, "") or (parsed.frontend.text if parsed.frontend else "")
    return Image(said, builder.platform or recipe.platform) if said else None


def _previous(recipe: Recipe, store: Store) -> tuple[str, Earlier | None]:
    """The image to start from: by the digest that the ledger has, else by the tag of a parent. Both may be those of
    several platforms."""
    for name in filter(None, (recipe.previous, *map(tag_of, recipe.parents))):
        if found := earlier(store, name, recipe.platform):
            return name, found
    return "", None


def _changes(recipe: Recipe, contexts: Mapping[str, Path], before: Earlier) -> Changes | None:
    """None if the image before does not tell its commit, or that commit is nowhere; or if it is no image of ours of a
    Dockerfile, of which nothing could have been kept."""
    revision = before.labels.get(REVISION)
    found = recipe.changed(revision, recipe.commit) if revision and before.steps else None
    if found is None:
        return None
    tree = recipe.tree.resolve()
    files = [
        f"{name}:{file}" if name else file for name, path in contexts.items() for file in _below(tree, path, found)
    ]
    return Changes(files=files, edited=recipe.settings.file in found, read=partial(_text, contexts[""]))


def _below(tree: Path, directory: Path, paths: Sequence[str]) -> Iterator[str]:
    """Of these paths of the repository those that are in a directory, from there on."""
    for path in paths:
        if (tree / path).is_relative_to(directory):
            yield (tree / path).relative_to(directory).as_posix()


def _text(context: Path, path: str) -> str | None:
    found = context / path
    if found.is_symlink() or not found.resolve().is_relative_to(context) or not found.is_file():
        return None
    return found.read_bytes()[:_LARGEST].decode("utf-8", "replace")
