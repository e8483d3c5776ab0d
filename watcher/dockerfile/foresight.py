"""What the next build of a Dockerfile's app will make anew, and what its hosts will pull, before anything is built."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from watcher.dockerfile.predict import Prediction, Pull
from watcher.dockerfile.told import told
from watcher.platforms import together


@dataclass(frozen=True, slots=True, kw_only=True)
class Foresight:
    """A build of `commit` on top of `image` (empty: there is none to start from). `classic` is the share of hosts that
    download again what lies above a change, as far as the ledger knows. `others` are the same for the other ones of
    several platforms."""

    commit: str
    image: str
    prediction: Prediction
    classic: float = 1.0
    platform: str = "linux/amd64"
    others: "tuple[Foresight, ...]" = ()

    def lines(self) -> Iterator[str]:
        """For people."""
        yield from together({one.platform: tuple(one._own_lines()) for one in (self, *self.others)})

    def _own_lines(self) -> Iterator[str]:
        if not self.image:
            yield "no image to start from: everything is made"
        else:
            yield from told(self.prediction, self.classic)

    def json(self) -> dict[str, Any]:
        """For machines. Sizes are bytes, compressed; those of steps are of the image before."""
        found = self.prediction
        return {
            "commit": self.commit,
            "platform": self.platform,
            "image": self.image,
            "entries": {path: [step.instruction.first for step in steps] for path, steps in found.entries.items()},
            "steps": [
                {
                    "line": one.step.instruction.first,
                    "stage": one.step.stage.name,
                    "text": one.step.instruction.text,
                    "fate": one.fate.name.lower(),
                    "why": one.why,
                    "size": one.layer.size if one.layer else None,
                    "in_image": one.in_image,
                }
                for one in found.steps
            ],
            "classic": _bytes(found.classic),
            "containerd": _bytes(found.containerd),
            "classic_share": self.classic,
            "others": [one.json() for one in self.others],
        }


def _bytes(pull: Pull) -> dict[str, int]:
    return {"least": pull.least, "most": pull.most}
