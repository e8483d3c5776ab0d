"""What a container's state says about its health. Pure: the engine's `inspect` answer → Proof."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from watcher.inert import inert
from workers.fleet.host import Health, Proof, Service

CANNOT_RUN = (126, 127)
"""Exit codes of a command that is not there or cannot be executed (POSIX shells, `runc`)."""

_LONGEST, _WORDS = 1_000, 400


def died(inspected: Mapping[str, Any], fresh: bool) -> str:
    """Why the container is not, or has not stayed, alive; an empty text if it has.

    A `fresh` one was made by the swap that is to be proven, so whatever happened to it happened since.
    """
    state = _table(inspected, "State")
    if state.get("OOMKilled") and (fresh or not state.get("Running")):
        return "it ran out of memory"
    if state.get("Error"):
        return f"it did not start: {state['Error']}"
    restarts = inspected.get("RestartCount") or 0
    if state.get("Restarting") or (fresh and restarts):
        # Once it is up again, nobody knows any more how it ended.
        ended = f"it ended with {state['ExitCode']} and " if state.get("ExitCode") else "it "
        return f"{ended}was restarted, {restarts} so far"
    if state.get("Paused"):
        return "it is paused"
    if not state.get("Running"):
        return f"it ended with {state.get('ExitCode')}"
    return ""


def proof_of(inspected: Mapping[str, Any], steady: timedelta, elapsed: timedelta) -> Proof:
    """The proof of a container that is alive: its HEALTHCHECK's if it has one, else that it has stayed alive."""
    checked = _table(_table(inspected, "State"), "Health")
    status = checked.get("Status") or "none"
    if status == "none":
        return Proof(Health.HEALTHY if elapsed >= steady else Health.STARTING)
    log = checked.get("Log") or []
    said = str(log[-1].get("Output") or "") if log and isinstance(log[-1], dict) else ""
    verdicts = {"healthy": Health.HEALTHY, "unhealthy": Health.UNHEALTHY}
    return Proof(verdicts.get(status, Health.STARTING), said)


def lasting(proof: Proof, service: Service, elapsed: timedelta) -> Proof:
    """The proof once it counts: whatever says that a container is well, it has to have run for `steady`."""
    early = proof.health is Health.HEALTHY and elapsed < service.steady
    return replace(proof, health=Health.STARTING) if early else proof


def proof_of_command(service: Service, code: int | None, said: str) -> Proof:
    """The proof that a health command gave by its exit code (None: it did not end in its time).

    One that fails may succeed a second later, when the service has started. One that cannot run never will.
    """
    tool = service.health_command[0]
    if code is None:
        limit = service.health_timeout.total_seconds()
        return Proof(Health.STARTING, _lines(f"`{tool}` did not end within {limit:g} s", said))
    if code == 0:
        return Proof(Health.HEALTHY, said)
    said = _lines(f"`{tool}` ended with {code}", said)
    return Proof(Health.UNHEALTHY if code in CANNOT_RUN else Health.STARTING, said)


def probe(url: str, interpreter: str, timeout: timedelta) -> tuple[str, ...]:
    """The health command that asks `url` from inside the container, with the image's own Python."""
    return (interpreter, *asking(url, timeout))


def asking(url: str, timeout: timedelta) -> tuple[str, ...]:
    """The words of Python that ask `url`. They end, with their own words, before `timeout` is over."""
    seconds = timeout.total_seconds()
    return ("-c", _PROBE, url, f"{max(seconds - 1, seconds / 2):g}")


_PROBE = """\
import sys, urllib.error, urllib.request
try:
    print(urllib.request.urlopen(sys.argv[1], timeout=float(sys.argv[2])).status)
except urllib.error.HTTPError as error:
    sys.exit(f"{sys.argv[1]} answered {error.code}")
except OSError as error:
    sys.exit(f"{sys.argv[1]} did not answer: {error}")
"""


def presentable(proof: Proof, service: Service) -> Proof:
    """The proof as it may be shown to people: its last words, harmless, and without the service's secrets."""
    said, log = (_without(service, text.strip()) for text in (proof.said, proof.log))
    if log:
        # Both ends count: what the probe found, and what the service has to say to it.
        said = _lines(said[-_WORDS:], log[-(_LONGEST - _WORDS) :])
    return replace(proof, said=inert(said[-_LONGEST:]), log="")


def is_over(proof: Proof, service: Service, elapsed: timedelta) -> bool:
    """Whether the proof is the last one that a service gets, and bad: then people want to know what its log says."""
    late = proof.health is Health.STARTING and elapsed >= service.within
    return late or proof.health is Health.UNHEALTHY


def _without(service: Service, text: str) -> str:
    for secret in filter(None, (*service.secrets, service.password)):
        text = text.replace(secret, "***")
    return text


def _lines(*parts: str) -> str:
    return "\n".join(part for part in parts if part.strip())


def _table(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = value.get(key)
    return found if isinstance(found, Mapping) else {}
