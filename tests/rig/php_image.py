"""A base image with PHP and Composer besides Python: this machine's own, as `base_image` has the Python."""

import gzip
import platform
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.rig.base_image import base_image, libraries
from tests.rig.image import Entry, File, Link, layer, publish
from tests.rig.process import need
from workers.oci.layout import LayoutStore
from workers.oci.manifest import Manifest
from workers.oci.store import small_blob

_TAG = "latest"
_EXTENSIONS = ("ctype", "iconv", "intl", "mbstring", "phar", "tokenizer")
_LARGEST = 1_000_000_000


def php_image(directory: Path, more: Sequence[bytes] = (), path: str = "", **run: Any) -> str:
    """Makes the image in an OCI layout, and gives its address as settings have it.

    `more` are layers on top of it, `path` stands before its PATH, and `run` are other keys of its configuration.
    """
    need("php", "composer", "ldd")
    base = base_image()
    here = LayoutStore(base.directory)
    raw = here.manifest(base.digest)
    assert raw is not None
    below = [gzip.decompress(small_blob(blob, here, _LARGEST)) for blob in Manifest.parse(raw, "").layers]
    publish(
        LayoutStore(directory),
        [*below, layer(dict(_php())), *more],
        tag=_TAG,
        architecture={"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
        Env=[f"PATH={path}/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "COMPOSER_HOME=/tmp/composer"],
        **run,
    )
    return f"oci:{directory}:{_TAG}"


def _php() -> Iterator[tuple[str, Entry]]:
    program = Path(str(shutil.which("php"))).resolve()
    said = subprocess.run(["php", "-r", "echo ini_get('extension_dir');"], capture_output=True, text=True, check=True)
    extensions = [Path(said.stdout) / f"{name}.so" for name in _EXTENSIONS]
    shared = [path for path in extensions if path.exists()]
    ini = "".join(f"extension={path}\n" for path in shared)
    # Debian's PHP has its time zones from the system, and does not start without them.
    zones = Path("/usr/share/zoneinfo")
    for path in filter(Path.is_file, (zones / name for name in ("UTC", "Etc/UTC", "zone.tab", "zone1970.tab"))):
        yield str(path).lstrip("/"), path.read_bytes()
    for path, content in libraries([program, *shared]):
        yield str(path).lstrip("/"), File(content)
    for path in shared:
        yield str(path).lstrip("/"), path.read_bytes()
    yield "usr/lib/toplayer-php", File(program.read_bytes())
    # Its own configuration is named by no directory that every build of PHP looks into.
    yield "usr/local/etc/php.ini", ini
    yield "usr/bin/php", File(b'#!/bin/sh\nexec /usr/lib/toplayer-php -c /usr/local/etc/php.ini "$@"\n')
    yield "usr/bin/env", Link("/bin/busybox")
    yield "usr/bin/unzip", Link("/bin/busybox")
    composer = Path(str(shutil.which("composer"))).resolve()
    yield str(composer).lstrip("/"), File(composer.read_bytes())
    library = Path("/usr/share/php")
    for path in sorted(library.rglob("*")) if (library / "Composer").is_dir() else ():
        if path.is_file():
            yield str(path).lstrip("/"), path.read_bytes()
