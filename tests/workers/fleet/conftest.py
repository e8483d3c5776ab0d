"""Real parts, started once for all tests of hosts."""

from collections.abc import Iterator

import pytest

from tests.rig.engine import RealEngine, engine
from tests.rig.process import free_port, wait_for
from tests.rig.registry import Registry, registry


@pytest.fixture(scope="session")
def dockerd() -> Iterator[RealEngine]:
    """A Docker engine. Every test uses a service name of its own."""
    with engine() as running:
        yield running


@pytest.fixture(scope="session")
def swarm() -> Iterator[RealEngine]:
    """A Docker engine that is a swarm of one node, and keeps no tasks that have ended."""
    with engine() as running, running.api() as api:
        address = f"127.0.0.1:{free_port()}"  # the usual port may be another run's
        api.init_swarm(address, address, swarm_spec={"TaskHistoryRetentionLimit": 0})
        yield running


@pytest.fixture
def second_node(swarm: RealEngine) -> Iterator[RealEngine]:
    """Another node of the swarm, as long as the test lasts."""
    with engine() as running, running.api() as api, swarm.api() as manager:
        token = manager.inspect_swarm()["JoinTokens"]["Worker"]
        here = f"127.0.0.2:{free_port()}"
        there = manager.info()["Swarm"]["RemoteManagers"][0]["Addr"]
        api.join_swarm([there], token, listen_addr=here, advertise_addr=here)
        id = api.info()["Swarm"]["NodeID"]
        yield running
        api.leave_swarm()
        wait_for(lambda: manager.inspect_node(id)["Status"]["State"] == "down", "the node to be gone", 60)
        manager.remove_node(id)


@pytest.fixture(scope="session")
def real_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry on loopback."""
    with registry(tmp_path_factory.mktemp("registry")) as running:
        yield running
