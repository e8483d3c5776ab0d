"""A file that is replaced as a whole: whoever reads it sees the old one or the new one, also after a power cut."""

import os
from pathlib import Path


def whole(path: Path, new: Path, raw: bytes) -> None:
    """Replaces the file at `path`, by way of `new`: at once, and on the disk."""
    with new.open("wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    parent = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)
