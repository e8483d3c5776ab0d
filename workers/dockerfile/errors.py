"""What stands between a Dockerfile and its image."""

from watcher.errors import Refused, Temporary


class BuildRefused(Refused):
    """`what` (a setting, a base, an engine) cannot be built with, because of `why`."""

    def __init__(self, what: str, why: str, hint: str = "") -> None:
        self.what, self.why, self.hint = what, why, hint
        super().__init__(what, why, hint)

    def __str__(self) -> str:
        return f"{self.what}: {self.why}"


class BuildFailed(Refused):
    """A step of the Dockerfile failed. `said` is its name and the last lines that it wrote, and nothing else."""

    hint = "nothing was pushed; mend the Dockerfile or what it runs, and commit"

    def __init__(self, file: str, said: str) -> None:
        self.file, self.said = file, said
        super().__init__(file, said)

    def __str__(self) -> str:
        return f"{self.file}: {self.said}"


class BuildCutOff(Temporary):
    """A step, or an image that it stands on, could not reach something far away. `said` is its name and the last lines
    that it wrote."""

    hint = "nothing was pushed; it is tried again"

    def __init__(self, file: str, said: str) -> None:
        self.file, self.said = file, said
        super().__init__(file, said)

    def __str__(self) -> str:
        return f"{self.file}: {self.said}"


class BuildTimedOut(Temporary):
    """The build did not finish in its time (`seconds`); `step` is what it was at."""

    hint = "see `deadline` in apps.*.image.dockerfile; nothing was pushed, and nothing is left running"

    def __init__(self, file: str, seconds: float, step: str) -> None:
        self.file, self.seconds, self.step = file, seconds, step
        super().__init__(file, seconds, step)

    def __str__(self) -> str:
        return f"{self.file}: did not finish within {self.seconds:g} s; it was at {self.step or 'no step yet'}"


class BuildGivenUp(Refused):
    """A build that may have failed by no fault of its own has done so `times` times in a row; `said` is the last."""

    def __init__(self, times: int, said: str, hint: str = "") -> None:
        self.times, self.said, self.hint = times, said, hint
        super().__init__(times, said, hint)

    def __str__(self) -> str:
        return f"given up after {self.times} tries: {self.said}"


class EngineGone(Temporary):
    """The Docker engine that builds does not answer, or went away."""

    def __init__(self, address: str, why: str) -> None:
        self.address, self.why = address, why
        super().__init__(address, why)

    def __str__(self) -> str:
        return f"the Docker engine at {self.address} does not answer: {self.why}"
