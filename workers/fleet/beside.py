"""A container of ours beside a service's, in the image of the helper: it has python3, and stays for a moment."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from watcher.image import Reference
from workers.fleet.engine import Engine
from workers.fleet.host import Service, Tell, silent
from workers.fleet.labels import PULL

PYTHON = ("python3", "-I", "-S")


def bring(engine: Engine, service: Service, tell: Tell = silent) -> int:
    """Has the helper's image on the host; the bytes of its layers that travelled. A host's error if it cannot be had.

    Whoever asks for it holds the connection: there is nobody on the host yet who could.
    """
    if engine.image(service.puller) is not None:
        return 0
    wanted, gone = Reference.parse(service.puller), 0
    ours = service.repository.startswith(f"{wanted.host}/")
    login = (service.username, service.password) if ours else ("", "")

    def count(now: int, known: int) -> None:
        nonlocal gone
        gone = now
        tell(now, known)

    engine.pull(wanted.repository, wanted.digest or wanted.tag, login, service.patience, count)
    return gone


def payload(service: Service, words: Sequence[str], host: Mapping[str, Any]) -> dict[str, Any]:
    """The body of `POST /containers/create` for a container in the helper's image that runs these words of Python."""
    return {
        "Image": service.puller,
        "Entrypoint": [*PYTHON, *words],
        "Cmd": [],
        "User": "0:0",
        "Labels": {PULL: service.name},
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {"LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "1"}}, **host},
    }


def run(
    engine: Engine, service: Service, words: Sequence[str], host: Mapping[str, Any], deadline: timedelta
) -> tuple[int | None, str]:
    """Runs words of Python beside the service: the exit code (None: they did not end in time) and the last output."""
    name = f"{service.name}.ask"
    for left in engine.containers():
        if left.name == name and left.labels.get(PULL) == service.name:
            engine.remove(left.id)
    id = engine.create(name, payload(service, words, host))
    try:
        engine.start(id)
        return engine.wait(id, deadline), engine.log(id)
    finally:
        engine.remove(id)
