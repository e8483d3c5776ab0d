"""A swap of containers as a pure function: what stands on the host → the next move.

Everything that a move needs to know is on the host: in the names of the service's containers, in their labels and in
whether they are up. So where a process died between two moves of a swap, any other process goes on.

    shop          what is proven, unless there is a `shop.proven`
    shop.next     started in its place (stop-first: while it is stopped; start-first: beside it), not proven yet
    shop.proven   was `shop.next` until its proof, and becomes `shop` as soon as that is out of the way
    shop.failed   taken back. Its log is there to be read, and its generation does not come again

A name is given in one step, to exactly the container that was meant: that is where a proof begins to count.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from watcher.image import Digest

NO_RESTART = "no"


class Role(StrEnum):
    """What a container is for. The text stands behind the service's name in the container's."""

    CURRENT = ""
    NEXT = ".next"
    PROVEN = ".proven"
    FAILED = ".failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """The container that is wanted: its image, its generation, and the hash of its specification."""

    image: Digest
    generation: int
    spec: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container of a service. `restarts` is the restart policy in force, `restart` the one it was meant to have.

    `previous` is the image that was proven when the container was made; `changed` says what somebody made otherwise by
    hand since.
    """

    image: Digest
    generation: int
    spec: str
    previous: Digest | None = None
    restart: str = NO_RESTART
    restarts: str = NO_RESTART
    up: bool = False
    changed: str = ""

    def is_for(self, goal: Goal) -> bool:
        mine = self.image, self.generation, self.spec
        return mine == (goal.image, goal.generation, goal.spec) and not self.changed


Containers = Mapping[Role, Container]
"""What stands on one host for one service."""


class Verb(StrEnum):
    """What a move does. HOLD switches the restart policy off, so that no engine starts the container by itself."""

    CREATE = "create"
    START = "start"
    STOP = "stop"
    HOLD = "hold"
    FREE = "free"
    RENAME = "rename"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Move:
    """One call to an engine. A CREATE makes a container for `goal`; a RENAME gives the container the role `to`."""

    verb: Verb
    role: Role
    to: Role = Role.CURRENT
    goal: Goal | None = None

    def __str__(self) -> str:
        return f"{self.verb} {self.role or 'current'}" + (f" to {self.to or 'current'}" * (self.verb is Verb.RENAME))


def remaining(seen: Containers, step: Callable[[Containers], Move | None]) -> Iterator[Move]:
    """The moves that are left until `step` has none, each as if the ones before it had been made."""
    while (move := step(seen)) is not None:
        yield move
        seen = after(seen, move)


def after(seen: Containers, move: Move) -> Containers:
    """What stands on the host once the move has been made."""
    left = {role: container for role, container in seen.items() if role is not move.role}
    if move.verb is Verb.CREATE:
        assert move.goal is not None
        made = Container(image=move.goal.image, generation=move.goal.generation, spec=move.goal.spec)
        return {**left, move.role: made}
    if move.verb is Verb.REMOVE:
        return left
    was = seen[move.role]
    if move.verb is Verb.RENAME:
        return {**left, move.to: was}
    changes: dict[Verb, Container] = {
        Verb.START: replace(was, up=True),
        Verb.STOP: replace(was, up=False),
        Verb.HOLD: replace(was, restarts=NO_RESTART),
        Verb.FREE: replace(was, restarts=was.restart),
    }
    return {**left, move.role: changes[move.verb]}


def proven(seen: Containers) -> Container | None:
    """What is proven and runs, or should."""
    return seen.get(Role.PROVEN) or seen.get(Role.CURRENT)


def newest(seen: Containers) -> int:
    """The newest generation that was ever at work here and left something."""
    return max((container.generation for container in seen.values()), default=0)


def is_taken_back(seen: Containers, goal: Goal) -> bool:
    """Whether the goal's generation was here already, and the host was put back from it."""
    return any(
        container.generation == goal.generation and (role is Role.FAILED or container.image != goal.image)
        for role, container in seen.items()
    )


def to_swap(seen: Containers, goal: Goal, beside: bool) -> Move | None:
    """The next move towards a started `goal`; `beside`: start-first, nothing is stopped for it."""
    if (move := _finish(seen)) is not None:
        return move
    new, old = seen.get(Role.NEXT), seen.get(Role.CURRENT)
    if old is not None and old.is_for(goal):
        # Nothing that is not proven is left beside it: of this generation nothing is to come any more.
        return _revived(old) or (Move(Verb.STOP if new.up else Verb.REMOVE, Role.NEXT) if new else None)
    if new is None:
        return Move(Verb.CREATE, Role.NEXT, goal=goal)
    if not new.is_for(goal):
        return Move(Verb.STOP if new.up else Verb.REMOVE, Role.NEXT)
    if old is not None and old.up and not beside:
        return Move(Verb.STOP, Role.CURRENT)
    if not new.up:
        return Move(Verb.START, Role.NEXT)
    # Last, because what was stopped is to be replaced in no time; a stopped container waits for it unharmed.
    if old is not None and not old.up and old.restarts != NO_RESTART:
        return Move(Verb.HOLD, Role.CURRENT)
    return None


def _revived(old: Container) -> Move | None:
    """The next move towards a proven container that runs as it was meant to, whatever somebody did to it."""
    if old.restarts != old.restart:
        return Move(Verb.FREE, Role.CURRENT)
    return None if old.up else Move(Verb.START, Role.CURRENT)


def to_settle(seen: Containers, image: Digest) -> Move | None:
    """The next move towards `image`, which is proven, being all that is left (and what failed after it)."""
    if (move := _finish(seen)) is not None:
        return move
    new, old, failed = seen.get(Role.NEXT), seen.get(Role.CURRENT), seen.get(Role.FAILED)
    if new is not None and new.image == image:
        return Move(Verb.RENAME, Role.NEXT, Role.PROVEN)
    if failed is not None and old is not None and failed.generation < old.generation:
        return Move(Verb.REMOVE, Role.FAILED)
    return None


def to_return(seen: Containers, image: Digest | None, goal: Goal | None, generation: int, beside: bool) -> Move | None:
    """The next move back from `generation` to `image`; `goal` is for the case that nothing is left to go back to."""
    new, old = seen.get(Role.NEXT), seen.get(Role.CURRENT)
    if Role.PROVEN in seen and new is None and old is not None and old.image == image:
        return Move(Verb.RENAME, Role.PROVEN, Role.NEXT)
    if (move := _finish(seen)) is not None:
        return move
    if old is not None and (old.image == image or (image is None and old.generation < generation)):
        if new is not None and new.up and (old.up or not beside):
            return Move(Verb.STOP, Role.NEXT)
        if not old.up:
            return Move(Verb.START, Role.CURRENT)
        if old.restarts != old.restart:
            return Move(Verb.FREE, Role.CURRENT)
        return _bury(seen, Role.NEXT)
    if goal is None:
        return _bury(seen, Role.NEXT) or _bury(seen, Role.CURRENT)
    if new is not None and not new.is_for(goal):
        return _bury(seen, Role.NEXT)
    return to_swap(seen, goal, beside)


def _finish(seen: Containers) -> Move | None:
    """Makes room for what is proven, and gives it its name."""
    if Role.PROVEN not in seen:
        return None
    old = seen.get(Role.CURRENT)
    if old is None:
        return Move(Verb.RENAME, Role.PROVEN, Role.CURRENT)
    return Move(Verb.STOP if old.up else Verb.REMOVE, Role.CURRENT)


def _bury(seen: Containers, role: Role) -> Move | None:
    container = seen.get(role)
    if container is None:
        return None
    if container.up:
        return Move(Verb.STOP, role)
    if container.restarts != NO_RESTART:
        return Move(Verb.HOLD, role)
    return Move(Verb.REMOVE, Role.FAILED) if Role.FAILED in seen else Move(Verb.RENAME, role, Role.FAILED)
