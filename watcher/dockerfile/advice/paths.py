"""Places in an image, as far as a Dockerfile tells them.

What a base image works in is not known, nor what a variable will be: such a place begins with a name of its own, that
has a `?` in front. Two places with different beginnings may be the same.
"""

import posixpath

ROOT = "/"
INSTALLED = (
    *("/bin", "/etc", "/lib", "/lib64", "/root", "/run", "/sbin", "/usr/bin", "/usr/include", "/usr/lib", "/usr/lib64"),
    *("/usr/libexec", "/usr/local", "/usr/sbin", "/usr/share"),
)
"""Where installers read settings and leave files. (`/usr/src` is where people put their code.)"""
SYSTEM = (*INSTALLED, "/boot", "/var")
_MERGED = ("/bin/", "/sbin/", "/lib/", "/lib64/")
_UNKNOWN = "?"


def unknown(number: int) -> str:
    """A place that nobody knows, other than those with another number."""
    return f"{_UNKNOWN}{number}"


def within(directory: str, path: str) -> str:
    """Where a path leads from a directory."""
    if "$" in path or path.startswith("~"):
        return f"{_UNKNOWN}{path}"
    found = posixpath.normpath(posixpath.join(directory, path))
    if found.startswith("//"):
        found = found[1:]
    if found[:1] not in ("/", _UNKNOWN):
        # Above the one that nobody knows.
        return f"{_UNKNOWN}{directory}/{path}"
    return found


def known(path: str) -> bool:
    """Whether it is known where that is, whatever the base image works in."""
    return path.startswith("/")


def overlap(one: str, other: str) -> bool:
    """Whether one of two places may be the other, or be in it."""
    if _beginning(one) != _beginning(other):
        return True
    first, second = _merged(one), _merged(other)
    return first.startswith(second) or second.startswith(first)


def of_system(path: str) -> bool:
    """Whether what lies there may be what installers read or leave."""
    return any(overlap(path, one) for one in SYSTEM)


def written(path: str, directory: str) -> str:
    """How to say a place where `directory` is worked in; empty if that cannot be said."""
    if known(path):
        return path
    if _beginning(path) != _beginning(directory) or "$" in path:
        return ""
    return posixpath.relpath(path, directory)


def _merged(path: str) -> str:
    """With a slash behind it; and many bases have `/bin` where `/usr/bin` is."""
    found = path.rstrip("/") + "/"
    return f"/usr{found}" if found.startswith(_MERGED) else found


def _beginning(path: str) -> str:
    return path.partition("/")[0]
