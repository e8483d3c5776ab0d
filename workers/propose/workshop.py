"""Where the lock tools of one app work."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from watcher.settings import AppSettings, IndexSettings
from watcher.wheels import Wheels
from workers.propose.box import Box
from workers.propose.composer import Composer
from workers.propose.uv import Uv


@dataclass(frozen=True, slots=True)
class Workshop:
    """The tools, each set up for the app."""

    uv: Uv
    composer: Composer

    @classmethod
    def of(cls, app: AppSettings, indexes: Iterable[IndexSettings], state: Path, box: Box | None = None) -> Self:
        """The tools for `app`, asking the indexes of their kind, or without any the public one.

        The last one that is for every package is the one for what nobody else has. What is in the `box` is run there.
        """
        known = list(indexes)
        pypi = [index for index in known if index.kind == "pypi"] or [IndexSettings(kind="pypi")]
        usual = [index for index in pypi if not index.only and not index.explicit] or pypi
        last = usual[-1]
        return cls(
            uv=Uv(state, last, Wheels.of(app.image), tuple(index for index in pypi if index is not last), box),
            composer=Composer(state, tuple(index for index in known if index.kind == "packagist"), box),
        )
