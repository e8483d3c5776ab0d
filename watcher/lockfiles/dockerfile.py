"""Dockerfiles: the images that they stand on and copy from are pins, by digest or by their tag alone."""

from collections.abc import Mapping

from watcher.dockerfile.parse import parse
from watcher.dockerfile.stages import Mention, mentions
from watcher.errors import LockfileUnreadable
from watcher.image import Reference
from watcher.pin import Pin
from watcher.source import Source


class Dockerfile:
    """A Dockerfile, read as a lockfile. What an image is called is the package, and its digest is the version.

    A name that only a build argument completes cannot be known here, and is no pin.
    """

    ecosystem = "oci"

    def also(self, text: str, path: str) -> tuple[str, ...]:
        return ()

    def pins(self, text: str, path: str, manifests: Mapping[str, str]) -> tuple[Pin, ...]:
        named = (reference_of(mention) for mention in mentions(parse(text, path)))
        pins = (
            Pin(ecosystem=self.ecosystem, package=name_of(one), version=str(one.digest or ""), lock=path)
            for one in named
            if one is not None
        )
        return tuple(dict.fromkeys(pins))

    def sources(self, text: str, path: str, manifests: Mapping[str, str]) -> tuple[Source, ...]:
        return ()


def reference_of(mention: Mention) -> Reference | None:
    """The image that is meant; None for what is no image's name."""
    try:
        return Reference.parse(mention.name)
    except ValueError:
        return None


def name_of(reference: Reference) -> str:
    """What the image is called without its digest: the name that stays."""
    return str(Reference(reference.repository, reference.tag))


def base_of(text: str, path: str) -> Reference:
    """The image that the last stage begins with. A `LockfileUnreadable` if that is none."""
    bases = [reference_of(one) for one in mentions(parse(text, path)) if one.is_base]
    if not bases or bases[-1] is None:
        raise LockfileUnreadable(path, "", "FROM host/path:tag@sha256:… in its last stage", "nothing such")
    return bases[-1]
