"""All registries of images, as an index: a tag is asked what it names now, and that is its only release."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime

from watcher.errors import Refused, Temporary
from watcher.http import Http
from watcher.image import Digest, Reference
from watcher.lookup import Lookup, Outcome, Traces, Unchanged
from watcher.pin import Pin
from watcher.release import File, Release
from watcher.settings import RegistrySettings
from workers.oci.stores import open_image

_AT_ONCE = 8


class Tags:
    """See `watcher.indexes.Index`; a package is `[host/]path[:tag]`.

    Each costs one HEAD request, which hubs do not count as a pull. When an image was made is what its maker says of it,
    so a digest is as old as our first sight of it.
    """

    is_only_about_releases = False

    def __init__(self, registries: Mapping[str, RegistrySettings], patience: float = 15.0) -> None:
        """`patience` is in seconds: how long a registry that fails is asked again."""
        self._registries, self._patience = registries, patience

    def unchanged(self, traces: Traces, http: Http, now: datetime, pins: Iterable[Pin] = ()) -> None:
        """See `watcher.indexes.Index`: it has no feed."""

    def look_up(
        self,
        known: Sequence[Lookup],
        http: Http,
        now: datetime,
        pins: Iterable[Pin] = (),
        said: Unchanged | None = None,
    ) -> Iterator[Lookup]:
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="tags") as pool:
            yield from pool.map(lambda lookup: self._one(lookup, now), known)

    def _one(self, known: Lookup, now: datetime) -> Lookup:
        try:
            reference = Reference.parse(known.package)
            digest = open_image(reference, self._registries, patience=self._patience).named(reference.name)
        except ValueError:
            digest = None
        except (Temporary, Refused) as error:
            return known.unanswered(now, error)
        outcome = Outcome.ABSENT if digest is None else Outcome.ANSWER
        answer = known.answered(now, outcome=outcome)
        before = [release.version for release in known.releases]
        if before == ([] if digest is None else [digest]):
            return answer
        return replace(answer, releases=() if digest is None else (_release(known.package, digest),))


def _release(package: str, digest: Digest) -> Release:
    file = File(filename=str(digest), url="", hashes={"sha256": digest.hex})
    return Release(package=package, version=str(digest), files=(file,))
