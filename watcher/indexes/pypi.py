"""PyPI, and every other index that speaks the JSON form of Python's Simple API.

The format: PEP 503, 592 (yanked), 691 (JSON) and 700 (size, upload-time), kept together at
https://packaging.python.org/specifications/simple-repository-api/.

`pypi_simple` gives the address of PyPI and not the parser: see `parse`.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote, urljoin

from packaging.utils import NormalizedName, canonicalize_name, parse_sdist_filename, parse_wheel_filename
from packaging.version import Version

from watcher import document
from watcher.document import expect, shown
from watcher.errors import IndexLied, IndexRefused, IndexUnreachable, Temporary
from watcher.http import Http, Request, Response
from watcher.indexes.key import key_of
from watcher.inert import inert
from watcher.lookup import Lookup, Outcome
from watcher.release import File, Release
from watcher.settings import IndexSettings

T = TypeVar("T")
ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.1, text/html;q=0.01"
_JSON = ("application/vnd.pypi.simple.v1+json", "application/vnd.pypi.simple.latest+json", "application/json")
_VALIDATOR = re.compile(r"[\x20-\x7e]{1,500}")
_FILENAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,400}")
_ADDRESS = re.compile(r"https?://[\x21-\x7e]{1,2000}")
_SPECIFIER = re.compile(r"[\x20-\x7e]{0,500}")
_HEX = re.compile(r"[0-9a-f]{8,256}")


def address() -> str:
    """Where PyPI is."""
    # Imported only here: it brings an HTTP client and two parsers with it, and takes half a second.
    from pypi_simple import PYPI_SIMPLE_ENDPOINT

    return PYPI_SIMPLE_ENDPOINT


class PyPI:
    """An index at `settings.url`, or PyPI itself."""

    def __init__(self, settings: IndexSettings) -> None:
        self.url = (settings.url or address()).rstrip("/")
        self._settings = settings

    def look_up(self, known: Sequence[Lookup], http: Http, now: datetime) -> Iterator[Lookup]:
        """See `Index`. One conditional request per package."""
        try:
            key = key_of(self._settings, self.url)
        except IndexRefused as error:
            yield from (lookup.refused(now, error) for lookup in known)
            return
        asked = {self._request(lookup, key): lookup for lookup in known}
        for request, result in http.many(tuple(asked)):
            yield learned(asked.pop(request), result, now)

    def _request(self, lookup: Lookup, key: Mapping[str, str]) -> Request:
        conditions = {"if-none-match": lookup.etag, "if-modified-since": lookup.last_modified}
        headers = {"accept": ACCEPT, **{name: value for name, value in conditions.items() if value}, **key}
        return Request(f"{self.url}/{quote(lookup.package, safe='')}/", headers, private=self._settings.private)


def learned(known: Lookup, result: Response | IndexUnreachable, now: datetime) -> Lookup:
    """What is known of a package after an answer, or after none."""
    try:
        if isinstance(result, IndexUnreachable):
            raise result
        answer = _read(known, result)
    except IndexRefused as error:
        return known.refused(now, error)
    except Temporary as error:
        return replace(known.again(now, error), outcome=Outcome.UNKNOWN, looked_at=now)
    return replace(answer, looked_at=now, answered_at=now, reason="", attempts=0, due_at=None)


def _read(known: Lookup, response: Response) -> Lookup:
    match response.status:
        case 200:
            return replace(
                known,
                outcome=Outcome.ANSWER,
                releases=parse(response.body, known.package, response.url, response.headers.get("content-type", "")),
                etag=_validator(response, "etag"),
                last_modified=_validator(response, "last-modified"),
            )
        case 304 if known.etag or known.last_modified:
            return replace(known, outcome=Outcome.ANSWER)
        case 404 | 410:
            return replace(known, outcome=Outcome.ABSENT, releases=(), etag="", last_modified="")
        case 401 | 403 | 407:
            raise IndexRefused(response.url, f"it says {response.status}")
        case status:
            raise IndexLied(response.url, "status", "200 or 404, or 304 to a condition", str(status))


def _validator(response: Response, name: str) -> str:
    """A header that we can send back, or nothing."""
    value = response.headers.get(name, "")
    return value if _VALIDATOR.fullmatch(value) else ""


def parse(body: bytes, package: str, url: str, content_type: str) -> tuple[Release, ...]:
    """The releases on the page of `package` (its normal name), which came from `url`, oldest first.

    Wheels and sdists of this project count and all other files are ignored: old pages list eggs and installers. A
    version without files is no release. Everything in the result is checked; an `IndexLied` names the place of what is
    not as the specification has it.

    The parser is not `pypi_simple`'s, which is no faster (0.9 s for the 46,724 files of ddtrace, as here), takes twice
    the memory (130 MB), gives up on the whole page for one odd file of another project or for a project status that it
    has not heard of, and does not ask whether a file belongs to the project.
    """
    page = _page(body, package, url, content_type)
    releases: dict[Version, dict[str, File]] = {}
    for number, row in enumerate(expect(page.get("files"), list, url, "files", "a list")):
        where = f"files[{number}]"
        named = _named(expect(row, dict, url, where, "an object").get("filename"))
        if named is not None and named[0] == package:
            releases.setdefault(named[1], {}).setdefault(row["filename"], _file(row, url, where))
    return tuple(
        Release(package=package, version=str(version), files=tuple(files[name] for name in sorted(files)))
        for version, files in sorted(releases.items())
    )


def _page(body: bytes, package: str, url: str, content_type: str) -> dict[str, Any]:
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in _JSON:
        raise IndexLied(url, "content-type", "the JSON form of the Simple API (PEP 691)", shown(kind))
    page = document.read(body, url)
    meta = expect(expect(page, dict, url, "body", "an object").get("meta"), dict, url, "meta", "an object")
    api = expect(meta.get("api-version"), str, url, "meta.api-version", "a text")
    if not re.fullmatch(r"1\.\d{1,4}", api):
        raise IndexLied(url, "meta.api-version", "1.x", shown(api))
    name = page.get("name", package)
    if not isinstance(name, str) or canonicalize_name(name) != package:
        raise IndexLied(url, "name", package, shown(name))
    return dict(page)


def _named(filename: object) -> tuple[NormalizedName, Version] | None:
    """The project and the version that a file belongs to, or None if it is no wheel and no sdist."""
    if not isinstance(filename, str) or not _FILENAME.fullmatch(filename):
        return None
    try:
        if filename.endswith(".whl"):
            return parse_wheel_filename(filename)[:2]
        return parse_sdist_filename(filename)
    except ValueError:
        return None


def _file(row: Mapping[str, Any], url: str, where: str) -> File:
    def read(name: str, reader: Callable[[Any], T], expected: str) -> T:
        try:
            return reader(row.get(name))
        except (ValueError, TypeError, OverflowError):
            raise IndexLied(url, f"{where}.{name}", expected, shown(row.get(name))) from None

    return File(
        filename=row["filename"],
        url=read("url", lambda value: _address(value, url), "an http:// or https:// address"),
        hashes=read("hashes", _hashes, "hexadecimal texts by algorithm"),
        size=read("size", _size, "a number of bytes"),
        requires_python=read("requires-python", _requires_python, "a version specifier"),
        uploaded_at=read("upload-time", _uploaded_at, "a time such as 2026-11-02T09:00:00Z"),
        yanked=read("yanked", _yanked, "true, false or a reason"),
    )


def _address(value: object, url: str) -> str:
    if isinstance(value, str):
        address = value if value.startswith("https://") else urljoin(url, value)
        if _ADDRESS.fullmatch(address):
            return address.partition("#")[0]
    raise ValueError


def _hashes(value: object) -> Mapping[str, str]:
    if isinstance(value, dict) and all(_is_hash(name, text) for name, text in value.items()):
        return value
    raise ValueError


def _is_hash(name: str, text: object) -> bool:
    return name in hashlib.algorithms_guaranteed and isinstance(text, str) and bool(_HEX.fullmatch(text))


def _size(value: object) -> int | None:
    # bool is an int in Python, and not in JSON
    if value is None or (type(value) is int and 0 <= value < 1 << 50):
        return value
    raise ValueError


def _requires_python(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str) and _SPECIFIER.fullmatch(value):
        return value.strip()
    raise ValueError


def _uploaded_at(value: Any) -> datetime | None:
    if value is None:
        return None
    at = datetime.fromisoformat(value)
    # PEP 700: always UTC. An offset is read as it stands, and a bare time as the rule says.
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def _yanked(value: object) -> str | None:
    if value is None or isinstance(value, bool):
        return "" if value else None
    if isinstance(value, str):
        return inert(value, 300)
    raise ValueError
