"""A host with a Docker engine. Each move looks at what is there, plans the rest of the way (`swap.py`), and goes it."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from watcher.fleet import HostSettings, SshSettings
from watcher.image import Digest
from watcher.machine import Takes
from workers.fleet import swap
from workers.fleet.answer import pull_failed
from workers.fleet.engine import Engine, Listed
from workers.fleet.health import died, presentable, proof_of, proof_of_command
from workers.fleet.host import Fenced, Health, HostBusy, HostRefused, Proof, Running, Service, Tell, silent
from workers.fleet.image import manifest_of, read_manifest
from workers.fleet.load import archive, metered, paced
from workers.fleet.pull import Pull
from workers.fleet.room import free, lacking, needed, short_of
from workers.fleet.spec import (
    BEFORE,
    GENERATION,
    IMAGE,
    PREVIOUS,
    RESTART,
    SERVICE,
    SPEC,
    create_payload,
    endpoint,
    goal_of,
    kept_as,
    reference,
)
from workers.fleet.swap import NO_RESTART, Container, Containers, Goal, Move, Role, Verb
from workers.fleet.tunnel import SOCKET, tunnel
from workers.oci.manifest import MAX_MANIFEST, Descriptor, ImageConfig, Manifest
from workers.oci.store import Store, small_blob

_ALIVE = (Role.NEXT, Role.PROVEN, Role.CURRENT)
_ASKING = timedelta(seconds=10)


class DockerHost:
    """One engine, as a `Host`. `store` is where its images come from, seen from here."""

    def __init__(self, engine: Engine, store: Store, socket: str = SOCKET) -> None:
        """`socket` is where the engine listens on its own machine."""
        self._engine, self._store, self._host, self._socket = engine, store, engine.host, socket

    def takes(self) -> Takes:
        return self._engine.takes()

    def running(self, service: Service) -> Running:
        seen, _ = self._look(service)
        found = swap.proven(seen)
        if found is None:
            return Running(None)
        same = found.spec == goal_of(service, found.image, found.generation).spec
        return Running(found.image, found.generation, same)

    def fetch(self, service: Service, image: Digest, tell: Tell = silent) -> int:
        pull = Pull(self._engine, service, image, self._socket, tell=tell)
        there = self._has(service, image)
        downloaded = pull.left() if there else frozenset()
        if there and not downloaded:
            return 0
        travelled = 0

        def read(digest: Digest) -> bytes:
            nonlocal travelled
            raw = read_manifest(self._store, digest)
            travelled += len(raw)
            return raw

        manifest = manifest_of(image, read, self._engine.platform(), self._store.where)
        if self._engine.loads:
            return self._load(service, image, manifest, tell)
        if there or self._engine.image(manifest.config.digest) is None:
            travelled += manifest.config.size
        if not there:
            pull = replace(pull, needs=self._room(service, manifest)[0])
        downloaded = downloaded or pull.wait()
        travelled += sum(
            {layer.digest: layer.size for layer in manifest.layers if layer.digest.short in downloaded}.values()
        )
        self._take(service, image, manifest)
        return travelled

    def _load(self, service: Service, image: Digest, manifest: Manifest, tell: Tell) -> int:
        """Sends the image by the engine's own socket; the bytes that went."""
        config, held = small_blob(manifest.config, self._store, MAX_MANIFEST), self._room(service, manifest)[1]
        name, gone = f"{kept_as(service)}:{image.short}", 0
        parts = archive(name, manifest, config, held, self._store)

        def count(now: int, known: int) -> None:
            nonlocal gone
            gone = now
            tell(now, known)

        self._engine.load(metered(paced(parts, self._engine.rate), sum(layer.size for layer in held), count))
        self._take(service, image, manifest)
        return gone

    def _room(self, service: Service, manifest: Manifest) -> tuple[int, tuple[Descriptor, ...]]:
        """The bytes of disk that the image needs, and the layers that it lacks. A `HostRefused` if there is no room."""
        raw = small_blob(manifest.config, self._store, MAX_MANIFEST)
        missing = lacking(manifest, ImageConfig.parse(raw, self._store.where), self._engine.layers())
        needs = needed(missing)
        ids = self._look(service)[1]
        up = next((ids[role] for role in _ALIVE if role in ids and self._engine.is_up(ids[role])), None)
        has = free(lambda argv: self._engine.run(up, argv, _ASKING)) if up else None
        if has is not None and has < needs:
            raise pull_failed(self._host, service.repository, short_of(needs, has))
        return needs, missing

    def _take(self, service: Service, image: Digest, manifest: Manifest) -> None:
        """Gives the image that has just come its name of ours, if it is the one that was asked for."""
        found = self._there(service, image)
        # Engines with the classic store call an image by its configuration, those on containerd by its manifest.
        if found is None or found["Id"] not in (manifest.config.digest, manifest.digest, image):
            what = f"asked for {image}, it now has {found['Id'] if found else 'nothing'}"
            raise HostRefused(self._host, what, "look at the engine's log; somebody else may be removing images")
        self._engine.tag(found["Id"], kept_as(service), image.short)

    def swap(self, service: Service, image: Digest, generation: int) -> None:
        seen, ids = self._look(service)
        goal = goal_of(service, image, generation)
        self._fence(seen, generation)
        if swap.is_taken_back(seen, goal):
            raise Fenced(self._host, generation, generation)
        beside = service.order == "start-first"
        self._go(service, seen, ids, partial(swap.to_swap, goal=goal, beside=beside))

    def prove(self, service: Service, image: Digest, elapsed: timedelta) -> Proof:
        seen, ids = self._look(service)
        roles = [role for role in _ALIVE if role in seen and seen[role].image == image]
        if not roles:
            return Proof(Health.UNHEALTHY, f"no container of {image.short} is there")
        return presentable(self._proof(service, ids[roles[0]], roles[0] is Role.NEXT, elapsed), service)

    def settle(self, service: Service, image: Digest) -> None:
        seen, ids = self._look(service)
        seen = self._go(service, seen, ids, partial(swap.to_settle, image=image))
        wanted = {container.image for container in seen.values()}
        wanted |= {container.previous for container in seen.values() if container.previous}
        self._forget(service, wanted)

    def back(self, service: Service, image: Digest | None, generation: int) -> None:
        seen, ids = self._look(service)
        self._fence(seen, generation)
        goal = goal_of(service, image, generation) if image else None
        beside = service.order == "start-first"
        step = partial(swap.to_return, image=image, goal=goal, generation=generation, beside=beside)
        if image and any(move.verb is Verb.CREATE for move in swap.remaining(seen, step)):
            self.fetch(service, image)
        self._go(service, seen, ids, step)

    # --- what is there ---

    def _look(self, service: Service) -> tuple[Containers, dict[Role, str]]:
        """The service's containers by their roles, and the engine's ids of them."""
        listed = {container.name: container for container in self._engine.containers()}
        seen: dict[Role, Container] = {}
        ids: dict[Role, str] = {}
        stranger = None
        for role in Role:
            found = listed.get(self._name(service, role))
            if role is Role.CURRENT and (found is None or not _is_ours(found, service)):
                stranger = found = self._stranger(service, list(listed.values())) or found
            if found is None:
                continue
            policy = self._engine.inspect(found.id)["HostConfig"]["RestartPolicy"].get("Name") or NO_RESTART
            if _is_ours(found, service):
                seen[role] = self._container(found, policy)
            elif found is stranger and self._stranger(service, [found]) is found:
                before = next((one.labels[BEFORE] for one in listed.values() if one.labels.get(BEFORE)), policy)
                seen[role] = self._before(service, found, policy, before)
            else:
                what = f"a container named {found.name} is there that toplayer did not make for {service.name}"
                hint = f"rename or remove it: `docker rename {found.name} …`; or `toplayer adopt` it"
                raise HostRefused(self._host, what, hint)
            ids[role] = found.id
        return seen, ids

    # What another kind of target on the same engine does otherwise.

    def _name(self, service: Service, role: Role) -> str:
        """What the container of this role is called."""
        return service.name + role

    def _stranger(self, service: Service, listed: Sequence[Listed]) -> Listed | None:
        """The container that somebody else made, and whose place the service may take."""
        return next((one for one in listed if one.name == service.adopts), None) if service.adopts else None

    def _inherited(self, service: Service, ids: Mapping[Role, str], image: str) -> Mapping[str, str]:
        """The labels that a new container has from the one before it; `image` is the engine's id of its image."""
        return {}

    def _before(self, service: Service, found: Listed, policy: str, meant: str) -> Container:
        """A container that somebody else made, as if generation 0 had been ours."""
        known = (self._engine.image(found.image) or {}).get("RepoDigests") or ()
        ours = (name.rpartition("@")[2] for name in known if name.startswith(f"{service.repository}@"))
        image = Digest(next(ours, found.image))
        return Container(image=image, generation=0, spec="", restart=meant, restarts=policy, up=found.up)

    def _container(self, found: Listed, policy: str) -> Container:
        labels = found.labels
        try:
            return Container(
                image=Digest(labels.get(IMAGE, "")),
                generation=int(labels.get(GENERATION, "")),
                spec=labels.get(SPEC, ""),
                previous=Digest(labels[PREVIOUS]) if labels.get(PREVIOUS) else None,
                restart=labels.get(RESTART) or NO_RESTART,
                restarts=policy,
                up=found.up,
            )
        except ValueError as error:
            what = f"the labels of the container {found.name} are not toplayer's any more: {error}"
            raise HostRefused(self._host, what, f"rename or remove it: `docker rename {found.name} …`") from None

    def _fence(self, seen: Containers, generation: int) -> None:
        newest = swap.newest(seen)
        if newest > generation:
            raise Fenced(self._host, generation, newest)

    # --- moves ---

    def _go(
        self, service: Service, seen: Containers, ids: dict[Role, str], step: Callable[[Containers], Move | None]
    ) -> Containers:
        """Makes all moves that are left; what is there then, as planned."""
        for move in swap.remaining(seen, step):
            if move.verb is Verb.REMOVE and step(self._look(service)[0]) != move:
                raise HostBusy(self._host, f"somebody else is at work on {service.name}")
            self._make(service, seen, ids, move)
            seen = swap.after(seen, move)
        return seen

    def _make(self, service: Service, seen: Containers, ids: dict[Role, str], move: Move) -> None:
        engine = self._engine
        match move.verb:
            case Verb.CREATE:
                assert move.goal is not None
                ids[move.role] = self._create(service, seen, ids, move.role, move.goal)
            case Verb.START:
                for network in service.networks if seen[move.role].spec else ():
                    engine.join(ids[move.role], network, endpoint(service))
                engine.start(ids[move.role])
            case Verb.STOP:
                engine.stop(ids[move.role], service.stop_grace)
            case Verb.HOLD:
                engine.restart(ids[move.role], NO_RESTART)
            case Verb.FREE:
                engine.restart(ids[move.role], seen[move.role].restart)
            case Verb.RENAME:
                engine.rename(ids[move.role], self._name(service, move.to))
                ids[move.to] = ids.pop(move.role)
            case Verb.REMOVE:
                engine.remove(ids.pop(move.role))

    def _create(self, service: Service, seen: Containers, ids: Mapping[Role, str], role: Role, goal: Goal) -> str:
        current, found = seen.get(Role.CURRENT), self._there(service, goal.image)
        labels = dict(self._inherited(service, ids, str(found["Id"]) if found else ""))
        if current is not None and not current.spec:
            labels[BEFORE] = current.restart
        payload = create_payload(service, goal, _previous(current, goal), labels)
        if found is not None and (goal.image == found["Id"] or self._engine.loads):
            # An image that only this engine has (it ran here before toplayer), or that came without a registry's name.
            payload["Image"] = found["Id"]
        return self._engine.create(self._name(service, role), payload)

    # --- health ---

    def _proof(self, service: Service, id: str, fresh: bool, elapsed: timedelta) -> Proof:
        inspected = self._engine.inspect(id)
        why = died(inspected, fresh)
        if why:
            return Proof(Health.UNHEALTHY, f"{why}\n{self._engine.log(id)}")
        if service.health_command:
            code, said = self._engine.run(id, service.health_command, service.health_timeout)
            return proof_of_command(service, code, said)
        return proof_of(inspected, service.steady, elapsed)

    # --- images ---

    def _there(self, service: Service, image: Digest) -> Mapping[str, Any] | None:
        """What the engine knows of the image, by its name or, if it was never in our repository, by its id.

        One that was loaded has no name but ours, which it got when its id had been compared.
        """
        found = self._engine.image(reference(service, image)) or self._engine.image(image)
        if found is None and self._engine.loads:
            found = self._engine.image(f"{kept_as(service)}:{image.short}")
        return found

    def _has(self, service: Service, image: Digest) -> bool:
        found = self._there(service, image)
        if found is None:
            return False
        self._engine.tag(found["Id"], kept_as(service), image.short)
        return True

    def _forget(self, service: Service, wanted: Iterable[Digest]) -> None:
        """Removes the service's images but those that are wanted, that any container of the host is made from, or that
        came last: as many as are to be kept besides the one that runs."""
        keep = {digest.short for digest in wanted}
        used = {container.image for container in self._engine.containers()}
        ours = f"{kept_as(service)}:"
        old = [
            (found, tags)
            for found in self._engine.images(kept_as(service))
            if (tags := [tag for tag in found.get("RepoTags") or () if tag.startswith(ours)])
            and not any(tag.removeprefix(ours) in keep for tag in tags)
        ]
        spare = max(service.keep + 1 - len(keep), 0)
        if spare:
            old.sort(key=lambda one: self._tagged_at(one[0]["Id"]), reverse=True)
        for found, tags in old[spare:]:
            if found["Id"] in used:
                continue
            for tag in tags:
                self._engine.untag(tag)
            left: Mapping[str, Any] = self._engine.image(found["Id"]) or {}
            if not left.get("RepoTags"):
                # Only the names by digest are left, which pulling gave it; a tag would be somebody else's.
                for name in left.get("RepoDigests") or ():
                    self._engine.untag(name)

    def _tagged_at(self, id: str) -> str:
        """When an image was last fetched, or found to be there: the engine notes when it gets a name."""
        return str(((self._engine.image(id) or {}).get("Metadata") or {}).get("LastTagTime") or "")


@contextlib.contextmanager
def connect(settings: HostSettings, store: Store) -> Iterator[DockerHost]:
    """The engine that the settings name (`unix:///path`, `tcp://host:port`, `ssh://host`), spoken to by its moves."""
    with reach(settings) as (engine, socket):
        yield DockerHost(engine, store, socket)


@contextlib.contextmanager
def reach(settings: HostSettings) -> Iterator[tuple[Engine, str]]:
    """The engine of a host, and where it listens on its own machine."""
    with contextlib.ExitStack() as stack:
        address, scheme = settings.address, settings.address.partition(":")[0]
        path = urlsplit(address).path
        if address.startswith("ssh://"):
            address = stack.enter_context(tunnel(settings.name, address, settings.ssh or SshSettings()))
        engine = Engine(settings.name, address, settings.tls, loads=settings.images == "load", rate=settings.rate)
        stack.callback(engine.close)
        yield engine, path if scheme != "tcp" and path else SOCKET


def _is_ours(found: Listed, service: Service) -> bool:
    return found.labels.get(SERVICE) == service.name


def _previous(current: Container | None, goal: Goal) -> Digest | None:
    """The image to go back to from a new container: what is proven now, unless that is what we are going back from."""
    if current is None:
        return None
    if current.image == goal.image:
        return current.previous
    return None if current.generation == goal.generation else current.image
