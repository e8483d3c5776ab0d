"""One application."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, model_validator

from watcher.fields import (
    Branch,
    Duration,
    Model,
    Name,
    Relative,
    without_password,
)
from watcher.lockfiles import ecosystem_of
from watcher.run import RunSettings
from watcher.settings.forge import ForgeSettings
from watcher.settings.git import GitSettings
from watcher.settings.image import ImageSettings
from watcher.settings.tools import LockToolSettings
from watcher.wishes import PolicySettings


class AppSettings(Model):
    """One application: where its lockfiles live, how they move, what is built and where it runs.

    `more_locks` are of other ecosystems than `lock`: an application in two languages has two. In no image is what the
    locks `in_step` have; but a package that moves in one of the others moves in them, too, in the same commit.
    """

    repository: Annotated[str, AfterValidator(without_password)]
    branch: Branch = "main"
    lock: Relative
    more_locks: tuple[Relative, ...] = ()
    in_step: tuple[Relative, ...] = ()
    propose: Literal["commit", "branch"] = "branch"
    survey: Duration = timedelta(minutes=1)
    git: GitSettings = GitSettings()
    forge: ForgeSettings | None = None
    policy: PolicySettings = PolicySettings()
    lock_tools: LockToolSettings = LockToolSettings()
    image: ImageSettings
    run: RunSettings = RunSettings()
    fleet: Name

    @property
    def locks(self) -> tuple[str, ...]:
        """All of its lockfiles."""
        return (self.lock, *self.more_locks)

    @property
    def pinned_in(self) -> tuple[str, ...]:
        """Every file that something is pinned in: the lockfiles, and what names the base."""
        return tuple(dict.fromkeys((*self.locks, *filter(None, (self.image.base_file,)))))

    def lock_of(self, ecosystem: str) -> str:
        """The file that pins the packages of an ecosystem."""
        return next((lock for lock in self.pinned_in if ecosystem_of(lock) == ecosystem), self.lock)

    def locks_of(self, ecosystem: str) -> tuple[str, ...]:
        """The same, and those that keep in step with it."""
        return (self.lock_of(ecosystem), *(lock for lock in self.in_step if ecosystem_of(lock) == ecosystem))

    @model_validator(mode="after")
    def _speaks(self) -> Self:
        kinds = [ecosystem_of(lock) for lock in self.locks]
        if len(set(kinds)) < len(kinds):
            hint = "in_step is for those that are in no image"
            raise ValueError(
                f"more_locks: expected one lockfile for each ecosystem, got {', '.join(self.locks)} ({hint})"
            )
        for number, lock in enumerate(self.in_step):
            if lock in self.locks or ecosystem_of(lock) not in kinds:
                raise ValueError(f"in_step[{number}]: expected another lockfile of {' or '.join(kinds)}, got {lock}")
        if "pypi" in kinds and not self.image.python:
            lock = self.lock_of("pypi")
            raise ValueError(f'image.python: expected a Python version such as "3.12", because of {lock}, got nothing')
        return self

    @model_validator(mode="after")
    def _compiles(self) -> Self:
        """Byte-code that outlives an image is told from that of the next one by the times of files, which have none."""
        image, ours = self.image, ["PYTHONPYCACHEPREFIX"]
        if image.builder != "layers" or not image.python:
            return self
        if image.bytecode == "cache":
            ours.append("PYTHONDONTWRITEBYTECODE")
        for place, env in (("image.env", image.env), ("run.env", self.run.env)):
            if name := next((name for name in ours if name in env), ""):
                raise ValueError(f'{place}.{name}: expected nothing, because image.bytecode = "cache" is there for it')
        return self

    @model_validator(mode="after")
    def _proposes(self) -> Self:
        if self.forge is None:
            return self
        if self.propose != "branch":
            raise ValueError('forge: expected propose = "branch", because a forge is for branches that people merge')
        try:
            self.forge.project_of(self.repository)
        except ValueError as error:
            raise ValueError(f"forge.{error}") from None
        return self
