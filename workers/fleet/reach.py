"""The way to a host's engine, by its settings."""

import contextlib
from collections.abc import Iterator
from urllib.parse import urlsplit

from watcher.fleet import HostSettings, SshSettings
from workers.fleet.engine import Engine
from workers.fleet.images import Supply
from workers.fleet.tunnel import SOCKET, tunnel


@contextlib.contextmanager
def reach(settings: HostSettings) -> Iterator[tuple[Engine, Supply]]:
    """The engine of a host, and how it gets its images."""
    with contextlib.ExitStack() as stack:
        address, scheme = settings.address, settings.address.partition(":")[0]
        path = "" if scheme == "tcp" else urlsplit(address).path
        if address.startswith("ssh://"):
            address = stack.enter_context(tunnel(settings.name, address, settings.ssh or SshSettings()))
        engine = Engine(settings.name, address, settings.tls)
        stack.callback(engine.close)
        yield engine, Supply(settings.images or "pull", settings.rate, settings.socket or path or SOCKET)
