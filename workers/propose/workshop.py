"""Where the lock tools of one app work."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from watcher.settings import AppSettings, IndexSettings
from watcher.wheels import Wheels
from workers.propose.composer import Composer
from workers.propose.uv import Uv


@dataclass(frozen=True, slots=True)
class Workshop:
    """The tools, each set up for the app."""

    uv: Uv
    composer: Composer

    @classmethod
    def of(cls, app: AppSettings, indexes: Iterable[IndexSettings], state: Path) -> Self:
        """The tools for `app`, asking the first index of each kind, or without any the public one."""
        known: dict[str, list[IndexSettings]] = {}
        for index in indexes:
            known.setdefault(index.kind, []).append(index)
        pypi = known.get("pypi") or [IndexSettings(kind="pypi")]
        return cls(
            uv=Uv(state, pypi[0], Wheels.of(app.image)),
            composer=Composer(state, tuple(known.get("packagist", ()))),
        )
