"""Whose turn it is to be asked."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Turn:
    """Who is to be asked `now` (UTC): all that were not asked since `since`; of those that did not answer, the ones
    whose pause is over. `at_once`: a person has asked, and waits for no pause but one that the other side wants."""

    now: datetime
    since: datetime
    at_once: bool = False

    def has(self, asked_at: datetime | None, due_at: datetime | None, throttled: bool = False) -> bool:
        """Whether somebody who was asked last at `asked_at` is to be asked; `due_at` ends the pause of who did not
        answer then, and `throttled` says that it was theirs."""
        if due_at is not None and due_at > self.now:
            return self.at_once and not throttled and (asked_at is None or asked_at < self.since)
        return due_at is not None or asked_at is None or asked_at < self.since
