"""One file per kind of source of advisories: what it is asked, and how its answers are read."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Protocol

from watcher.advisories import osv
from watcher.http import Http
from watcher.lookup import Bulletin
from watcher.settings import AdvisorySettings


class Source(Protocol):
    """Somebody who knows what is wrong with packages."""

    def look_up(self, known: Sequence[Bulletin], http: Http, now: datetime) -> Iterator[Bulletin]:
        """What is known against each package as of `now` (UTC), in the order in which the answers come.

        `known` is what was known before. Nothing is raised: what the source does not answer for is *unknown*, with the
        reason and with what was known before.
        """
        ...


SOURCES: dict[str, Callable[[AdvisorySettings], Source]] = {"osv": osv.Osv}
"""How to make a source of each kind."""
