"""What the commands share: settings, ledger and hands, each made by the first command that asks for it."""

from dataclasses import dataclass, field
from pathlib import Path

from watcher import config
from watcher.cli.hands import Hands
from watcher.errors import NotFound
from watcher.ledger import Ledger
from watcher.settings import Settings


@dataclass(slots=True)
class Context:
    """One command line's view of the service."""

    hands: Hands
    named: str | None
    _settings: Settings | None = field(default=None)
    _ledger: Ledger | None = field(default=None)

    @property
    def settings(self) -> Settings:
        """The settings, checked whole."""
        if self._settings is None:
            self._settings = config.load(config.find(self.named))
        return self._settings

    @property
    def ledger(self) -> Ledger:
        """The ledger that the settings name; its directory is made if it is ours."""
        if self._ledger is None:
            Path(self.settings.toplayer.state).mkdir(parents=True, exist_ok=True)
            self._ledger = Ledger(self.settings.ledger_url)
        return self._ledger

    def apps(self, name: str | None) -> list[str]:
        """The app of this name, or all of them. `NotFound` if there is none."""
        known = list(self.settings.apps)
        if name is None:
            return known
        if name not in known:
            raise NotFound("app", name, known)
        return [name]

    def close(self) -> None:
        """Gives the ledger back."""
        if self._ledger is not None:
            self._ledger.close()
