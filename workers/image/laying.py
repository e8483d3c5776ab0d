"""The layers of an image: which ones, in which order; those that are not there yet are made, and sent."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from watcher.image import DiffID
from watcher.layers.choice import worth_patching
from watcher.layers.part import MOST_LAYERS, Stack
from watcher.units import size
from watcher.wheels import Wheels
from workers.image.base import Base
from workers.image.directories import Directories
from workers.image.each import each
from workers.image.entry import Entry
from workers.image.errors import BuildRefused
from workers.image.files import Files
from workers.image.layer import Layer, write_layer
from workers.image.notes import Notes
from workers.image.packages import check_needs
from workers.image.packing import Packing
from workers.image.parts import COMPONENT, KEY, SINCE, STEPS, Known
from workers.image.patches import churned, patch_of
from workers.image.plan import Group, arrange, groups, parts, room, stack, stays
from workers.image.recipe import Recipe
from workers.image.sending import Sending
from workers.image.shared import Shared, shared
from workers.image.supplies import Supplies
from workers.oci.manifest import Descriptor
from workers.oci.store import Store

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Laid:
    """The layers above the base, from the bottom up, what is known of them, and what a person should know."""

    layers: Sequence[tuple[Descriptor, DiffID]]
    notes: Notes
    warning: str


class Laying:
    """Lays the layers of one image, in one throwaway directory, going on from what is `known`."""

    def __init__(
        self,
        recipe: Recipe,
        base: Base,
        store: Store,
        supplies: Supplies,
        known: Known,
        directories: Directories,
        directory: Path,
        report: Report,
    ) -> None:
        self._recipe, self._base, self._store = recipe, base, store
        self._pins, self._known, self._directory, self._report = supplies.pins, known, directory, report
        self._directories = directories
        self._files, self._packing = Files(supplies.every, known, directory), Packing(recipe.packings[0])
        self.components = self._files.components
        self._made: dict[Group, Layer] = {}

    def lay(self, sending: Sending, *, again: bool) -> Laid:
        """The layers. What is made is on its way when this returns; `again`: it was built of this commit before."""
        self._files.expect([one for one in self.components if not self._files.is_known(one)])
        laid, churn = self._groups(again)
        missing = [group for group in laid if group not in self._made and not self._has(group)]
        self._files.expect([one for group in missing for one in group.components])
        for patch in self._made.values():
            sending.put(patch)
        self._make(missing, sending)
        told = ""
        if settled := shared(tuple(self._pins), self._files):
            told = self._settle(settled, sending)
            laid = (*laid, _group(settled))
        notes = Notes.of(laid, self.components, self._files.facts, churn, self._directories)
        requires = {key: one.requires for key, one in notes.facts.items()}
        check_needs(self._pins, requires, Wheels.of(self._recipe.image))
        return Laid([self._layer(group) for group in laid], notes, told)

    def _groups(self, again: bool) -> tuple[tuple[Group, ...], Mapping[str, float]]:
        """The layers above the base, and which share of what is patched a change replaces. Patches are made for it."""
        terms = room(self._recipe.terms, len(self._base.layers))
        if terms.most < 1:
            why = f"it has {len(self._base.layers)} of the {MOST_LAYERS} layers of an image, and we need two more"
            raise BuildRefused(f"base {self._base.name}", why, "squash the base")
        before = stack(self._known.stack, self.components)
        terms = replace(terms, moved=bool(before) and self._known.base != self._base.digests)
        sizes = {one.name: self._files.size(one) for one in self.components}
        planned = parts(self.components, sizes, self._recipe.rates, self._known.churn)
        again = again and stays(before, planned, terms)
        patches = {} if again else self._patches(before, worth_patching(before, planned, terms))
        churn = {**self._known.churn, **dict(churned(before, patches, sizes, self._known.churn))}
        planned = parts(self.components, sizes, self._recipe.rates, churn)
        weights = {name: layer.size for name, layer in patches.items()}
        choice = arrange(planned, before, terms, weights, again=again)
        self._report(f"{choice.kind}: {len(choice.stack)} layers, {size(choice.price.now)} to a host that has the last")
        laid = groups(choice.stack, self.components)
        self._made = {one: patches[one.components[0].name] for one in laid if one.since and not self._has(one)}
        return laid, churn

    def _has(self, group: Group) -> bool:
        return group.key in self._known.layers and all(map(self._files.is_known, group.components))

    def _patches(self, before: Stack, names: Sequence[str]) -> dict[str, Layer]:
        """Patches of these components, as far as they can be made."""
        if not names:
            return {}
        # Whether they get into the way of others is to be known, and what is new is needed here in any case.
        each(self._files.of, [one for one in self.components if not self._files.is_known(one)])

        def make(numbered: tuple[int, str]) -> Layer | None:
            number, name = numbered
            place = self._directory / f"patch-{number}.tar"
            patch = patch_of(name, before, self._files, self._known, self._store, place.with_suffix(".held"))
            return self._write(patch, place) if patch else None

        made = zip(names, each(make, list(enumerate(names))), strict=True)
        return {name: layer for name, layer in made if layer is not None}

    def _make(self, missing: Sequence[Group], sending: Sending) -> None:
        count = sum(one in self._pins for group in missing for one in group.components)
        self._report(f"{len(missing)} layers to make, {count} packages to install")

        def make(numbered: tuple[int, Group]) -> Layer:
            number, group = numbered
            entries = [entry for component in group.components for entry in self._files.of(component)]
            layer = self._write(entries, self._directory / f"layer-{number}.tar")
            for component in group.components:
                self._files.drop(component)
            self._report(f"{group.name}: {size(layer.size)}")
            if len(group.components) == 1:
                self._files.weigh(group.components[0], layer.size)
            sending.put(layer)
            return layer

        self._made |= dict(zip(missing, each(make, list(enumerate(missing))), strict=True))

    def _settle(self, settled: Shared, sending: Sending) -> str:
        """Makes the layer of what counts of the files that several packages have; what is new of it, in words."""
        if settled.component.key in self._known.layers:
            return ""
        for line in settled.said:
            self._report(line)
        layer = self._write(settled.entries(self._files), self._directory / "shared.tar")
        self._made[_group(settled)] = layer
        sending.put(layer)
        return "; ".join(settled.said)

    def _write(self, entries: Iterable[Entry], path: Path) -> Layer:
        return write_layer(entries, path, self._packing, self._directories.odd)

    def _layer(self, group: Group) -> tuple[Descriptor, DiffID]:
        if group not in self._made:
            return self._known.layers[group.key]
        layer, told = self._made[group], {COMPONENT: group.name, KEY: group.key}
        patch = {SINCE: group.since, STEPS: str(group.steps)} if group.since else {}
        return replace(layer.descriptor(), annotations=told | patch), layer.diff_id


def _group(settled: Shared) -> Group:
    key = settled.component.key
    return Group((settled.component,), key, (key,))
