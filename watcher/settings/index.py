"""Where releases come from, and what is known against them."""

from datetime import timedelta
from typing import Literal, Self

from pydantic import model_validator

from watcher.fields import (
    Duration,
    Globs,
    Model,
    Url,
)
from watcher.secret import Secret


class IndexSettings(Model):
    """An index of packages. Without `url` it is the public index of its kind.

    `only` are globs: these packages come from this index and from no other. An `explicit` index answers for what a lock
    has from it, and for nothing else. `advisories`: whether sources of advisories may know the names of its packages.
    `vulnerabilities` is the address of its JSON API, where it has one that tells what is wrong with a release.

    `auth` is how a `password` is shown. `oci` stands for all registries of images: each is asked as `registries` says.
    """

    kind: Literal["oci", "packagist", "pypi"]
    url: Url | None = None
    username: str = ""
    password: Secret | None = None
    auth: Literal["basic", "bearer", "gitlab-token"] = "basic"
    private: bool = False
    only: Globs = ()
    explicit: bool = False
    advisories: bool | None = None
    vulnerabilities: Url | None = None

    @model_validator(mode="after")
    def _asked_as_registries_say(self) -> Self:
        if self.kind == "oci" and (self.url or self.username or self.password or self.advisories):
            raise ValueError('kind: expected nothing beside "oci", because [registries] says how to reach each of them')
        return self

    @model_validator(mode="after")
    def _told_as_pypi_tells(self) -> Self:
        if self.vulnerabilities and self.kind != "pypi":
            raise ValueError(f'vulnerabilities: expected nothing beside "{self.kind}", which tells them by itself')
        return self

    @property
    def is_everybodys(self) -> bool:
        """Whether it is the public index of its kind, which the whole world asks."""
        return self.url is None and self.kind != "oci"

    @property
    def is_public(self) -> bool:
        """Whether the names of its packages may leave the house: by default those of the public index only."""
        return self.is_everybodys if self.advisories is None else self.advisories


class AdvisorySettings(Model):
    """A source of advisories. Without `url` it is the public one of its kind."""

    kind: Literal["osv"]
    url: Url | None = None
    every: Duration = timedelta(hours=1)

    @property
    def is_everybodys(self) -> bool:
        """Whether it is the public source of its kind."""
        return self.url is None
