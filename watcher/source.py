"""A distribution that a lock takes from no index: from git, from an address, or from the repository itself."""

import posixpath
import re
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

GIT, URL, PATH = "git", "url", "path"
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Source:
    """Where a distribution is.

    `kind` is `git` (`at` is an address, and `commit` one there), `url` (`at` is the address of an archive) or `path`
    (`at` is a file or a directory of the repository, "." its root). `directory` is the part of it that counts. A source
    that is `editable` stays where it is, and is only linked to. `package` is empty where only the source can tell, and
    so is `version`. `lock`, `marker`, `hashes`, `extras` and `groups` are as with a `Pin`.
    """

    package: str
    lock: str
    kind: str
    at: str
    version: str = ""
    commit: str = ""
    directory: str = ""
    editable: bool = False
    marker: str = ""
    hashes: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Of a directory of the repository, the part that counts: "." for the root."""
        return posixpath.normpath(posixpath.join(self.at, self.directory))

    def __str__(self) -> str:
        return f"{self.package or self.at} ({self.kind})"


def of_address(address: str) -> dict[str, str] | None:
    """What an address as pip and uv write them (PEP 508, PEP 610) says: `kind`, `at`, `commit`, `directory`.

    `git+https://git.example/lib@<commit>#subdirectory=x`, or the address of an archive. None for one that is neither,
    or that names a branch in the place of a commit: what it is today, it is not tomorrow.
    """
    parts = urlsplit(address)
    fragment = {key: values[0] for key, values in parse_qs(parts.fragment).items()}
    found = {"directory": fragment.get("subdirectory", "")}
    if parts.scheme.startswith("git+"):
        path, at, commit = parts.path.rpartition("@")
        if not at or not _COMMIT.fullmatch(commit):
            return None
        clean = parts._replace(scheme=parts.scheme.removeprefix("git+"), path=path, query="", fragment="")
        return found | {"kind": GIT, "at": urlunsplit(clean), "commit": commit}
    if parts.scheme in ("http", "https"):
        return found | {"kind": URL, "at": urlunsplit(parts._replace(fragment=""))}
    return None


def of_uv(address: str) -> dict[str, str] | None:
    """The same, of an address as uv.lock has it: `https://git.example/lib?rev=main&subdirectory=x#<commit>`."""
    parts = urlsplit(address)
    query = {key: values[0] for key, values in parse_qs(parts.query).items()}
    if not _COMMIT.fullmatch(parts.fragment):
        return None
    clean = urlunsplit(parts._replace(query="", fragment=""))
    return {"kind": GIT, "at": clean, "commit": parts.fragment, "directory": query.get("subdirectory", "")}


def local(directory: str, name: str) -> str:
    """A path (or a `file:` address) as seen from a directory of the repository; empty if it leads out of it."""
    if name.startswith("file:"):
        name = unquote(urlsplit(name).path)
    path = posixpath.normpath(posixpath.join(directory, name))
    return "" if path == ".." or path.startswith(("/", "../")) or "\0" in path else path
