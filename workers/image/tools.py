"""What the builder is given to build packages with that have no wheel."""

from dataclasses import dataclass
from pathlib import Path

from workers.image.base import Base
from workers.image.elsewhere import Checkout
from workers.image.errors import BuildRefused
from workers.image.workshop import Resolve


def _nobody(address: str, *_: object) -> None:
    raise BuildRefused(address, "there is nobody to fetch it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What fetches packages from git (`checkout`), and what they are built with.

    `base` is the sandbox's, where it is not the image's own; `cache` a directory for what was built.
    """

    base: Base | None = None
    resolve: Resolve = lambda _: ()
    checkout: Checkout = _nobody
    cache: Path | None = None
