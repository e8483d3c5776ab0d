"""What an image is made from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Self

from watcher.dockerfile.settings import DockerfileSettings
from watcher.image import Digest, Platform
from watcher.settings import ImageSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What an image is made from: the files of `commit` in the directory `tree`.

    `previous` is the image that was built last, if the ledger knows one; else one of the commits in `parents` is looked
    for by its tag. `changed` tells which files differ between two commits (None: it cannot). `classic` is the share of
    hosts that download again what lies above a change. `is_part`: it is one of several platforms of an image.
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
    is_part: bool = False

    def on(self, platform: str, _made: Sequence[Digest] = ()) -> Self:
        """The same for one of its platforms. What others have of it, the engine has kept."""
        return replace(self, image=self.image.on(platform), is_part=len(self.image.every_platform) > 1)

    @property
    def settings(self) -> DockerfileSettings:
        return self.image.dockerfile or DockerfileSettings()

    @property
    def platform(self) -> Platform:
        return Platform.parse(self.image.platform)

    @property
    def tag(self) -> str:
        """The name of the image in its repository. An engine pushes under a tag and not by digest, so a part has one of
        its own: under that of the commit nothing is to be seen until all of them are there."""
        return f"{tag_of(self.commit)}-{self.platform.in_tag}" if self.is_part else tag_of(self.commit)

    @property
    def called(self) -> str:
        """Its file, and of several platforms the one that it is for: for people."""
        return f"{self.settings.file} for {self.platform}" if self.is_part else self.settings.file


def tag_of(commit: str) -> str:
    """The tag of a commit's image."""
    return f"commit-{commit[:12]}"
