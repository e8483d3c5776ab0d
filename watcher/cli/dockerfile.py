"""A Dockerfile on the disk: read for the advisor, and replaced by what it has written."""

import contextlib
import os
import stat
import tempfile
from pathlib import Path

from watcher.dockerfile.parse import LARGEST, decoded
from watcher.dockerfile.source import DockerfileUnreadable
from watcher.errors import NotFound, Refused

_NAMES = ("*Dockerfile*", "*Containerfile*", "*/Dockerfile*")
_MOST = 8


class NoDockerfile(Refused):
    """What is there cannot be read as one."""

    def __init__(self, path: str, why: str, hint: str = "") -> None:
        self.path, self.why, self.hint = path, why, hint
        super().__init__(path, why, hint)

    def __str__(self) -> str:
        return f"{self.path} cannot be read: {self.why}"


class NoFix(Refused):
    """The rewritten file cannot be written; the one that is there is as it was."""

    def __init__(self, path: str, why: str, hint: str = "") -> None:
        self.path, self.why, self.hint = path, why, hint
        super().__init__(path, why, hint)

    def __str__(self) -> str:
        return f"{self.path} cannot be written: {self.why}"


def read(path: str) -> bytes:
    """The bytes of a Dockerfile."""
    try:
        found = Path(path).stat()
    except FileNotFoundError:
        raise NotFound("file", path, _others(Path(path))) from None
    except (OSError, ValueError) as error:
        raise NoDockerfile(path, _words(error)) from None
    if stat.S_ISDIR(found.st_mode):
        inside = _others(Path(path) / "Dockerfile")
        hint = f"name the file: toplayer lint {inside[0]}" if inside else "name a file"
        raise NoDockerfile(path, "expected a file, got a directory", hint)
    if not stat.S_ISREG(found.st_mode):
        raise NoDockerfile(path, "expected a file, got a device, a pipe or a socket")
    if found.st_size > LARGEST:
        raise DockerfileUnreadable(path, 0, f"at most {LARGEST:,} bytes", f"{found.st_size:,}")
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise NoDockerfile(path, _words(error)) from None
    if b"\0" in raw:
        raise NoDockerfile(path, "expected text in UTF-8, got NUL bytes: a binary file, or text in UTF-16")
    return raw


def text_of(raw: bytes, path: str) -> str:
    """Its text; bytes that are no UTF-8 come back as they were."""
    return decoded(raw, path)


def replace(path: str, before: bytes, text: str) -> None:
    """Puts a text in the place of what was read: whoever looks sees the old file or the new one, with the mode and the
    owner that it had. A link stays, and what it leads to is replaced. A `NoFix` if somebody else was faster."""
    place = Path(path).resolve()
    new: Path | None = None
    try:
        now = place.stat()
        handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
        new = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8", "surrogateescape"))
            file.flush()
            with contextlib.suppress(PermissionError):
                os.fchown(file.fileno(), now.st_uid, now.st_gid)
            os.fchmod(file.fileno(), stat.S_IMODE(now.st_mode))
            os.fsync(file.fileno())
        if place.read_bytes() != before:
            raise NoFix(path, "somebody else has changed it in the meantime", "run `toplayer lint` again")
        new.replace(place)
        new = None
    except OSError as error:
        raise NoFix(path, _words(error)) from None
    finally:
        if new is not None:
            new.unlink(missing_ok=True)


def _others(path: Path) -> list[str]:
    """Files near a path that may have been meant."""
    with contextlib.suppress(OSError, ValueError):
        found = {str(other) for pattern in _NAMES for other in path.parent.glob(pattern) if other.is_file()}
        return sorted(one for one in found if not one.endswith(".dockerignore"))[:_MOST]
    return []


def _words(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
