"""The health of one container, asked of its engine, and by the health command from inside or beside."""

from dataclasses import replace
from datetime import timedelta

from workers.fleet import beside
from workers.fleet.engine import Engine
from workers.fleet.health import CANNOT_RUN, asking, died, is_over, lasting, presentable, proof_of, proof_of_command
from workers.fleet.host import Health, Proof, Service


def prove(engine: Engine, service: Service, id: str, fresh: bool, elapsed: timedelta) -> Proof:
    """The proof of a container, which is `fresh` if it was made by the swap that is to be proven, `elapsed` ago."""
    proof = _proof(engine, service, id, fresh, elapsed)
    if is_over(proof, service, elapsed) or proof.restarts:
        proof = replace(proof, log=engine.log(id))
    return presentable(proof, service)


def _proof(engine: Engine, service: Service, id: str, fresh: bool, elapsed: timedelta) -> Proof:
    inspected = engine.inspect(id)
    why = died(inspected, fresh)
    if why:
        return Proof(Health.UNHEALTHY, why)
    proof = proof_of(inspected, service.steady, elapsed)
    if service.health_command:
        proof = proof_of_command(service, *_asked(engine, service, id))
    return lasting(replace(proof, restarts=inspected.get("RestartCount") or 0), service, elapsed)


def _asked(engine: Engine, service: Service, id: str) -> tuple[int | None, str]:
    """What the health command says; where the image has nothing to ask an address with, the helper's has."""
    code, said = engine.run(id, service.health_command, service.health_timeout)
    if code not in CANNOT_RUN or not service.health_url or not service.puller:
        return code, said
    beside.bring(engine, service)
    words, host = asking(service.health_url, service.health_timeout), {"NetworkMode": f"container:{id}"}
    return beside.run(engine, service, words, host, service.health_timeout)
