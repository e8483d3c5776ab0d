"""An image with a real Celery worker in it: the base of the tests, Celery as it is installed here, and one task."""

import gzip
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

from tests.rig.base_image import PYTHON, base_image
from tests.rig.image import Entry, layer, publish
from watcher.image import Digest
from workers.oci.layout import LayoutStore
from workers.oci.manifest import Manifest
from workers.oci.store import Store

_SITE = f"usr/local/lib/python{PYTHON}/site-packages"
_TASKS = """\
import os, time
from celery import Celery
from redis import Redis

broker = os.environ["BROKER"]
app = Celery("tasks", broker=broker)
app.conf.update(task_acks_late=True, worker_prefetch_multiplier=1, broker_connection_retry_on_startup=True)
done = Redis.from_url(broker)

@app.task(name="work")
def work(number):
    time.sleep(0.5)
    done.hset("by", number, os.environ["VERSION"])
    done.rpush("done", number)
"""
_WORKER = ["celery", "-A", "tasks", "worker", "-c", "2", "--without-gossip", "--without-mingle", "--without-heartbeat"]


def celery_image(store: Store, version: int, broker: str) -> Digest:
    """Its worker takes tasks called `work` from `broker`, takes its time, and says by which version each was done."""
    own: dict[str, Entry] = {"app": None, "app/tasks.py": _TASKS, "app/ok": "", "app/version": str(version)}
    return publish(
        store,
        [*_base(), layer(dict(_installed())), layer(own)],
        Env=["PATH=/usr/local/bin:/usr/bin:/bin", "PYTHONUNBUFFERED=1", f"BROKER={broker}", f"VERSION={version}"],
        WorkingDir="/app",
        Cmd=["python3", "-m", *_WORKER],
    )


def _base() -> Iterator[bytes]:
    base = base_image()
    here = LayoutStore(base.directory)
    for described in Manifest.parse(here.manifest(base.digest) or b"", base.address).layers:
        with here.blob(described.digest) as blob:
            yield gzip.decompress(blob.read())


def _installed() -> Iterator[tuple[str, Entry]]:
    """The files of Celery, of the client for Redis, and of all that they need."""
    seen: dict[str, Distribution] = {}
    names = ["celery", "redis"]
    while names:
        name = names.pop()
        if name in seen:
            continue
        seen[name] = distribution(name)
        needed = map(Requirement, seen[name].requires or ())
        names += [one.name.lower() for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    for found in seen.values():
        for file in found.files or ():
            path = Path(str(found.locate_file(file)))
            if ".." not in file.parts and path.is_file() and path.suffix != ".pyc":
                yield f"{_SITE}/{file}", path.read_bytes()
