"""What toplayer writes on the containers that it makes, and what it reads there again. Pure.

Everything that a swap needs to know stands on the host: whose container it is, which image of which generation, and
from what specification it was made.
"""

from collections.abc import Mapping
from typing import Any

from watcher.image import Digest
from workers.fleet.swap import NO_RESTART, Container, Goal

SERVICE = "io.toplayer.service"
GENERATION = "io.toplayer.generation"
IMAGE = "io.toplayer.image"
SPEC = "io.toplayer.spec"
PREVIOUS = "io.toplayer.previous"
RESTART = "io.toplayer.restart"
BEFORE = "io.toplayer.before"
"""The restart policy of the container that was there before toplayer, and that labels of ours cannot be put on."""
PULL = "io.toplayer.pull"
"""On what helps a service for a while, instead of `SERVICE`: it is no container of the service's."""
BESIDES = "io.toplayer.besides"
"""The bytes that travelled for the helper itself."""
STATE = "io.toplayer.state"
"""On the service of a swarm: what is proven, what is not yet, and who was here, so that one update says all of it."""
COMPOSE_IMAGE = "io.toplayer.compose.image"
"""What a Compose project's file calls the image."""


def labels_of(service: str, goal: Goal, previous: Digest | None, restart: str) -> dict[str, str]:
    """The labels of a container that is made for a goal."""
    return {
        SERVICE: service,
        GENERATION: str(goal.generation),
        IMAGE: goal.image,
        SPEC: goal.spec,
        PREVIOUS: previous or "",
        RESTART: restart,
    }


def container_of(labels: Mapping[str, str], restarts: str, up: bool) -> Container:
    """The container with these labels. `ValueError` says what is wrong with them."""
    return Container(
        image=Digest(labels.get(IMAGE, "")),
        generation=int(labels.get(GENERATION, "")),
        spec=labels.get(SPEC, ""),
        previous=Digest(labels[PREVIOUS]) if labels.get(PREVIOUS) else None,
        restart=labels.get(RESTART) or NO_RESTART,
        restarts=restarts,
        up=up,
    )


def policy_text(policy: Mapping[str, Any] | None) -> str:
    """An engine's restart policy in one word: `always`, `on-failure:5`, or `no`."""
    found = policy or {}
    name, count = found.get("Name") or NO_RESTART, found.get("MaximumRetryCount") or 0
    return f"{name}:{count}" if count else name


def policy_of(text: str) -> dict[str, Any]:
    """The restart policy as an engine has it."""
    name, _, count = text.partition(":")
    return {"Name": name, "MaximumRetryCount": int(count)} if count else {"Name": name}
