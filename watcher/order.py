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
