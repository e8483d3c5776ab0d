"""A host that is a manager of a Docker swarm, on which the app is a service of the swarm.

The swarm rolls its tasks, some at a time, and stops at the first that does not come up; whether that is the end, and
what the service goes back to, is decided by the rollout like anywhere else. What is proven and what is not stands in a
label of the service, which changes in one update with everything else, and only over the version that was read.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from docker.auth import encode_header

from watcher.fleet import HostSettings
from watcher.image import Digest
from watcher.machine import Takes
from workers.fleet.engine import Engine
from workers.fleet.health import is_over, lasting, presentable
from workers.fleet.host import (
    OTHERWISE,
    SOMEBODYS,
    Fenced,
    Health,
    HostBusy,
    HostRefused,
    Proof,
    Running,
    Service,
    Tell,
    silent,
)
from workers.fleet.images import PULLED, Images, Supply
from workers.fleet.labels import GENERATION, SERVICE, SPEC, STATE
from workers.fleet.place import Place, Placed
from workers.fleet.reach import reach
from workers.fleet.swarm_spec import hash_of, spec_of, whole
from workers.oci.store import Store

T = TypeVar("T")
_TRIES = 4
_TASK_OF = "com.docker.swarm.service.name"
_HALTED = ("paused", "rollback_started", "rollback_paused", "rollback_completed")
_ENDED = ("failed", "rejected", "complete", "orphaned")


class SwarmHost:
    """One swarm, by one of its managers, as a `Host`.

    What is fetched is fetched to the manager: it shows whether the image can be had, and what of it travels. The other
    nodes pull by themselves when a task comes to them.
    """

    def __init__(self, engine: Engine, store: Store, supply: Supply = PULLED) -> None:
        self._engine, self._host, self._images = engine, engine.host, Images(engine, store, supply)

    def takes(self) -> Takes:
        return self._engine.takes()

    def fetch(self, service: Service, image: Digest, tell: Tell = silent) -> int:
        return self._images.fetch(service, image, tell, None)

    def running(self, service: Service) -> Running:
        found, place = self._read(service)
        if found is None or place.current is None:
            return Running(None)
        same = found["Spec"]["Labels"].get(SPEC) == hash_of(service, self._host)
        differs = "" if same else OTHERWISE if place.current.generation else SOMEBODYS
        return Running(place.current.image, place.current.generation, differs)

    def swap(self, service: Service, image: Digest, generation: int) -> None:
        self._insist(lambda: self._swap(service, image, generation))

    def settle(self, service: Service, image: Digest) -> None:
        place = self._insist(lambda: self._settle(service, image))
        # The swarm keeps the containers of tasks that have ended, and with them their images.
        for container in self._engine.containers():
            if container.labels.get(_TASK_OF) == service.name and not container.up:
                self._engine.remove(container.id)
        self._images.forget(service, place.images() - ({place.previous} if not service.keep else set()))

    def back(self, service: Service, image: Digest | None, generation: int) -> None:
        self._insist(lambda: self._back(service, image, generation))

    def _insist(self, move: Callable[[], T]) -> T:
        """Makes a move, anew if the service changed under it: the swarm itself writes into it while it rolls."""
        for _ in range(_TRIES):
            with contextlib.suppress(HostBusy):
                return move()
        return move()

    def _swap(self, service: Service, image: Digest, generation: int) -> None:
        found, place = self._read(service)
        self._fence(place, generation)
        if place.taken_back == generation:
            raise Fenced(self._host, generation, generation)
        if not self._images.has(service, image):
            raise HostRefused(self._host, f"{image} was not fetched", "`toplayer retry` fetches it")
        wanted = Placed(image=image, generation=generation)
        same = found is not None and found["Spec"]["Labels"].get(SPEC) == hash_of(service, self._host)
        if not (same and wanted in (place.current, place.next)):
            self._write(service, found, place.swapped(wanted), wanted)

    def prove(self, service: Service, image: Digest, elapsed: timedelta) -> Proof:
        found, place = self._read(service)
        wanted = next((one for one in (place.next, place.current) if one and one.image == image), None)
        if found is None or wanted is None:
            return Proof(Health.UNHEALTHY, f"no service of {image.short} is there")
        tasks = [task for task in self._tasks(service) if _generation(task) == wanted.generation]
        proof = self._proof(service, found, tasks, wanted == place.next, elapsed)
        if is_over(proof, replace(service, within=whole(service)), elapsed) or proof.restarts:
            proof = replace(proof, log=self._words(tasks))
        return presentable(proof, service)

    def _settle(self, service: Service, image: Digest) -> Place:
        found, place = self._read(service)
        after = place.settled(image)
        if found is not None and after != place:
            self._write(service, found, after, None)
        return after

    def _back(self, service: Service, image: Digest | None, generation: int) -> None:
        found, place = self._read(service)
        self._fence(place, generation)
        after, before = place.returned(image, generation), (found or {}).get("PreviousSpec") or {}
        if found and after.current and not after.current.generation and STATE not in (before.get("Labels") or {}):
            # What was there before toplayer is kept by the swarm, as it was, until the new one is proven.
            labels = {**(before.get("Labels") or {}), SERVICE: service.name, STATE: after.text()}
            self._update(service, found, {**before, "Labels": labels})
            return
        if image is not None and not self._images.has(service, image):
            self.fetch(service, image)
        if found is not None or after.current is not None:
            self._write(service, found, after, after.current, tasks=after.current is not None)

    # --- the service ---

    def _read(self, service: Service) -> tuple[Mapping[str, Any] | None, Place]:
        """The service as the swarm has it, and what of it is proven."""
        found: Mapping[str, Any] | None = self._engine.call("GET", f"/services/{service.name}")
        if found is None:
            return None, Place(service=service.name)
        labels = found["Spec"].get("Labels") or {}
        if labels.get(SERVICE) != service.name or STATE not in labels:
            return found, self._before(service, found["Spec"])
        try:
            return found, Place.parse(labels[STATE])
        except ValueError as error:
            raise HostRefused(self._host, f"the labels of the service {service.name} cannot be read: {error}") from None

    def _before(self, service: Service, spec: Mapping[str, Any]) -> Place:
        """A service that somebody else made, as if generation 0 had been ours; if the settings say so."""
        if service.adopts != service.name:
            what = f"a service named {service.name} is there that toplayer did not make"
            hint = f'run.adopts = "{service.name}" takes it over; else give the app another name, or remove the service'
            raise HostRefused(self._host, what, hint)
        if "Replicated" not in spec["Mode"]:
            what = f"the service {service.name} has one task on every node, and toplayer's have `replicas`"
            raise HostRefused(self._host, what, "a swarm cannot change that: remove the service, and deploy")
        name = str(spec["TaskTemplate"]["ContainerSpec"]["Image"])
        try:
            image = Digest(name.partition("@")[2])
        except ValueError:
            what = f"the service {service.name} runs {name}, which names no digest that could be gone back to"
            raise HostRefused(self._host, what, f"docker service update --image {name} {service.name}") from None
        return Place(service=service.name, current=Placed(image=image, generation=0))

    def _write(
        self, service: Service, found: Mapping[str, Any] | None, place: Place, wanted: Placed | None, tasks: bool = True
    ) -> None:
        """Makes the service, or updates it over the version that was read. Without `wanted` its tasks stay."""
        state = place.text()
        asked = (wanted.image, wanted.generation) if wanted else None
        if found is None:
            self._engine.call(
                "POST", "/services/create", spec_of(service, state, asked, self._host), headers=_login(service)
            )
            return
        spec = dict(found["Spec"])
        if wanted is None and tasks:
            spec["Labels"] = {**spec["Labels"], STATE: state}
        else:
            spec = spec_of(service, state, asked, self._host)
        self._update(service, found, spec)

    def _update(self, service: Service, found: Mapping[str, Any], spec: Mapping[str, Any]) -> None:
        path = f"/services/{found['ID']}/update?version={found['Version']['Index']}"
        self._engine.call("POST", path, spec, headers=_login(service))

    def _fence(self, place: Place, generation: int) -> None:
        if place.newest > generation:
            raise Fenced(self._host, generation, place.newest)

    # --- health ---

    def _proof(
        self,
        service: Service,
        found: Mapping[str, Any],
        tasks: list[Mapping[str, Any]],
        fresh: bool,
        elapsed: timedelta,
    ) -> Proof:
        """The health of these tasks, the newest first. Of `fresh` ones none may have ended, and each has to have run
        for `steady`: a swarm starts those that end again, and for a moment all of them run."""
        update = found.get("UpdateStatus") or {}
        ended = [task for task in tasks if task["Status"]["State"] in _ENDED]
        said = "\n".join(_said(task) for task in ended[:3])
        if update.get("State") in _HALTED:
            return Proof(Health.UNHEALTHY, f"{update.get('Message', '')}\n{said}")
        up = [task for task in tasks if task["Status"]["State"] == task["DesiredState"] == "running"]
        rolls = update.get("State") == "updating"
        if ended and not rolls and (fresh or len(up) < service.replicas):
            return Proof(Health.UNHEALTHY, said)
        count = f"{len(up)} of {service.replicas} tasks run\n{said}"
        if len(up) < service.replicas or rolls or (fresh and self._youngest(up) < service.steady):
            return Proof(Health.STARTING, count)
        return lasting(Proof(Health.HEALTHY, count, restarts=len(ended)), service, elapsed)

    def _youngest(self, up: list[Mapping[str, Any]]) -> timedelta:
        """For how long the last one of these tasks has run, by the clock of the swarm's manager."""
        now = datetime.fromisoformat(self._engine.call("GET", "/info")["SystemTime"])
        return now - max(datetime.fromisoformat(task["Status"]["Timestamp"]) for task in up)

    def _tasks(self, service: Service) -> list[Mapping[str, Any]]:
        asked = f'/tasks?filters={{"service":["{service.name}"]}}'
        found: list[Mapping[str, Any]] = self._engine.call("GET", asked) or []
        return sorted(found, key=lambda task: str(task.get("CreatedAt")), reverse=True)

    def _words(self, tasks: list[Mapping[str, Any]]) -> str:
        """The last lines of one of the tasks, on whichever node it is: of one that ended, if there is one."""
        for task in sorted(tasks, key=lambda one: one["Status"]["State"] not in _ENDED)[:3]:
            if said := self._engine.task_log(task["ID"]):
                return said
        return ""


def _login(service: Service) -> dict[str, str]:
    """What the nodes show the registry."""
    auth = {"username": service.username, "password": service.password} if service.username else {}
    return {"X-Registry-Auth": encode_header(auth).decode()}


def _generation(task: Mapping[str, Any]) -> int:
    labels = task["Spec"].get("ContainerSpec", {}).get("Labels") or {}
    return int(labels.get(GENERATION) or 0)


def _said(task: Mapping[str, Any]) -> str:
    return f"a task {task['Status']['State']}: {task['Status'].get('Err') or task['Status'].get('Message', '')}"


@contextlib.contextmanager
def connect(settings: HostSettings, store: Store) -> Iterator[SwarmHost]:
    """The swarm of the engine that the settings name."""
    with reach(settings) as (engine, supply):
        yield SwarmHost(engine, store, supply)
