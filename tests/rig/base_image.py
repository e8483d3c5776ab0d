"""A base image without a hub: this machine's own CPython, the libraries that it needs, and a shell.

It is what `python:3.x-slim` is to most people: the interpreter is `/usr/local/bin/python3`. It takes some seconds to
make, so it is kept in the machine's temporary directory for the next time.
"""

import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.rig.image import Entry, File, Link, busybox, layer, publish
from tests.rig.process import lack, need
from watcher.image import Digest
from workers.oci.layout import LayoutStore
from workers.oci.manifest import OCI_MANIFEST, Manifest, digest_of
from workers.oci.store import Store, copy_blob

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
_TAG = "latest"
_LEFT_OUT = (
    "__pycache__",
    "test",
    "tests",
    "idlelib",
    "tkinter",
    "turtledemo",
    "ensurepip",
    "lib2to3",
    "site-packages",
)


@dataclass(frozen=True)
class BaseImage:
    """An image in an OCI layout. `address` is how settings name it; `python` is its interpreter's version (`3.11`)."""

    directory: Path
    digest: Digest
    python: str = PYTHON

    @property
    def address(self) -> str:
        return f"oci:{self.directory}:{_TAG}"

    def copied_to(self, store: Store) -> Manifest:
        """The image's manifest, once the image is in another store, too."""
        here = LayoutStore(self.directory)
        raw = here.manifest(self.digest)
        assert raw is not None
        manifest = Manifest.parse(raw, self.address)
        with tempfile.TemporaryDirectory() as scratch:
            for blob in (manifest.config, *manifest.layers):
                copy_blob(blob, here, store, Path(scratch))
        store.put_manifest(raw, OCI_MANIFEST, _TAG)
        return manifest


@functools.cache
def base_image() -> BaseImage:
    """The base image, made now or on an earlier day by the same recipe from the same interpreter."""
    need("busybox", "ldd")
    recipe = hashlib.sha256(f"{sys.version}{sys.base_prefix}".encode() + Path(__file__).read_bytes()).hexdigest()[:12]
    home = Path(tempfile.gettempdir()) / f"toplayer-base-{os.getuid()}-{PYTHON}-{recipe}"
    if not home.exists():
        new = Path(tempfile.mkdtemp(prefix=f"{home.name}-"))
        _make(LayoutStore(new))
        try:
            new.rename(home)
        except OSError:  # somebody else was faster
            shutil.rmtree(new)
    if home.stat().st_uid != os.getuid():
        lack(f"{home} belongs to somebody else")
    raw = LayoutStore(home).manifest(_TAG)
    assert raw is not None
    return BaseImage(home, digest_of(raw))


def _make(store: LayoutStore) -> None:
    stdlib = Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix, "base": sys.base_prefix}))
    program = Path(sys._base_executable).resolve()  # type: ignore[attr-defined]  # a virtual environment's own base
    binaries = [program, *stdlib.glob("lib-dynload/*.so")]
    system: dict[str, Entry] = {f"{path}".lstrip("/"): File(source) for path, source in libraries(binaries)}
    python: dict[str, Entry] = {
        f"usr/local/bin/python{PYTHON}": File(_stripped(program)),
        "usr/local/bin/python3": Link(f"python{PYTHON}"),
        "usr/local/bin/python": Link("python3"),
        f"usr/local/lib/python{PYTHON}/site-packages": None,
    }
    for path in _kept(stdlib):
        content = _stripped(path) if path.suffix == ".so" else path.read_bytes()
        python[f"usr/local/lib/python{PYTHON}/{path.relative_to(stdlib)}"] = content
    publish(
        store,
        [busybox(system), layer(python)],
        tag=_TAG,
        architecture={"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
        Env=["PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"],
        Cmd=["python3"],
        WorkingDir="/",
    )


def _kept(stdlib: Path) -> Iterator[Path]:
    for path in sorted(stdlib.rglob("*")):
        parts = path.relative_to(stdlib).parts
        if path.is_file() and not any(part in _LEFT_OUT or part.startswith("config-") for part in parts):
            yield path


def libraries(binaries: list[Path]) -> Iterator[tuple[Path, bytes]]:
    """What the dynamic loader loads for these, and the loader, at paths where it looks without a cache."""
    said = subprocess.run(["ldd", *map(str, binaries)], capture_output=True, text=True, check=True).stdout
    found: dict[str, Path] = {}
    for line in said.splitlines():
        name, _, rest = line.strip().partition(" => ")
        place = (rest or name).split(" (")[0]
        if place.startswith("/") and not line.endswith(":"):
            found[name if rest else place] = Path(place)
    libc = found["libc.so.6"].parent
    for name, path in sorted(found.items()):
        # The loader has a path of its own in every program; libraries all go where the C library is.
        yield (Path(name) if name.startswith("/") else libc / name), _stripped(path)


def _stripped(path: Path) -> bytes:
    """Without the debugger's part, if binutils are here."""
    if shutil.which("strip") is None:
        return path.read_bytes()
    with tempfile.NamedTemporaryFile() as out:
        done = subprocess.run(["strip", "--strip-unneeded", "-o", out.name, str(path)], capture_output=True)
        return Path(out.name).read_bytes() if done.returncode == 0 else path.read_bytes()
