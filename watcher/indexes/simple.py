"""Pages of Python's Simple API: what an index has of a project.

The format: PEP 503 (HTML), 592 (yanked), 691 (JSON), 700 (size, upload-time) and 792 (project status), kept together at
https://packaging.python.org/specifications/simple-repository-api/.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urljoin

from packaging.utils import NormalizedName, canonicalize_name, parse_sdist_filename, parse_wheel_filename
from packaging.version import Version

from watcher import document
from watcher.document import expect, shown
from watcher.errors import IndexLied
from watcher.indexes import simple_html
from watcher.inert import inert
from watcher.release import File, Release

T = TypeVar("T")
_JSON = ("application/vnd.pypi.simple.v1+json", "application/vnd.pypi.simple.latest+json", "application/json")
_HTML = ("application/vnd.pypi.simple.v1+html", "application/vnd.pypi.simple.latest+html", "text/html")
_NEWEST_MINOR = 4
"""Of the versions of the format that we have read about."""

_FILENAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,400}")
_ADDRESS = re.compile(r"https?://[\x21-\x7e]{1,2000}")
_SPECIFIER = re.compile(r"[\x20-\x7e]{0,500}")
_HEX = re.compile(r"[0-9a-f]{8,256}")
_CHARSETS = ("utf-8", "us-ascii", "iso-8859-1", "iso-8859-15", "windows-1252")


@dataclass(frozen=True, slots=True)
class Page:
    """What an index says of a project: its releases, oldest first, and what it calls the project as a whole.

    See `watcher.lookup.Lookup` for the texts.
    """

    releases: tuple[Release, ...]
    status: str = ""
    status_said: str = ""
    remark: str = ""


def parse(body: bytes, package: str, url: str, content_type: str) -> Page:
    """The page of `package` (its normal name), which came from `url`.

    Wheels and sdists of this project count and all other files are ignored: old pages list eggs and installers. A
    version without files is no release. Everything in the result is checked; an `IndexLied` names the place of what is
    not as the specification has it.

    The parser is not `pypi_simple`'s, which is no faster (0.9 s for the 46,724 files of ddtrace, as here), takes twice
    the memory (130 MB), gives up on the whole page for one odd file of another project or for a project status that it
    has not heard of, and does not ask whether a file belongs to the project.
    """
    page, url = _read(body, url, content_type)
    minor = _minor(page, url)
    name = page.get("name", package)
    if not isinstance(name, str) or canonicalize_name(name) != package:
        raise IndexLied(url, "name", package, shown(name))
    releases: dict[Version, dict[str, File]] = {}
    for number, row in enumerate(expect(page.get("files"), list, url, "files", "a list")):
        where = f"files[{number}]"
        named = _named(expect(row, dict, url, where, "an object").get("filename"))
        if named is not None and named[0] == package:
            releases.setdefault(named[1], {}).setdefault(row["filename"], _file(row, url, where))
    if not releases and "name" not in page:
        # A page of HTML does not say whose it is: this one may ask for a password, or for money.
        raise IndexLied(url, "body", f"files of {package}", "a page without any")
    status, said = _status(page, url)
    return Page(
        tuple(
            Release(package=package, version=str(version), files=tuple(files[name] for name in sorted(files)))
            for version, files in sorted(releases.items())
        ),
        status,
        said,
        _remark(minor),
    )


def _read(body: bytes, url: str, content_type: str) -> tuple[dict[str, Any], str]:
    """The page in the form that JSON has, and the address that its relative ones are relative to."""
    kind, _, parameters = content_type.partition(";")
    kind = kind.strip().lower()
    charset = _charset(parameters, url)
    # Some proxies call every page HTML.
    if kind in _JSON or (kind in _HTML and body.lstrip()[:1] == b"{"):
        page = document.read(body if charset == "utf-8" else _decoded(body, charset, url).encode(), url)
        return expect(page, dict, url, "body", "an object"), url
    if kind in _HTML:
        return simple_html.read(_decoded(body, charset, url), url)
    raise IndexLied(url, "content-type", "JSON or HTML of the Simple API (PEP 691)", shown(kind))


def _charset(parameters: str, url: str) -> str:
    found = re.search(r"charset\s*=\s*[\"']?([A-Za-z0-9_.-]{1,40})", parameters, re.IGNORECASE)
    name = found[1].lower() if found else "utf-8"
    name = {"utf8": "utf-8", "ascii": "us-ascii", "latin1": "iso-8859-1", "latin-1": "iso-8859-1"}.get(name, name)
    if name not in _CHARSETS:
        raise IndexLied(url, "content-type", f"one of the charsets {', '.join(_CHARSETS)}", shown(name))
    return name


def _decoded(body: bytes, charset: str, url: str) -> str:
    try:
        return body.decode(charset)
    except UnicodeDecodeError as error:
        raise IndexLied(url, "body", charset, f"something else at byte {error.start}") from error


def _minor(page: Mapping[str, Any], url: str) -> int:
    meta = expect(page.get("meta"), dict, url, "meta", "an object")
    api = expect(meta.get("api-version"), str, url, "meta.api-version", "a text")
    if not re.fullmatch(r"1\.\d{1,4}", api):
        raise IndexLied(url, "meta.api-version", "1.x", shown(api))
    return int(api[2:])


def _remark(minor: int) -> str:
    if minor <= _NEWEST_MINOR:
        return ""
    return f"it speaks version 1.{minor} of the Simple API, and we know 1.{_NEWEST_MINOR}"


def _status(page: Mapping[str, Any], url: str) -> tuple[str, str]:
    """PEP 792. A word that it does not have is told as it is."""
    said = expect(page.get("project-status") or {}, dict, url, "project-status", "an object")
    status = expect(said.get("status") or "active", str, url, "project-status.status", "a text")
    reason = expect(said.get("reason") or "", str, url, "project-status.reason", "a text")
    return ("", "") if status == "active" else (inert(status, 40), inert(reason, 300))


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
        size=_size(row.get("size")),
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
    """Those that we know how to make, as we make them. Who tells none is asked for none."""
    if not isinstance(value, dict | None):
        raise TypeError
    known = {name: text for name, text in (value or {}).items() if name in hashlib.algorithms_guaranteed}
    found = {name: text.lower() for name, text in known.items() if isinstance(text, str)}
    if len(found) < len(known) or not all(map(_HEX.fullmatch, found.values())):
        raise ValueError
    return value if found == value else found


def _size(value: object) -> int | None:
    # It is for people's eyes, and not worth a project. bool is an int in Python, and not in JSON.
    return value if type(value) is int and 0 <= value < 1 << 50 else None


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
