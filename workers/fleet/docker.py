"""A host with a Docker engine. Each move looks at what is there, plans the rest of the way (`swap.py`), and goes it."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from watcher.fleet import HostSettings
from watcher.image import Digest
from watcher.machine import Takes
from workers.fleet import swap
from workers.fleet.changes import changes, differs
from workers.fleet.engine import Engine, Listed, is_up
from workers.fleet.host import Fenced, Health, HostBusy, HostRefused, Proof, Running, Service, Tell, silent
from workers.fleet.images import PULLED, Images, Supply
from workers.fleet.labels import BEFORE, SERVICE, container_of, policy_text
from workers.fleet.prove import prove
from workers.fleet.reach import reach
from workers.fleet.spec import create_payload, endpoint, goal_of
from workers.fleet.surroundings import insist
from workers.fleet.swap import NO_RESTART, Container, Containers, Goal, Move, Role, Verb
from workers.fleet.volumes import carried_over
from workers.oci.store import Store

_ALIVE = (Role.NEXT, Role.PROVEN, Role.CURRENT)
_SURE = (Verb.CREATE, Verb.START, Verb.REMOVE)
"""Moves before which a host is looked at again: what was planned may be from the past by now."""


class DockerHost:
    """One engine, as a `Host`. `store` is where its images come from, seen from here."""

    def __init__(self, engine: Engine, store: Store, supply: Supply = PULLED) -> None:
        self._engine, self._host, self._images = engine, engine.host, Images(engine, store, supply)

    def takes(self) -> Takes:
        return self._engine.takes()

    def running(self, service: Service) -> Running:
        seen, _ = self._look(service)
        found = swap.proven(seen)
        stray = f"{self._name(service, Role.NEXT)} runs beside it" if Role.NEXT in seen and seen[Role.NEXT].up else ""
        if found is None:
            return Running(None, differs=stray)
        return Running(found.image, found.generation, differs(service, found) or stray)

    def fetch(self, service: Service, image: Digest, tell: Tell = silent) -> int:
        ids = self._look(service)[1]
        up = next((ids[role] for role in _ALIVE if role in ids and self._engine.is_up(ids[role])), None)
        return self._images.fetch(service, image, tell, up)

    def swap(self, service: Service, image: Digest, generation: int) -> None:
        seen, ids = self._look(service)
        goal = goal_of(service, image, generation)
        self._fence(seen, generation)
        if swap.is_taken_back(seen, goal):
            raise Fenced(self._host, generation, generation)
        step = partial(swap.to_swap, goal=goal, beside=service.order == "start-first")
        if any(move.verb is Verb.CREATE for move in swap.remaining(seen, step)):
            insist(self._engine, service, ids.get(Role.CURRENT))
        self._go(service, seen, ids, step, generation)

    def prove(self, service: Service, image: Digest, elapsed: timedelta) -> Proof:
        seen, ids = self._look(service)
        roles = [role for role in _ALIVE if role in seen and seen[role].image == image]
        if not roles:
            return Proof(Health.UNHEALTHY, f"no container of {image.short} is there")
        return prove(self._engine, service, ids[roles[0]], roles[0] is Role.NEXT, elapsed)

    def settle(self, service: Service, image: Digest) -> None:
        seen, ids = self._look(service)
        seen = self._go(service, seen, ids, partial(swap.to_settle, image=image))
        wanted = {container.image for container in seen.values()}
        if service.keep:
            wanted |= {container.previous for container in seen.values() if container.previous}
        self._images.forget(service, wanted)

    def back(self, service: Service, image: Digest | None, generation: int) -> None:
        seen, ids = self._look(service)
        self._fence(seen, generation)
        goal = goal_of(service, image, generation) if image else None
        beside = service.order == "start-first"
        step = partial(swap.to_return, image=image, goal=goal, generation=generation, beside=beside)
        if image and any(move.verb is Verb.CREATE for move in swap.remaining(seen, step)):
            self.fetch(service, image)
        self._go(service, seen, ids, step, generation)

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
            inspected = self._engine.inspect(found.id)
            if inspected["HostConfig"].get("AutoRemove"):
                what = f"the container {found.name} removes itself when it stops, and would not be there to go back to"
                raise HostRefused(self._host, what, "replace it by one that was started without --rm")
            policy = policy_text(inspected["HostConfig"].get("RestartPolicy"))
            now = replace(found, up=is_up(inspected))
            if _is_ours(found, service):
                seen[role] = self._ours(service, role, now, inspected, policy)
            elif found is stranger and self._stranger(service, [found]) is found:
                before = next((one.labels[BEFORE] for one in listed.values() if one.labels.get(BEFORE)), policy)
                seen[role] = self._before(service, now, policy, before)
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

    def _ours(
        self, service: Service, role: Role, found: Listed, inspected: Mapping[str, Any], policy: str
    ) -> Container:
        """A container with our labels, which are believed as far as the engine says the same."""
        try:
            made = container_of(found.labels, policy, found.up)
        except ValueError as error:
            what = f"the labels of the container {found.name} are not toplayer's any more: {error}"
            raise HostRefused(self._host, what, f"rename or remove it: `docker rename {found.name} …`") from None
        if not self._images.is_of(service, found.image, made.image):
            # Somebody made it anew, with our labels and another image.
            return self._before(service, found, policy, made.restart)
        goal = goal_of(service, made.image, made.generation)
        # Only of what is proven: what is not yet is never made a second time for it.
        if role is Role.CURRENT and made.spec == goal.spec:
            payload = create_payload(service, goal, made.previous)
            made = replace(made, changed=", ".join(changes(inspected, payload, service.networks)))
        return made

    def _fence(self, seen: Containers, generation: int) -> None:
        newest = swap.newest(seen)
        if newest > generation:
            raise Fenced(self._host, generation, newest)

    # --- moves ---

    def _go(
        self,
        service: Service,
        seen: Containers,
        ids: dict[Role, str],
        step: Callable[[Containers], Move | None],
        generation: int | None = None,
    ) -> Containers:
        """Makes all moves that are left, of a generation if they are of one; what is there then, as planned."""
        for move in swap.remaining(seen, step):
            if move.verb in _SURE:
                now, _ = self._look(service)
                if generation is not None:
                    self._fence(now, generation)
                if step(now) != move:
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
                    engine.join(ids[move.role], network, endpoint(service, network))
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
        current, found = seen.get(Role.CURRENT), self._images.there(service, goal.image)
        labels = dict(self._inherited(service, ids, str(found["Id"]) if found else ""))
        if current is not None and not current.spec:
            labels[BEFORE] = current.restart
        payload = create_payload(service, goal, _previous(current, goal), labels)
        if found is not None and not self._images.is_known(service, goal.image):
            # An image that only this engine has (it ran here before toplayer), or that came without a registry's name.
            payload["Image"] = found["Id"]
        if ids:
            host = payload["HostConfig"]
            before = self._engine.inspect(next(ids[one] for one in Role if one in ids))
            host["Mounts"] = [*(host.get("Mounts") or ()), *carried_over(before, host)]
        return self._engine.create(self._name(service, role), payload)


@contextlib.contextmanager
def connect(settings: HostSettings, store: Store) -> Iterator[DockerHost]:
    """The engine that the settings name (`unix:///path`, `tcp://host:port`, `ssh://host`), spoken to by its moves."""
    with reach(settings) as (engine, supply):
        yield DockerHost(engine, store, supply)


def _is_ours(found: Listed, service: Service) -> bool:
    return found.labels.get(SERVICE) == service.name


def _previous(current: Container | None, goal: Goal) -> Digest | None:
    """The image to go back to from a new container: what is proven now, unless that is what we are going back from."""
    if current is None:
        return None
    if current.image == goal.image:
        return current.previous
    return None if current.generation == goal.generation else current.image
