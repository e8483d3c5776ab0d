"""A host in memory. It can be away, refuse, be slow, run sick images, and die between any two of its moves."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from watcher.errors import ToplayerError
from watcher.image import Digest
from watcher.machine import Takes
from workers.fleet.health import lasting
from workers.fleet.host import (
    OTHERWISE,
    Fenced,
    Health,
    HostRefused,
    HostUnreachable,
    OnItsWay,
    Proof,
    Running,
    Service,
    Tell,
    silent,
)
from workers.oci.manifest import Manifest
from workers.oci.store import Store, StoreRefused


class Died(BaseException):
    """The process is gone. What it had done stays done."""


@dataclass(frozen=True)
class Slot:
    """Something that runs, or that could: an image, who brought it, from what specification."""

    image: Digest
    generation: int
    service: Service
    up: bool = False
    since: datetime | None = field(default=None, compare=False)


class FakeHost:
    """A host called `name`, which pulls from `store`.

    `sick` images never get well, `slow` ones take their time, and some are well until they `sicken`: by the host's
    `clock` or, without one, by the time that whoever asks says. `restarts` is how
    often the engine has started what runs again. An image that it does not have is `away` for so many
    questions: it brings it to itself, and says what has `moved`. `refuses` maps a move to the error that it raises.
    `dies_at` counts the changes that are still made before the process dies. `calls` are the moves that were asked for.
    """

    def __init__(self, store: Store, name: str = "h1") -> None:
        self._store, self._name = store, name
        self.offline = False
        self.says = Takes("a fake", zstd=True, classic=False)
        self.sick: set[Digest] = set()
        self.slow: dict[Digest, timedelta] = {}
        self.sicken: dict[Digest, timedelta] = {}
        self.clock: Callable[[], datetime | None] = lambda: None
        self.restarts = 0
        self.away, self.moved = 0, (0, 0)
        self.refuses: dict[str, ToplayerError] = {}
        self.dies_at: int | None = None
        self.calls: list[str] = []
        self.current: Slot | None = None
        self.next: Slot | None = None
        self.previous: Digest | None = None
        self.taken_back = 0
        self.newest = 0
        self.images: Mapping[Digest, tuple[Digest, ...]] = {}
        self.received: Counter[Digest] = Counter()
        self.dropped: Counter[Digest] = Counter()
        """How often each layer came over the wire, and how often it was thrown away with its last image."""
        self.started: set[tuple[Digest, int]] = set()
        """Every image that ever ran here, and the generation that it was started by."""

    @property
    def serving(self) -> Digest | None:
        """The image of what is up now: the proven one's if both are."""
        return next((slot.image for slot in (self.current, self.next) if slot and slot.up), None)

    def takes(self) -> Takes:
        self._asked("takes")
        return self.says

    def running(self, service: Service) -> Running:
        self._asked("running")
        stray = f"{service.name}.next runs beside it" if self.next and self.next.up else ""
        if self.current is None:
            return Running(None, differs=stray)
        differs = "" if self.current.service == service else OTHERWISE
        return Running(self.current.image, self.current.generation, differs or stray)

    def fetch(self, service: Service, image: Digest, tell: Tell = silent) -> int:
        self._asked("fetch")
        self._bring(image)
        travelled = self._fetch(image)
        tell(travelled, travelled)
        return travelled

    def swap(self, service: Service, image: Digest, generation: int) -> None:
        self._asked("swap")
        self._fence(generation)
        if self.taken_back == generation:
            raise Fenced(self._name, generation, generation)
        self._swap(Slot(image, generation, service))

    def prove(self, service: Service, image: Digest, elapsed: timedelta) -> Proof:
        self._asked("prove")
        slot = next((one for one in (self.next, self.current) if one and one.up and one.image == image), None)
        if slot is None:
            return Proof(Health.UNHEALTHY, f"no container of {image.short} is there")
        now = self.clock()
        stood = now - slot.since if now and slot.since else elapsed
        if image in self.sick or (image in self.sicken and stood >= self.sicken[image]):
            return Proof(Health.UNHEALTHY, "it feels sick")
        if stood < self.slow.get(image, timedelta(0)):
            return Proof(Health.STARTING)
        return lasting(Proof(Health.HEALTHY, restarts=self.restarts), service, elapsed)

    def settle(self, service: Service, image: Digest) -> None:
        self._asked("settle")
        if self.next and self.next.image == image:
            before = self.current.image if self.current else None
            self._do(current=self.next, next=None, previous=self.previous if before == image else before)
        kept = {slot.image for slot in (self.current, self.next) if slot} | {self.previous}
        layers_before = self._layers()
        self._do(images={digest: layers for digest, layers in self.images.items() if digest in kept})
        self.dropped.update(layers_before - self._layers())

    def back(self, service: Service, image: Digest | None, generation: int) -> None:
        self._asked("back")
        self._fence(generation)
        self._do(taken_back=generation, newest=generation)
        current = self.current
        if current and (current.image == image or (image is None and current.generation < generation)):
            self._do(next=None)
            self._do(current=replace(current, up=True))
        elif image is None:
            self._do(current=None, next=None)
        else:
            self._bring(image)
            self._fetch(image)
            self._swap(Slot(image, generation, service))
            self._do(current=self.next, next=None, previous=None)

    def _bring(self, image: Digest) -> None:
        if image not in self.images and self.away:
            self.away -= 1
            raise OnItsWay(self._name, image, *self.moved)

    def _fetch(self, image: Digest) -> int:
        if image in self.images:
            return 0
        raw = self._store.manifest(image)
        if raw is None:
            raise StoreRefused(self._store.where, f"there is no image {image}")
        manifest = Manifest.parse(raw, self._store.where)
        here = self._layers()
        missing = {layer.digest: layer.size for layer in manifest.layers if layer.digest not in here}
        self._do(images={**self.images, image: tuple(layer.digest for layer in manifest.layers)})
        self.received.update(missing.keys())
        return len(raw) + manifest.config.size + sum(missing.values())

    def _layers(self) -> set[Digest]:
        return {layer for layers in self.images.values() for layer in layers}

    def _swap(self, wanted: Slot) -> None:
        if wanted.image not in self.images:
            raise HostRefused(self._name, f"no such image: {wanted.image}")
        if self.current and replace(self.current, up=False) == wanted:
            self._do(current=replace(wanted, up=True))
            self.started.add((wanted.image, wanted.generation))
            return
        if self.next and replace(self.next, up=False) != wanted:
            self._do(next=None)
        if self.next is None:
            self._do(next=wanted, newest=wanted.generation)
        if self.current and self.current.up and wanted.service.order == "stop-first":
            self._do(current=replace(self.current, up=False))
        self._do(next=replace(wanted, up=True, since=self.clock()))
        self.started.add((wanted.image, wanted.generation))

    def _fence(self, generation: int) -> None:
        if self.newest > generation:
            raise Fenced(self._name, generation, self.newest)

    def _asked(self, move: str) -> None:
        self.calls.append(move)
        if self.offline:
            raise HostUnreachable(self._name, "it is switched off")
        if move in self.refuses:
            raise self.refuses[move]

    def _do(self, **changes: Any) -> None:
        if self.dies_at is not None:
            if not self.dies_at:
                raise Died
            self.dies_at -= 1
        for name, value in changes.items():
            setattr(self, name, value)
