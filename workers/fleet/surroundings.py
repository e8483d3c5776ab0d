"""What a container needs around it on its host, and what would break with it: looked at before anything is stopped."""

from workers.fleet.answer import NO_NETWORK
from workers.fleet.engine import Engine
from workers.fleet.host import HostRefused, Service
from workers.fleet.labels import PULL
from workers.fleet.spec import networks_of


def insist(engine: Engine, service: Service, current: str | None) -> None:
    """A `HostRefused` if the service's next container could not start, or if replacing `current` (the engine's id of
    the one that runs) would break what is not ours."""
    for network in networks_of(service):
        if not engine.has_network(network):
            raise HostRefused(engine.host, f"there is no network {network}", NO_NETWORK)
    listed = engine.containers()
    _, shared, owner = service.network.partition("container:")
    if shared and not any(owner in (one.name, one.id, one.id[:12]) for one in listed):
        raise HostRefused(engine.host, f"there is no container {owner}, whose network it is to use", NO_NETWORK)
    mode = f"container:{current}"
    inside = [one.name for one in listed if one.network == mode and one.labels.get(PULL) != service.name]
    if inside:
        what = f"{', '.join(inside)} has its network from the container of {service.name}, and would lose it"
        raise HostRefused(engine.host, what, "give it a network of its own, or make it part of the image")
