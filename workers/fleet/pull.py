"""A pull, by the helper on the host if there is one to be had, else by our own connection.

What a helper pulls needs nobody who waits: whoever asked for it comes again in a while, and has other things to do.
"""

import time
from dataclasses import dataclass

from docker.auth import encode_header

from watcher.image import Digest, Reference
from workers.fleet import helper
from workers.fleet.answer import pull_failed
from workers.fleet.engine import Engine, Listed
from workers.fleet.helper import Said
from workers.fleet.host import HostRefused, OnItsWay, Service, Tell, silent
from workers.fleet.labels import IMAGE, PULL
from workers.fleet.room import short_of

_LISTEN, _LOOK = 2.0, 0.5
"""Seconds that a new helper is listened to, and between two looks at it: a bump is often there by then."""
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

    def ask(self) -> frozenset[str] | None:
        """What the helper that is there downloaded; None if none has anything to say. `OnItsWay` while it is at work.

        It costs two short questions: whoever comes again for a pull that goes on asks nothing else.
        """
        found = self._found() if self.service.puller else None
        if found is None or not self._is_for_this(found):
            return None
        said = self._said(found.id, found.up)
        return self._ended(found.id, said) if said.is_over else None

    def take(self) -> frozenset[str]:
        """The short digests of the layers that were downloaded, once the image is there. A host's error if not.

        `OnItsWay` if a helper is at work on the host. Whoever asked for it may be killed: the next one finds it.
        """
        id = self._helper() if self.service.puller else None
        if id is None:
            return self._by_us()
        said = self._listened(id)
        if not said.is_over:
            # It ended without a word: its image has no python3, say.
            self.engine.remove(id)
            return self._by_us()
        return self._ended(id, said)

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
        name, login = service.repository, (service.username, service.password)
        return self.engine.pull(name, self.image, login, service.patience, self.tell)

    @property
    def _name(self) -> str:
        return f"{self.service.name}.pull"

    def _helper(self) -> str | None:
        """The helper that is at work, or a new one; None if the host will not have one."""
        found = self._found()
        if found is not None and self._is_for_this(found) and (found.up or self._has_ended(found)):
            return found.id
        if found is not None:
            # It pulled what nobody wants any more, or whoever made it died before it was started.
            self.engine.remove(found.id)
        try:
            return self._started()
        except HostRefused:
            return None

    def _is_for_this(self, found: Listed) -> bool:
        return found.labels.get(IMAGE) == self.image

    def _has_ended(self, found: Listed) -> bool:
        """Whether it was started once, and so has had its chance to speak."""
        return (self.engine.inspect(found.id).get("State") or {}).get("Status") == "exited"

    def _found(self) -> Listed | None:
        found = next((one for one in self.engine.containers() if one.name == self._name), None)
        if found is not None and found.labels.get(PULL) != self.service.name:
            raise HostRefused(self.engine.host, f"a container named {self._name} is there that is not toplayer's")
        return found

    def _started(self) -> str:
        service, wanted = self.service, Reference.parse(self.service.puller)
        ours = service.repository.startswith(f"{wanted.host}/")
        if self.engine.image(service.puller) is None:
            login = (service.username, service.password) if ours else ("", "")
            self.engine.pull(wanted.repository, wanted.digest or wanted.tag, login, service.patience)
        asked = helper.payload(service.puller, self.image, service.name, self.socket)
        id = self.engine.create(self._name, asked)
        auth = {"username": service.username, "password": service.password} if service.username else {}
        try:
            header = encode_header(auth).decode()
            self.engine.put(id, helper.files(service.repository, self.image, header, service.patience, self.needs))
            self.engine.start(id)
        except HostRefused:
            self.engine.remove(id)
            raise
        return id

    def _listened(self, id: str) -> Said:
        """What the helper said last, if it has ended soon."""
        until = time.monotonic() + _LISTEN
        while True:
            try:
                return self._said(id, self.engine.is_up(id))
            except OnItsWay:
                if time.monotonic() > until:
                    raise
                time.sleep(_LOOK)

    def _said(self, id: str, up: bool) -> Said:
        """What a helper that has ended said last. `OnItsWay` for one that is `up`."""
        said = helper.said(self.engine.log(id, _LINES))
        if up and not said.is_final:
            if not said.error:
                self.tell(said.current, said.total)
            raise OnItsWay(self.engine.host, self.image)
        return said

    def _ended(self, id: str, said: Said) -> frozenset[str]:
        """What the helper downloaded, or its error. It is taken away."""
        self.engine.remove(id)
        if said.free is not None:
            raise pull_failed(self.engine.host, self.service.repository, short_of(said.needs, said.free))
        if said.downloaded is None:
            raise pull_failed(self.engine.host, self.service.repository, said.error)
        return said.downloaded
