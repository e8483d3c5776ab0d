"""What an image is made from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from watcher.dockerfile.settings import DockerfileSettings
from watcher.image import Digest, Platform
from watcher.settings import ImageSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What an image is made from: the files of `commit` in the directory `tree`.

    `previous` is the image that was built last, if the ledger knows one; else one of the commits in `parents` is looked
    for by its tag. `changed` tells which files differ between two commits (None: it cannot). `classic` is the share of
    hosts that download again what lies above a change.
    """

    image: ImageSettings
    tree: Path
    commit: str
    committed_at: datetime
    source: str = ""
    previous: Digest | None = None
    parents: Sequence[str] = ()
    changed: Callable[[str, str], Sequence[str] | None] = lambda _before, _after: None
    classic: float = 1.0

    @property
    def settings(self) -> DockerfileSettings:
        return self.image.dockerfile or DockerfileSettings()

    @property
    def platform(self) -> Platform:
        return Platform.parse(self.image.platform)

    @property
    def tag(self) -> str:
        return tag_of(self.commit)


def tag_of(commit: str) -> str:
    """The tag of a commit's image."""
    return f"commit-{commit[:12]}"
