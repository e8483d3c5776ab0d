"""The base image of the tests is one that real engines run, and that real programs run in."""

from dataclasses import replace
from datetime import timedelta

from tests.rig.base_image import PYTHON, base_image
from tests.rig.engine import RealEngine
from tests.rig.registry import Registry
from tests.workers.fleet.worlds import service
from watcher.fleet import HostSettings
from workers.fleet.host import Health, Proof
from workers.fleet.targets import connect
from workers.oci.stores import open_store


def test_python_runs_in_a_container_of_it(dockerd: RealEngine, real_registry: Registry) -> None:
    base, repository = base_image(), f"{real_registry.address}/base"
    store = open_store(repository, {real_registry.address: real_registry.settings})
    manifest = base.copied_to(store)
    script = "import ssl, sqlite3, json, ctypes, zlib, hashlib, sys; print(sys.version_info[:2], sys.prefix)"
    wanted = replace(
        service("base", repository),
        command=("python3", "-c", "import time; time.sleep(60)"),
        health_command=("python3", "-c", script),
        stop_grace=timedelta(0),
    )
    with connect(HostSettings(name="h1", address=dockerd.address), store) as host:
        assert host.fetch(wanted, base.digest) == manifest.size
        host.swap(wanted, base.digest, 1)
        version = tuple(int(part) for part in PYTHON.split("."))
        assert host.prove(wanted, base.digest, wanted.steady) == Proof(Health.HEALTHY, f"{version} /usr/local")
        host.back(wanted, None, 1)
