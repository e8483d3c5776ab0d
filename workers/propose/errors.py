"""What can go wrong between a bump and its commit."""

from watcher.errors import Refused, Temporary, Unfit


class LockRefused(Unfit):
    """The lock cannot move: something else in it is in the way, or it is not of a kind that can be moved safely."""

    def __init__(self, lock: str, package: str, version: str, why: str, hint: str = "") -> None:
        self.lock, self.package, self.version, self.why, self.hint = lock, package, version, why, hint
        super().__init__(lock, package, version, why, hint)

    def __str__(self) -> str:
        return f"{self.lock}: {self.package} cannot move to {self.version}: {self.why}"


class NotYetThere(Temporary):
    """The release is so young that the index may not have all of it: what is missing now can be there in a minute."""

    def __init__(self, package: str, version: str, why: str) -> None:
        self.package, self.version, self.why = package, version, why
        super().__init__(package, version, why)

    def __str__(self) -> str:
        return f"{self.package} {self.version} is not yet all there: {self.why}"


class InterpreterMissing(Temporary):
    """The lock tool needs a Python that is not on this machine, and could not download one."""

    hint = "install that Python where toplayer works, or let it reach the place where uv downloads from"

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)

    def __str__(self) -> str:
        return f"uv has no Python to lock with: {self.why} ({self.hint})"


class EngineAway(Temporary):
    """The Docker engine in which lock tools are to run does not do what it is asked."""

    def __init__(self, engine: str, why: str) -> None:
        self.engine, self.why = engine, why
        super().__init__(engine, why)

    def __str__(self) -> str:
        return f"the engine at {self.engine} cannot run a lock tool: {self.why}"


class BranchTaken(Refused):
    """A person has committed to a branch of ours. It is theirs now."""

    hint = "merge or delete the branch; the next bump of the package makes a fresh one"

    def __init__(self, where: str, branch: str, by: str) -> None:
        self.where, self.branch, self.by = where, branch, by
        super().__init__(where, branch, by)

    def __str__(self) -> str:
        return f"the branch `{self.branch}` of {self.where} has a commit by {self.by}, and is not overwritten"
