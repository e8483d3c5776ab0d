"""A host with a Docker engine, on which the app is a service of a Compose project.

The container is made from our own specification, like any other, and belongs to the project by its labels: it has
those that Compose gave to the one before it, and the image has the name that the project's file has for it. So `docker
compose ps`, `logs` and `stop` know it, and `docker compose up` finds nothing to change: Compose (2.x) compares the hash
of the service in the file with one label, and the image behind the name in the file with another.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence

from watcher.fleet import HostSettings
from watcher.image import Digest, Reference
from workers.fleet.docker import DockerHost
from workers.fleet.engine import Listed
from workers.fleet.host import HostRefused, Service
from workers.fleet.labels import COMPOSE_IMAGE, SERVICE, labels_of
from workers.fleet.reach import reach
from workers.fleet.swap import Containers, Goal, Move, Role, Verb
from workers.oci.store import Store

OURS = "com.docker.compose."
PROJECT, NAME, HASH, IMAGE_ID = (f"{OURS}{key}" for key in ("project", "service", "config-hash", "image"))
ONE_OFF, REPLACES = f"{OURS}oneoff", f"{OURS}replace"


class ComposeHost(DockerHost):
    """One engine, as a `Host`, for services of Compose projects."""

    def settle(self, service: Service, image: Digest) -> None:
        super().settle(service, image)
        _, ids = self._look(service)
        labels = self._engine.inspect(ids[Role.CURRENT])["Config"]["Labels"] if Role.CURRENT in ids else {}
        name, found = labels.get(COMPOSE_IMAGE), self._images.there(service, image)
        if name and found:
            wanted = Reference.parse(name)
            self._engine.tag(found["Id"], wanted.repository, wanted.tag or "latest")

    def _make(self, service: Service, seen: Containers, ids: dict[Role, str], move: Move) -> None:
        if move.verb is not Verb.RENAME or move.to is not Role.FAILED:
            super()._make(service, seen, ids, move)
            return
        # Compose would take it for a second container of the service, and remove one of the two; and labels stay what
        # they are. What is left of it is a container that never runs and belongs to no project, with its generation.
        failed, id = seen[move.role], ids.pop(move.role)
        goal = Goal(image=failed.image, generation=failed.generation, spec=failed.spec)
        note = {
            "Image": self._engine.inspect(id)["Image"],
            "Labels": labels_of(service.name, goal, failed.previous, failed.restart),
            "HostConfig": {"NetworkMode": "none"},
        }
        ids[move.to] = self._engine.create(self._name(service, move.to), note)
        self._engine.remove(id)

    def _name(self, service: Service, role: Role) -> str:
        return f"{service.project}-{service.project_service}-1{role}"

    def _stranger(self, service: Service, listed: Sequence[Listed]) -> Listed | None:
        wanted = {PROJECT: service.project, NAME: service.project_service}
        found = [
            one
            for one in listed
            if SERVICE not in one.labels and wanted.items() <= one.labels.items() and one.labels.get(ONE_OFF) != "True"
        ]
        if len(found) > 1:
            what = f"{service.project_service} of the project {service.project} has {len(found)} containers"
            raise HostRefused(self._host, what, "toplayer runs one: `docker compose up --scale` it to 1")
        return found[0] if found else super()._stranger(service, listed)

    def _inherited(self, service: Service, ids: Mapping[Role, str], image: str) -> Mapping[str, str]:
        for role in (role for role in Role if role in ids):
            before = self._engine.inspect(ids[role])["Config"]
            labels = {key: value for key, value in (before.get("Labels") or {}).items() if key.startswith(OURS)}
            if labels.get(HASH):
                labels.pop(REPLACES, None)
                name = (before.get("Labels") or {}).get(COMPOSE_IMAGE) or before["Image"]
                return labels | {IMAGE_ID: image, COMPOSE_IMAGE: self._tagged(service, name)}
        # A project without a container of it yet: Compose knows this one, and makes it anew at its next `up`.
        names = {PROJECT: service.project, NAME: service.project_service}
        return names | {ONE_OFF: "False", f"{OURS}container-number": "1", HASH: "", IMAGE_ID: image}

    def _tagged(self, service: Service, name: str) -> str:
        with contextlib.suppress(ValueError):
            if Reference.parse(name).digest is None:
                return name
        what = f"the project {service.project} has the image of {service.project_service} as {name}"
        raise HostRefused(
            self._host, what, "name it by a tag in the Compose file, which toplayer then keeps up to date"
        )


@contextlib.contextmanager
def connect(settings: HostSettings, store: Store) -> Iterator[ComposeHost]:
    """The engine that the settings name, spoken to as one with Compose projects."""
    with reach(settings) as (engine, supply):
        yield ComposeHost(engine, store, supply)
