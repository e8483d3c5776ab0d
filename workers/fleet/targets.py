"""The kinds of hosts. A new one is one file and one row."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from watcher.fleet import HostSettings
from workers.fleet import compose, docker, swarm
from workers.fleet import dir as directory
from workers.fleet.host import Host
from workers.oci.store import Store

Target = Callable[[HostSettings, Store], AbstractContextManager[Host]]

TARGETS: Mapping[str, Target] = {
    "docker": docker.connect,
    "compose": compose.connect,
    "swarm": swarm.connect,
    "dir": directory.connect,
}


def connect(settings: HostSettings, store: Store) -> AbstractContextManager[Host]:
    """The host that the settings name, until the block ends. `store` is where its images come from, seen from here.

    Nothing is asked of the host yet: one that is away shows it at the first move.
    """
    return TARGETS[settings.kind](settings, store)
