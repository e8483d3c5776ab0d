"""What stands between a commit and its image."""

from watcher.errors import Refused


class BuildRefused(Refused):
    """`what` (a wheel, a file, a setting) cannot become part of an image, because of `why`."""

    def __init__(self, what: str, why: str, hint: str = "") -> None:
        self.what, self.why, self.hint = what, why, hint
        super().__init__(what, why, hint)

    def __str__(self) -> str:
        return f"{self.what}: {self.why}"
