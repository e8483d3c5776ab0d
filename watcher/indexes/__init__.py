"""One file per kind of index: what it is asked, and how its answers are read."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Protocol

from watcher.http import Http
from watcher.indexes import packagist, pypi
from watcher.lookup import Lookup, Traces, Unchanged
from watcher.pin import Pin
from watcher.settings import IndexSettings


class Index(Protocol):
    """An index of packages.

    `is_only_about_releases`: an answer about a package tells of its releases, and nothing that is known against them.
    """

    @property
    def is_only_about_releases(self) -> bool: ...

    def unchanged(self, traces: Traces, http: Http, now: datetime, pins: Iterable[Pin] = ()) -> Unchanged | None:
        """Those of the packages of which nothing is new by a feed of changes, which is one request for all of them;
        None without such a feed, or without an answer: then `look_up` has to ask about each.

        `traces` reads how they were looked up the last time, and that went well.
        """
        ...

    def look_up(
        self,
        known: Sequence[Lookup],
        http: Http,
        now: datetime,
        pins: Iterable[Pin] = (),
        said: Unchanged | None = None,
    ) -> Iterator[Lookup]:
        """Each package's lookup as of `now` (UTC), in the order in which the answers come.

        `known` is what was known of the packages that are asked for; a package that never was looked up has a bare
        `Lookup`. An index that does not answer for a package makes its lookup *unknown*, with the reason and with what
        was known before; nothing is raised, so a package that fails costs the others nothing. `pins` are those for
        whose sake is asked: there may be more to ask for than releases. `said` is what `unchanged` has just said of
        others.
        """
        ...


INDEXES: dict[str, Callable[[IndexSettings], Index]] = {"packagist": packagist.Packagist, "pypi": pypi.PyPI}
"""How to make an index of each kind that speaks HTTP. Registries of images are asked through a door of `workers`."""
