"""What an image says of itself: https://github.com/opencontainers/image-spec/blob/main/annotations.md."""

from workers.image.base import Base
from workers.image.recipe import Recipe
from workers.oci.manifest import digest_of

LOCK = "io.toplayer.lock"
"""The digest of the lock that the image was made of."""
_OCI = "org.opencontainers.image"


def labels(recipe: Recipe, base: Base) -> dict[str, str]:
    """The labels in the image's configuration."""
    found = {
        f"{_OCI}.created": recipe.committed_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        f"{_OCI}.revision": recipe.commit,
        f"{_OCI}.source": recipe.source,
        LOCK: _lock_digest(recipe),
        f"{_OCI}.base.name": base.name if base.digest else "",
        f"{_OCI}.base.digest": base.digest or "",
    }
    return {name: text for name, text in found.items() if text}


def _lock_digest(recipe: Recipe) -> str:
    """Of the only lock its bytes' digest, of several that of their digests, by path."""
    paths = [path for lock in recipe.every_lock if (path := recipe.tree / lock).is_file()]
    found = [digest_of(path.read_bytes()) for path in paths]
    return found[0] if len(found) == 1 else digest_of("\n".join(found).encode()) if found else ""
