"""A wheel as it came from an index: hostile until it has been read.

Installers leave out what would land outside of their directory, turn links and devices into files, and mend the list of
files to fit: all harmless, and all in silence. An image must not be made of something that its author did not mean, so
a wheel that is not in every point what its RECORD says is refused here: by its table of contents before anything is
made of it, and by the bytes of each file when they are read.

The format: https://packaging.python.org/specifications/binary-distribution-format/, and RECORD:
https://packaging.python.org/specifications/recording-installed-packages/.
"""

import csv
import io
import posixpath
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from watcher.inert import inert
from workers.image.archived import Archived
from workers.image.entry import TOO_LONG, too_long
from workers.image.errors import BuildRefused
from workers.image.places import above

MOST_ENTRIES = 200_000
MOST_BYTES = 8 * 1024**3
"""What a wheel may unpack to. The largest ones on PyPI come to 3 GB."""

HINT = "tell its author, or keep the version that you have: `ignore` in the app's policy"
_SCHEMES = ("purelib", "platlib", "headers", "scripts", "data")
_ALGORITHMS = ("sha256", "sha384", "sha512")
_UNLISTED = ("RECORD", "RECORD.jws", "RECORD.p7s")
_LARGEST_TEXT, _LARGEST_HEADERS = 64 * 1024**2, 1024**2
# What the libraries raise for bytes that nobody foresaw: some of it they say, the rest was found by fuzzing.
_BROKEN = (
    *(zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, csv.Error, struct.error),
    *(EOFError, OSError, ValueError, LookupError, OverflowError, RuntimeError),
)
_BLANK = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel whose table of contents is what it should be. Its `files` are checked when they are read.

    `requires` are its Requires-Dist and `license` its licence (an SPDX expression, or what stands there), as they
    stand in METADATA. `info` is the name of its .dist-info directory.
    """

    path: Path
    package: str
    version: str
    info: str
    files: Mapping[str, Archived]
    requires: tuple[str, ...] = ()
    license: str = ""

    @property
    def size(self) -> int:
        """Bytes, packed: much like what its layer comes to."""
        return self.path.stat().st_size

    @property
    def is_portable(self) -> bool:
        """Whether it says that nothing in it depends on a machine or on a build of Python."""
        return self.path.name.endswith("-none-any.whl")

    def scheme(self, name: str) -> tuple[str, str]:
        """The scheme that a file belongs to (`purelib`, `scripts` …), and its path within the scheme's directory."""
        top, _, rest = name.partition("/")
        if not is_data(top, self.info):
            return "purelib", name
        scheme, _, path = rest.partition("/")
        return scheme, path


def read_wheel(
    path: Path, package: str, version: str, *, most_bytes: int = MOST_BYTES, most_entries: int = MOST_ENTRIES
) -> Wheel:
    """The wheel at `path`, which has to be `package` at `version` (normal forms); if not, a `BuildRefused` says why.

    Without a version it may have any.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if len(entries) > most_entries:
                raise BuildRefused(path.name, f"it has more than {most_entries} entries", HINT)
            if sum(entry.file_size for entry in entries) > most_bytes:
                raise BuildRefused(path.name, f"it unpacks to more than {most_bytes} bytes", HINT)
            return _Reader(archive, path, package, version).read()
    except _BROKEN as error:
        why = f"expected a wheel, got something else: {inert(str(error), 200)}"
        raise BuildRefused(path.name, why, HINT) from error


def is_data(top: str, info: str) -> bool:
    """Whether a directory at the top of a wheel is the one whose files go elsewhere: `<name>-<version>.data`."""
    stem = info.removesuffix(".dist-info")
    return top.endswith(".data") and canonicalize_name(top) == canonicalize_name(f"{stem}.data")


class _Reader:
    """One wheel, while it is read."""

    def __init__(self, archive: zipfile.ZipFile, path: Path, package: str, version: str) -> None:
        self._archive, self._path, self._package, self._version = archive, path, package, version

    def read(self) -> Wheel:
        entries = self._files()
        info = self._info(entries)
        files = self._checked(entries, info)
        self._check_data(entries, info)
        requires, terms = self._metadata(f"{info}/METADATA")
        return Wheel(self._path, self._package, self._version, info, files, requires, terms)

    def _wrong(self, entry: str, why: str) -> BuildRefused:
        return BuildRefused(f"{self._path.name}: {inert(entry, 200)}", why, HINT)

    def _files(self) -> dict[str, zipfile.ZipInfo]:
        """The files in the archive by their names, all of which are ordinary."""
        found: dict[str, zipfile.ZipInfo] = {}
        for entry in self._archive.infolist():
            # Not `filename`: that is cut off at a NUL.
            name = entry.orig_filename
            self._check_name(name.removesuffix("/"), name)
            self._check_kind(entry, name)
            if name in found:
                raise self._wrong(name, "it is there twice")
            if not entry.is_dir():
                found[name] = entry
        for name in found:
            if file := next((one for one in above(posixpath.dirname(name)) if one in found), None):
                raise self._wrong(file, f"expected a directory, because {inert(name, 200)} is in it, got a file")
        return found

    def _check_name(self, name: str, shown: str) -> None:
        if name.startswith("/"):
            raise self._wrong(shown, "expected a path within the wheel, got an absolute one")
        if ".." in name.split("/"):
            raise self._wrong(shown, "expected a path within the wheel, got one that leads out of it")
        if "\\" in name or not name.isprintable() or any(part in ("", ".") for part in name.split("/")):
            raise self._wrong(shown, "expected an ordinary path")
        if too_long(name):
            raise self._wrong(shown, TOO_LONG)

    def _check_kind(self, entry: zipfile.ZipInfo, name: str) -> None:
        if entry.flag_bits & 0x1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise self._wrong(name, "it is encrypted, or packed in an unusual way")
        if not 0 <= entry.header_offset < self._path.stat().st_size:
            raise self._wrong(name, "its place is not in the archive")
        if entry.is_dir() and entry.file_size:
            raise self._wrong(name, f"expected a directory, got one with {entry.file_size} bytes")
        kind = stat.S_IFMT(entry.external_attr >> 16) if entry.create_system == 3 else 0
        if kind not in (0, stat.S_IFDIR if entry.is_dir() else stat.S_IFREG):
            got = {stat.S_IFLNK: "a symbolic link", stat.S_IFDIR: "a directory"}.get(kind, "a device or a pipe")
            raise self._wrong(name, f"expected a file, got {got}")

    def _info(self, files: Mapping[str, zipfile.ZipInfo]) -> str:
        found = sorted({name.split("/")[0] for name in files if re.match(r"[^/]+\.dist-info/", name)})
        if len(found) != 1:
            raise BuildRefused(self._path.name, f"expected one .dist-info directory, got {len(found)}", HINT)
        self._check_identity(found[0], *found[0].removesuffix(".dist-info").rpartition("-")[::2])
        try:
            self._check_identity(self._path.name, *map(str, parse_wheel_filename(self._path.name)[:2]))
        except ValueError as error:
            raise BuildRefused(self._path.name, str(error), HINT) from None
        for name in ("METADATA", "WHEEL", "RECORD"):
            if f"{found[0]}/{name}" not in files:
                raise self._wrong(f"{found[0]}/{name}", "it is missing")
        return found[0]

    def _check_identity(self, where: str, name: str, version: str) -> None:
        try:
            said = (canonicalize_name(name), Version(version))
        except InvalidVersion:
            said = (canonicalize_name(name), Version("0"))
        if said != (self._package, Version(self._version) if self._version else said[1]):
            raise self._wrong(where, f"expected {self._package} {self._version}, got {inert(f'{name} {version}', 100)}")

    def _checked(self, files: Mapping[str, zipfile.ZipInfo], info: str) -> dict[str, Archived]:
        """The files with what RECORD says of their bytes; RECORD itself is none of them."""
        unlisted = {f"{info}/{name}" for name in _UNLISTED}
        rows: dict[str, list[str]] = {}
        for row in filter(None, csv.reader(self._lines(f"{info}/RECORD"))):
            if row[0] not in files:
                raise self._wrong(row[0], "RECORD lists it, and it is not in the wheel")
            if rows.get(row[0], row) != row:
                raise self._wrong(row[0], "RECORD lists it twice, and not as the same")
            rows[row[0]] = row
        for name in files:
            if name not in rows and name not in unlisted:
                raise self._wrong(name, "it is in the wheel, and RECORD does not list it")
        return {
            name: self._archived(entry, "=" if name in unlisted else (rows[name] + [""])[1])
            for name, entry in files.items()
            if name != f"{info}/RECORD"
        }

    def _archived(self, entry: zipfile.ZipInfo, listed: str) -> Archived:
        algorithm, _, digest = listed.partition("=")
        if listed != "=" and algorithm not in _ALGORITHMS:
            known = ", ".join(_ALGORITHMS)
            raise self._wrong(entry.orig_filename, f"expected a hash ({known}) in RECORD, got {algorithm or 'none'}")
        return Archived.of(self._path, entry, algorithm, digest.rstrip("="))

    def _check_data(self, files: Mapping[str, zipfile.ZipInfo], info: str) -> None:
        for name in files:
            top, *parts = name.split("/")
            if is_data(top, info) and (len(parts) < 2 or parts[0] not in _SCHEMES):
                raise self._wrong(name, f"expected one of {', '.join(_SCHEMES)} in {top}")

    def _metadata(self, name: str) -> tuple[tuple[str, ...], str]:
        """Of the headers alone: below them stands the project's README."""
        head = _BLANK.split(self._raw(name), maxsplit=1)[0]
        if len(head) > _LARGEST_HEADERS:
            raise self._wrong(name, f"its headers have more than {_LARGEST_HEADERS} bytes")
        # Not by `packaging`, which takes minutes for some hundred thousand headers.
        told = HeaderParser().parsestr(head.decode("utf-8", "replace"))
        self._check_identity(name, *("".join(map(str, told.get_all(key, ()))).strip() for key in ("name", "version")))
        terms = told.get("license-expression") or told.get("license") or ""
        return tuple(map(str, told.get_all("requires-dist", ()))), inert(str(terms), 200)

    def _lines(self, name: str) -> io.StringIO:
        try:
            return io.StringIO(self._raw(name).decode("utf-8"), newline="")
        except UnicodeDecodeError as error:
            raise self._wrong(name, f"byte {error.start}: expected UTF-8") from None

    def _raw(self, name: str) -> bytes:
        if self._archive.getinfo(name).file_size > _LARGEST_TEXT:
            raise self._wrong(name, f"it has more than {_LARGEST_TEXT} bytes")
        return self._archive.read(name)
