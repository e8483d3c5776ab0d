"""A throwaway directory on its way into a container and back. It holds texts, of which none is large."""

import io
import os
import posixpath
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from workers.propose.bench import Unsolved

_MOST_BYTES = 128 * 1024**2


def packed(root: Path, more: Mapping[str, bytes]) -> io.BytesIO:
    """A tar of a directory, under its own name, and with `more` in it (by their names): all of it ours."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as tar:
        tar.add(root, root.name, filter=_ours)
        for name, content in more.items():
            about = tarfile.TarInfo(f"{root.name}/{name}")
            about.size, about.mode = len(content), 0o600
            tar.addfile(_ours(about), io.BytesIO(content))
    sink.seek(0)
    return sink


def directory(name: str) -> io.BytesIO:
    """A tar of an empty directory of ours."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as tar:
        about = tarfile.TarInfo(name)
        about.type, about.mode = tarfile.DIRTYPE, 0o700
        tar.addfile(_ours(about))
    sink.seek(0)
    return sink


def unpacked(stream: Iterable[bytes], into: Path) -> None:
    """Puts the files of a tar of a directory where they stand as seen from `into`. `Unsolved` for what is no text.

    Whoever packed it may have been anybody: links and the like are left out, and nothing leads out of `into`.
    """
    content = io.BytesIO()
    for chunk in stream:
        content.write(chunk)
        if content.tell() > _MOST_BYTES:
            raise Unsolved(f"its tool leaves more than {_MOST_BYTES} bytes")
    content.seek(0)
    try:
        with tarfile.open(fileobj=content, mode="r:") as tar:
            for about in tar:
                _, _, name = about.name.strip("/").partition("/")
                if about.isreg() and name and ".." not in PurePosixPath(name).parts:
                    _put(into / name, tar.extractfile(about))
    except (tarfile.TarError, EOFError) as error:
        raise Unsolved(f"what its tool left cannot be read: {error}") from None


def _put(place: Path, file: object) -> None:
    assert isinstance(file, io.BufferedReader | tarfile.ExFileObject)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(file.read())


def _ours(about: tarfile.TarInfo) -> tarfile.TarInfo:
    about.uid, about.gid, about.uname, about.gname = os.getuid(), os.getgid(), "", ""
    return about


def without(path: str, places: Iterable[str]) -> str:
    """A search path less what lies in one of the places, or is no absolute path."""
    kept = [
        one
        for one in map(posixpath.normpath, filter(None, path.split(":")))
        if one.startswith("/") and not any(one == place or one.startswith(f"{place}/") for place in places)
    ]
    return ":".join(dict.fromkeys(kept))
