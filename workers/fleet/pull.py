"""A pull, by the helper on the host if there is one to be had, else by our own connection.

What a helper pulls needs nobody who waits: whoever asked for it comes again in a while, and has other things to do.
"""

import contextlib
import logging
import time
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from watcher.image import Digest
from workers.fleet import beside, helper
from workers.fleet.answer import pull_failed
from workers.fleet.engine import Engine, Listed
from workers.fleet.helper import Load, Said
from workers.fleet.host import HostBusy, HostRefused, OnItsWay, Service, Tell, silent
from workers.fleet.labels import BESIDES, IMAGE, PULL
from workers.fleet.room import short_of

log = logging.getLogger("toplayer")

_LISTEN, _LOOK = 2.0, 0.5
"""Seconds that a new helper is listened to, and between two looks at it: a bump is often there by then."""
_LINES = 5
_KILLED = (137, 143)


@dataclass(frozen=True, slots=True)
class Came:
    """The short digests of the layers that were downloaded, and the bytes that travelled for the helper itself."""

    layers: Set[str] = frozenset()
    besides: int = 0


@dataclass(frozen=True, slots=True)
class Pull:
    """One image on its way to one engine, whose socket on its own machine is `socket`, and which needs so much disk.

    With `load`, the helper carries the layers to the engine by itself.
    """

    engine: Engine
    service: Service
    image: Digest
    socket: str
    needs: int = 0
    tell: Tell = silent
    load: Load | None = None

    def ask(self) -> Came | None:
        """What the helper that is there downloaded; None if none has anything to say. `OnItsWay` while it is at work.

        It costs two short questions: whoever comes again for a pull that goes on asks nothing else.
        """
        found = self._found() if self.service.puller else None
        if found is None or not self._is_for_this(found):
            return None
        said = self._said(found)
        return self._ended(found, said) if said.is_over else None

    def take(self) -> Came:
        """What was downloaded, once the image is there. A host's error if it is not.

        `OnItsWay` if a helper is at work on the host. Whoever asked for it may be killed: the next one finds it.
        """
        found = self._helper() if self.service.puller else None
        if found is None:
            return self._by_us()
        said = self._listened()
        if said.is_over:
            return self._ended(found, said)
        code = self._state(found).get("ExitCode")
        self.engine.remove(found.id)
        if code in _KILLED:
            raise HostBusy(self.engine.host, f"somebody ended the helper that was at work on {self.image.short}")
        self._gives_way("the helper ended without a word; has its image a python3?")
        return self._by_us()

    def left(self) -> Came | None:
        """What a helper downloaded whom nobody listened to in the end; it is taken away.

        The image is there a little before its helper says so: one that is still up is given a moment for its last word.
        """
        found = self._found() if self.service.puller else None
        if found is None:
            return None
        said = Said()
        with contextlib.suppress(OnItsWay):
            said = self._listened() if self._is_for_this(found) else self._said(found)
        self._removed(found)
        return Came(said.downloaded, _besides(found)) if said.downloaded else None

    def _by_us(self) -> Came:
        service = self.service
        name, login = service.repository, (service.username, service.password)
        return Came(self.engine.pull(name, self.image, login, service.patience, self.tell))

    def _helper(self) -> Listed | None:
        """The helper that is at work, or a new one; None if the host will not have one."""
        found = self._found()
        if found is not None and self._is_for_this(found) and (found.up or self._has_ended(found)):
            return found
        if found is not None:
            # It pulled what nobody wants any more, or whoever made it died before it was started.
            self.engine.remove(found.id)
        try:
            self._start()
        except HostRefused as error:
            self._gives_way(str(error))
            return None
        return self._found()

    def _gives_way(self, why: str) -> None:
        said = "no helper pulls %s on %s, but our own connection, which must not break: %s"
        log.warning(said, self.service.name, self.engine.host, why)

    def _is_for_this(self, found: Listed) -> bool:
        return found.labels.get(IMAGE) == self.image

    def _has_ended(self, found: Listed) -> bool:
        """Whether it was started once, and so has had its chance to speak."""
        return self._state(found).get("Status") == "exited"

    def _state(self, found: Listed) -> Mapping[str, Any]:
        return self.engine.inspect(found.id).get("State") or {}

    def _found(self) -> Listed | None:
        name = helper.name_of(self.service)
        found = next((one for one in self.engine.containers() if one.name == name), None)
        if found is not None and found.labels.get(PULL) != self.service.name:
            raise HostRefused(self.engine.host, f"a container named {name} is there that is not toplayer's")
        return found

    def _start(self) -> None:
        service = self.service
        besides = beside.bring(self.engine, service, self.tell)
        asked = helper.payload(service, self.image, self.socket, besides, carries=self.load is not None)
        id = self.engine.create(helper.name_of(service), asked)
        try:
            self.engine.put(id, helper.files(service, self.image, self.needs, self.load))
            self.engine.start(id)
        except HostRefused:
            self.engine.remove(id)
            raise

    def _listened(self) -> Said:
        """What the helper said last, if it has ended soon."""
        until = time.monotonic() + _LISTEN
        while True:
            found = self._found()
            try:
                return self._said(found) if found else Said()
            except OnItsWay:
                if time.monotonic() > until:
                    raise
                time.sleep(_LOOK)

    def _said(self, found: Listed) -> Said:
        """What a helper that has ended said last. `OnItsWay` for one that has not."""
        said = helper.said(self.engine.log(found.id, _LINES))
        if found.up and not said.is_final:
            if not said.error:
                self.tell(said.current, said.total)
            raise OnItsWay(self.engine.host, self.image, said.current, said.total)
        return said

    def _ended(self, found: Listed, said: Said) -> Came:
        """What the helper downloaded, or its error. It is taken away."""
        if said.downloaded is not None:
            self._removed(found)
            return Came(said.downloaded, _besides(found))
        # What it has carried so far stays for the next one.
        self.engine.remove(found.id)
        why = short_of(said.needs, said.free) if said.free is not None else said.error
        raise pull_failed(self.engine.host, self.service.repository, why)

    def _removed(self, found: Listed) -> None:
        self.engine.remove(found.id)
        self.engine.forget_volume(helper.name_of(self.service))


def _besides(found: Listed) -> int:
    text = found.labels.get(BESIDES, "")
    return int(text) if text.isdigit() else 0
