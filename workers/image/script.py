"""Programs of an environment: files whose first line names the interpreter that runs them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from workers.image.archived import Archived
from workers.image.content import Content, sha256_of

_LONGEST = 127
_OPEN = re.compile(rb"#!pythonw?([ \t][^\n]{0,1000})?\r?\n")


@dataclass(frozen=True, slots=True)
class Headed:
    """A file of a wheel with another `head` in the place of its first `cut` bytes; `sha256` if that was told."""

    head: bytes
    cut: int
    file: Archived
    sha256: str = ""

    @property
    def size(self) -> int:
        return len(self.head) + self.file.size - self.cut

    def chunks(self) -> Iterator[bytes]:
        """See `Packed`."""
        yield self.head
        left = self.cut
        for chunk in self.file.chunks():
            yield chunk[left:]
            left = max(0, left - len(chunk))


def script(file: Archived, interpreter: str) -> Content:
    """A script, with the environment's interpreter in its first line if the wheel leaves it open."""
    match = _OPEN.match(next(file.chunks(), b""))
    if not match:
        return file
    head = shebang(interpreter, (match[1] or b"").decode("ascii", "replace").strip())
    found = Headed(head, match.end(), file)
    return replace(found, sha256=sha256_of(found))


def shebang(interpreter: str, more: str = "") -> bytes:
    """The first line of a script, or three: the kernel takes 127 characters without a space.

    What is longer goes through a shell, as pip and uv do it.
    """
    words = " ".join(filter(None, (interpreter, more)))
    if len(words) + 2 <= _LONGEST and " " not in interpreter:
        return f"#!{words}\n".encode()
    more = f" {more}" if more else ""
    return f"""#!/bin/sh\n'''exec' '{interpreter}'{more} "$0" "$@"\n' '''\n""".encode()
