"""A wheel → the files that it leaves in a virtual environment of the image, without installing it anywhere.

What goes where: https://packaging.python.org/specifications/binary-distribution-format/ and `sysconfig`'s scheme of a
virtual environment. Nothing is unpacked: a file is read from the wheel when its layer is written. Where the wheel came
from, and when, is left out.
"""

import csv
import io
import posixpath
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from configparser import ConfigParser
from configparser import Error as ConfigError

from watcher.inert import inert
from watcher.settings import ImageSettings
from workers.image.archived import Archived
from workers.image.content import sha256_of, size_of, whole
from workers.image.entry import Entry
from workers.image.errors import BuildRefused
from workers.image.script import script, shebang
from workers.image.wheel import HINT, Wheel

_LEFT_OUT = ("RECORD", "RECORD.jws", "RECORD.p7s", "INSTALLER", "REQUESTED", "direct_url.json")
_OWN = re.compile(r"pyvenv\.cfg|lib64(/.*)?|bin/(python|python3|python3\.\d+)")
_TARGET = re.compile(r"([A-Za-z_][\w.]*)\s*:\s*([A-Za-z_]\w*)((?:\.[A-Za-z_]\w*)*)\s*(\[.*\])?")
_SCRIPT = re.compile(r"[\w][\w.+-]*")
_MOST_ENTRY_POINTS = 1024**2
"""Bytes. Those of real wheels have some hundreds."""
INSTALLER = b"toplayer\n"


def installed(wheel: Wheel, image: ImageSettings, direct_url: bytes = b"") -> list[Entry]:
    """The files of the wheel, as they have to be in the image, with a RECORD of just these.

    `direct_url` tells where a package is from that is from no index (PEP 610).

    A `BuildRefused` if one of them would take the place of what makes the environment one, or cannot be made.
    """
    files: dict[str, Entry] = {}
    for entry in (*_unpacked(wheel, image), *_scripts(wheel, image), *_papers(wheel, image, direct_url)):
        if _OWN.fullmatch(entry.path):
            raise BuildRefused(
                f"{wheel.path.name}: {entry.path}", "it would take the place of the environment's own file"
            )
        files[entry.path] = entry
    record = f"{site_packages(image)}/{wheel.info}/RECORD"
    files[record] = Entry(record, _record(files.values(), record, site_packages(image)))
    venv = image.venv.lstrip("/")
    return [Entry(f"{venv}/{entry.path}", entry.content, executable=entry.executable) for entry in files.values()]


def site_packages(image: ImageSettings) -> str:
    """Where packages go in the virtual environment: `lib/python3.12/site-packages`."""
    return f"lib/python{_minor(image)}/site-packages"


def _minor(image: ImageSettings) -> str:
    return ".".join(image.python.split(".")[:2])


def _unpacked(wheel: Wheel, image: ImageSettings) -> Iterator[Entry]:
    schemes = {
        "purelib": site_packages(image),
        "platlib": site_packages(image),
        "headers": f"include/site/python{_minor(image)}/{wheel.package}",
        "scripts": "bin",
        "data": "",
    }
    left_out = {f"{wheel.info}/{name}" for name in _LEFT_OUT}
    for name, file in wheel.files.items():
        scheme, rest = wheel.scheme(name)
        path = posixpath.join(schemes[scheme], rest)
        if scheme == "scripts":
            yield Entry(path, script(file, f"{image.venv}/bin/python"), executable=True)
        elif name not in left_out:
            yield Entry(path, file, executable=file.executable)


def _scripts(wheel: Wheel, image: ImageSettings) -> Iterator[Entry]:
    """The programs that entry points ask for: https://packaging.python.org/specifications/entry-points/."""
    for name, target in _entry_points(wheel).items():
        match = _TARGET.fullmatch(target.strip())
        if not match or not _SCRIPT.fullmatch(name):
            where = f"{wheel.path.name}: {wheel.info}/entry_points.txt"
            got = inert(f"{name} = {target}", 100)
            raise BuildRefused(where, f"expected a name of a script and module:function, got {got!r}", HINT)
        module, first, rest = match[1], match[2], match[3]
        body = (
            f'import sys\n\nfrom {module} import {first}\n\nif __name__ == "__main__":\n    sys.exit({first}{rest}())\n'
        )
        yield Entry(f"bin/{name}", shebang(f"{image.venv}/bin/python") + body.encode(), executable=True)


def _entry_points(wheel: Wheel) -> Mapping[str, str]:
    file = wheel.files.get(f"{wheel.info}/entry_points.txt")
    if file is None:
        return {}
    where = f"{wheel.path.name}: {wheel.info}/entry_points.txt"
    if file.size > _MOST_ENTRY_POINTS:
        raise BuildRefused(where, f"it has more than {_MOST_ENTRY_POINTS} bytes", HINT)
    parser = ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(whole(file).decode("utf-8"))
    except (ConfigError, UnicodeDecodeError) as error:
        why = f"expected entry points, got something else: {inert(str(error), 200)}"
        raise BuildRefused(where, why, HINT) from None
    groups = (group for group in ("console_scripts", "gui_scripts") if parser.has_section(group))
    return {name: target for group in groups for name, target in parser.items(group)}


def _papers(wheel: Wheel, image: ImageSettings, direct_url: bytes) -> Iterator[Entry]:
    """What tells that the package was asked for, and by whom it was installed: PEP 376."""
    info = f"{site_packages(image)}/{wheel.info}"
    yield Entry(f"{info}/INSTALLER", INSTALLER)
    yield Entry(f"{info}/REQUESTED", b"")
    if direct_url:
        yield Entry(f"{info}/direct_url.json", direct_url)


def _record(entries: Iterable[Entry], record: str, site: str) -> bytes:
    """RECORD: paths relative to site-packages, hashes, sizes, sorted."""
    text = io.StringIO()
    rows = sorted(_row(entry, site) for entry in entries)
    csv.writer(text, lineterminator="\n").writerows([*rows, (posixpath.relpath(record, site), "", "")])
    return text.getvalue().encode()


def _row(entry: Entry, site: str) -> tuple[str, str, str]:
    path, content = posixpath.relpath(entry.path, site), entry.content or b""
    if isinstance(content, Archived) and content.algorithm:
        return (path, *content.record)
    digest = bytes.fromhex(sha256_of(content))
    return path, f"sha256={urlsafe_b64encode(digest).rstrip(b'=').decode()}", str(size_of(content))
