"""What makes a directory of packages a virtual environment: PEP 405, as `python -m venv` leaves it, without programs.

The interpreter is the base's, by an absolute symbolic link. So the environment works in a container, and unpacked into
any directory of a machine that has an interpreter of this version at this place.
"""

import posixpath
from collections.abc import Iterator

from watcher.settings import ImageSettings
from watcher.settings.image import BYTECODE_CACHE
from workers.image.entry import Entry
from workers.image.errors import BuildRefused
from workers.image.install import site_packages

_LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32", "var/run", "var/lock")


def venv(image: ImageSettings) -> Iterator[Entry]:
    """The entries of the environment itself. A `BuildRefused` if it would be in the way of the base."""
    check_places(image)
    root, version = image.venv.lstrip("/"), ".".join(image.python.split(".")[:2])
    lines = (
        f"home = {posixpath.dirname(image.interpreter)}",
        "include-system-site-packages = false",
        f"version = {image.python}",
    )
    yield Entry(f"{root}/pyvenv.cfg", "".join(f"{line}\n" for line in lines).encode())
    yield Entry(f"{root}/bin/python", link=image.interpreter)
    yield Entry(f"{root}/bin/python3", link="python")
    yield Entry(f"{root}/bin/python{version}", link="python")
    yield Entry(f"{root}/lib64", link="lib")
    yield Entry(f"{root}/{site_packages(image)}")
    if image.bytecode == "cache":
        yield Entry(BYTECODE_CACHE.lstrip("/"))


def check_places(image: ImageSettings) -> None:
    """Refuses places below directories that are symbolic links in every current base: a layer would replace them."""
    for name, place in (("venv", image.venv), ("code", image.code)):
        link = next((link for link in _LINKS if f"{place}/".startswith(f"/{link}/")), None)
        if link or place == "/":
            why = f"/{link} is a symbolic link in most bases" if link else "the root belongs to the base"
            raise BuildRefused(f"image.{name}: {place}", why, "choose another place, /opt/… or /srv/… for instance")
