"""Drift: what a host really runs, beside what it should."""

from workers.fleet.health import presentable
from workers.fleet.host import Health, Host, Service


def difference(host: Host, service: Service, expected: str | None) -> str:
    """What is not as it should be on a host that should run `expected` (None: nothing of ours); empty if all is."""
    running = host.running(service)
    if running.image != expected:
        should = expected.removeprefix("sha256:")[:12] if expected else "nothing"
        return f"runs {running.image.short if running.image else 'nothing'}, and should run {should}"
    if running.image is None or running.differs:
        return running.differs
    proof = presentable(host.prove(service, running.image, service.steady), service)
    return "" if proof.health is Health.HEALTHY else f"is not well: {proof.said or proof.health}"
