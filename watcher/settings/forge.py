"""Where branches become pull requests."""

import re
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import model_validator

from watcher.fields import (
    Model,
    Url,
    matching,
)
from watcher.secret import Secret


class GitHubAppSettings(Model):
    """A GitHub App in place of a token: its id, and its private key (PEM)."""

    id: Annotated[str, matching(r"[A-Za-z0-9.]{1,40}", "the id of a GitHub App, as a text")]
    key: Secret


class ForgeSettings(Model):
    """Where branches of ours become pull requests, and what these look like.

    `url` is the forge's address in a browser. `project` is what it calls the repository; without it, the address of the
    repository tells. `draft`: until the checks are green. `automerge = "checks"`: merged by `method` once the required
    checks of the commit are green, if the forge lets us. A reviewer with a slash (`team/backend`) is a team.
    """

    kind: Literal["github", "gitlab", "gitea"]
    url: Url | None = None
    project: Annotated[str, matching(r"([A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+)?", '"owner/name"')] = ""
    token: Secret | None = None
    app: GitHubAppSettings | None = None
    labels: tuple[Annotated[str, matching(r"[^,\x00-\x1f]{1,50}", "a label without commas")], ...] = ()
    reviewers: tuple[Annotated[str, matching(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)?", "a user, or a team")], ...] = ()
    draft: bool = False
    automerge: Literal["never", "checks"] = "never"
    method: Literal["merge", "squash", "rebase"] = "merge"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.token is None) == (self.app is None):
            raise ValueError("expected a token or, on GitHub, an app; one of the two")
        if self.app is not None and self.kind != "github":
            raise ValueError(f"app: expected a token, because {self.kind} has no GitHub Apps")
        if self.kind == "gitea" and self.url is None:
            raise ValueError('url: expected the address of the forge, such as "https://codeberg.example"')
        if self.kind == "gitlab" and any("/" in reviewer for reviewer in self.reviewers):
            raise ValueError("reviewers: expected users, because GitLab does not ask teams for a review")
        return self

    @property
    def address(self) -> str:
        """The forge's address in a browser, without a slash at its end."""
        return (self.url or _FORGES[self.kind]).rstrip("/")

    @property
    def wants_checks(self) -> bool:
        """Whether anything depends on the checks."""
        return self.draft or self.automerge != "never"

    def project_of(self, repository: str) -> str:
        """The project's name on the forge: `owner/name`. A `ValueError` if the repository's address does not tell."""
        if self.project:
            return self.project
        path = urlsplit(repository).path if "://" in repository else repository.partition(":")[2]
        path = path.removeprefix(urlsplit(self.address).path).strip("/").removesuffix(".git")
        if repository.startswith(("/", ".", "file:")) or not re.fullmatch(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+", path):
            raise ValueError('project: expected "owner/name", because the address of the repository does not tell')
        if self.kind != "gitlab" and path.count("/") != 1:
            raise ValueError(f'project: expected "owner/name", got {path!r} from the address of the repository')
        return path


_FORGES = {"github": "https://github.com", "gitlab": "https://gitlab.com"}
