"""A pull, by the helper on the host if there is one to be had, else by our own connection."""

import time
from dataclasses import dataclass

from docker.auth import encode_header

from watcher.image import Digest, Reference
from workers.fleet import helper
from workers.fleet.answer import pull_failed
from workers.fleet.engine import STALLED, Engine, Listed
from workers.fleet.helper import Said
from workers.fleet.host import HostBusy, HostRefused, Service, Tell, silent
from workers.fleet.room import short_of

_LOOK = 0.25
_LINES = 5


@dataclass(frozen=True, slots=True)
class Pull:
    """One image on its way to one engine, whose socket on its own machine is `socket`, and which needs so much disk."""

    engine: Engine
    service: Service
    image: Digest
    socket: str
    needs: int = 0
    tell: Tell = silent

    def wait(self) -> frozenset[str]:
        """The short digests of the layers that were downloaded, once the image is there. A host's error if not.

        What waits may be killed: the next one finds the helper at work, and waits for it.
        """
        if not self.service.puller:
            return self._by_us()
        id = self._helper()
        if id is None:
            return self._by_us()
        said = self._listened(id)
        self.engine.remove(id)
        if not said.is_over:
            # It ended without a word: its image has no python3, say.
            return self._by_us()
        if said.free is not None:
            raise pull_failed(self.engine.host, self.service.repository, short_of(self.needs, said.free))
        if said.downloaded is None:
            raise pull_failed(self.engine.host, self.service.repository, said.error)
        return said.downloaded

    def left(self) -> frozenset[str]:
        """What a helper downloaded whom nobody listened to in the end; it is taken away."""
        found = self._found() if self.service.puller else None
        if found is None:
            return frozenset()
        said = helper.said(self.engine.log(found.id, _LINES))
        self.engine.remove(found.id)
        return said.downloaded or frozenset()

    def _by_us(self) -> frozenset[str]:
        service = self.service
        return self.engine.pull(service.repository, self.image, service.username, service.password, self.tell)

    @property
    def _name(self) -> str:
        return f"{self.service.name}.pull"

    def _helper(self) -> str | None:
        """The helper that is at work, or a new one; None if the host will not have one."""
        found = self._found()
        if found is not None and found.labels.get("io.toplayer.image") == self.image and self._is_good(found):
            return found.id
        if found is not None:
            # It pulled what nobody wants any more, or failed while nobody listened.
            self.engine.remove(found.id)
        try:
            return self._started()
        except HostRefused:
            return None

    def _is_good(self, found: Listed) -> bool:
        """Whether the helper is at work, or ended well a moment ago: then it knows what travelled."""
        return found.up or helper.said(self.engine.log(found.id, _LINES)).downloaded is not None

    def _found(self) -> Listed | None:
        found = next((one for one in self.engine.containers() if one.name == self._name), None)
        if found is not None and found.labels.get(helper.PULL) != self.service.name:
            raise HostRefused(self.engine.host, f"a container named {self._name} is there that is not toplayer's")
        return found

    def _started(self) -> str:
        service, wanted = self.service, Reference.parse(self.service.puller)
        ours = service.repository.startswith(f"{wanted.host}/")
        if self.engine.image(service.puller) is None:
            user, password = (service.username, service.password) if ours else ("", "")
            self.engine.pull(wanted.repository, wanted.digest or wanted.tag, user, password)
        asked = helper.payload(service.puller, self.image, service.name, self.socket)
        id = self.engine.create(self._name, asked)
        auth = {"username": service.username, "password": service.password} if service.username else {}
        try:
            header = encode_header(auth).decode()
            self.engine.put(id, helper.files(service.repository, self.image, header, STALLED, self.needs))
            self.engine.start(id)
        except HostRefused:
            self.engine.remove(id)
            raise
        return id

    def _listened(self, id: str) -> Said:
        """What the helper said last, when it has ended. One that says nothing new for too long is taken away."""
        last, since = Said(), time.monotonic()
        while True:
            up = self.engine.is_up(id)
            said = helper.said(self.engine.log(id, _LINES))
            if said.is_over or not up:
                return said
            self.tell(said.current, said.total)
            if said != last:
                last, since = said, time.monotonic()
            elif time.monotonic() - since > STALLED:
                self.engine.remove(id)
                raise HostBusy(self.engine.host, f"the pull made no progress for {STALLED:g} s")
            time.sleep(_LOOK)
