"""What an index itself knows against releases: the JSON API that PyPI has made, one answer for each release.

An index asks nobody outside about its own packages, so this is all that is ever heard of them. It is asked about the
versions that are pinned, and tells in which ones that is mended.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from watcher import document
from watcher.advisory import Advisory, Span, bearable
from watcher.errors import IndexLied, IndexRefused, IndexUnreachable
from watcher.http import Response
from watcher.inert import inert
from watcher.lookup import Lookup
from watcher.versions.pep440 import Pep440

_SCHEME = Pep440()
_MARK = "/json"


@dataclass(frozen=True, slots=True)
class Page:
    """What there is to be asked about one version of a package, as far as it is known."""

    lookup: Lookup
    version: str

    def url(self, api: str) -> str:
        """Where it is; `api` is the address of the JSON API."""
        return f"{api.rstrip('/')}/{quote(self.lookup.package, safe='')}/{quote(self.version, safe='')}/json"

    @property
    def file(self) -> str:
        """What its mark is called in the lookup's `files`."""
        return f"{self.version}{_MARK}"

    @property
    def etag(self) -> str:
        """The mark of the last answer; empty if there was none."""
        return self.lookup.files.get(self.file, "")

    def read(self, result: Response | IndexUnreachable) -> tuple[list[Advisory], str]:
        """What is known against the version, and the mark of this answer. Raises what an index raises."""
        if isinstance(result, IndexUnreachable):
            raise result
        if result.status == 304 and self.etag:
            return [one for one in self.lookup.advisories if _is_about(one, self.version)], self.etag
        if result.status in (401, 403, 407):
            raise IndexRefused(result.url, f"it says {result.status}")
        if result.status != 200:
            raise IndexLied(result.url, "status", "200, since it has this release", str(result.status))
        data = document.expect(document.read(result.body, result.url), dict, result.url, "body", "an object")
        rows = document.expect(data.get("vulnerabilities"), list, result.url, "vulnerabilities", "a list")
        found = [_advisory(row, self.version) for row in rows if _counts(row)]
        return list(bearable(found, result.url, "vulnerabilities")), result.headers.get("etag", "")


def _is_about(advisory: Advisory, version: str) -> bool:
    return any(span.introduced == version for span in advisory.spans)


def _counts(row: object) -> bool:
    return isinstance(row, dict) and isinstance(row.get("id"), str) and not row.get("withdrawn")


def _advisory(row: Mapping[str, Any], version: str) -> Advisory:
    aliases = row.get("aliases")
    url = row.get("link")
    return Advisory(
        id=inert(row["id"], 100),
        aliases=tuple(sorted(inert(one, 100) for one in aliases if isinstance(one, str)))
        if isinstance(aliases, list)
        else (),
        summary=inert(str(row.get("summary") or row.get("details") or ""), 300),
        url=inert(url, 500) if isinstance(url, str) else "",
        malware=row["id"].startswith("MAL-"),
        spans=(Span(introduced=version, fixed=_mended(row.get("fixed_in"), version)),),
    )


def _mended(versions: object, version: str) -> str:
    """The lowest of the versions that is newer than `version`; empty if there is none."""
    newer = []
    for one in versions if isinstance(versions, Iterable) else ():
        with suppress(ValueError):
            if isinstance(one, str) and _SCHEME.is_newer(one, version):
                newer.append(_SCHEME.normal(one))
    return min(newer, key=_SCHEME.key, default="")
