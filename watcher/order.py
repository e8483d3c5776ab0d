"""An order: one thing for a worker to do, named by an id and nothing else."""

from enum import StrEnum


class Order(StrEnum):
    """Each order has exactly one step that carries it out, and one Celery task of this name."""

    SURVEY = "survey"
    POLL = "poll"
    PROPOSE = "propose"
    BUILD = "build"
    ROLL = "roll"
    INSPECT = "inspect"
    TEND = "tend"
    TELL = "tell"


class Lane(StrEnum):
    """A queue of orders, with workers of its own: what waits in one is not waited for in another.

    A pull over a slow link takes hours, and a service its time to stop; neither is to hold up a notice, a build, a
    proof, or the way back from a bad image.
    """

    HERE = "here"
    PULLS = "pulls"
    HOSTS = "hosts"
    BACK = "back"
