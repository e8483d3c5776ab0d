"""What an image says of itself: https://github.com/opencontainers/image-spec/blob/main/annotations.md."""

import contextlib
import json
import tomllib
from collections.abc import Mapping

from watcher.inert import inert
from workers.image.base import Base
from workers.image.recipe import Recipe
from workers.oci.manifest import OCI_KEYS, digest_of

LOCK = "io.toplayer.lock"
"""The digest of the lock that the image was made of."""
_LARGEST = 1024 * 1024


def labels(recipe: Recipe, base: Base) -> dict[str, str]:
    """The labels in the image's configuration."""
    found = {
        f"{OCI_KEYS}title": recipe.app,
        f"{OCI_KEYS}version": _version(recipe),
        f"{OCI_KEYS}created": recipe.committed_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        f"{OCI_KEYS}revision": recipe.commit,
        f"{OCI_KEYS}source": recipe.source,
        LOCK: _lock_digest(recipe),
        f"{OCI_KEYS}base.name": base.name if base.digest else "",
        f"{OCI_KEYS}base.digest": base.digest or "",
    }
    return {name: text for name, text in found.items() if text}


def annotations(found: Mapping[str, str]) -> dict[str, str]:
    """What of the labels stands in the manifest, too, where registries and their searches look."""
    return {name: text for name, text in found.items() if name.startswith(OCI_KEYS)}


def _version(recipe: Recipe) -> str:
    """The version that the project itself says it has, if it does so in words and not by code."""
    for name, read in (("pyproject.toml", _of_python), ("composer.json", _of_php)):
        with contextlib.suppress(OSError, ValueError, AttributeError, RecursionError):
            path = recipe.tree / name
            said = read(path.read_text(encoding="utf-8")) if path.stat().st_size < _LARGEST else ""
            if isinstance(said, str) and said:
                return inert(said, 100)
    return ""


def _of_python(text: str) -> object:
    return tomllib.loads(text).get("project", {}).get("version")


def _of_php(text: str) -> object:
    return json.loads(text).get("version")


def _lock_digest(recipe: Recipe) -> str:
    """Of the only lock its bytes' digest, of several that of their digests, by path."""
    paths = [path for lock in recipe.every_lock if (path := recipe.tree / lock).is_file()]
    found = [digest_of(path.read_bytes()) for path in paths]
    return found[0] if len(found) == 1 else digest_of("\n".join(found).encode()) if found else ""
