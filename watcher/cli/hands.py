"""What the CLI has done by the other wing. `workers.main` hands it in, so that nothing here knows how."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from watcher.dockerfile.foresight import Foresight
from watcher.dockerfile.project import Project
from watcher.fleet import HostSettings
from watcher.layers.outlook import Outlook
from watcher.ledger import Ledger
from watcher.order import Lane
from watcher.settings import Settings


@dataclass(frozen=True, slots=True)
class Finding:
    """One check of `toplayer doctor`: what was looked at, whether it is well, and what to do if not."""

    subject: str
    well: bool
    said: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Adopted:
    """Settings (TOML) that make a container again, what could not be told apart in it, and what would be otherwise."""

    text: str
    unsure: tuple[str, ...] = ()
    differs: tuple[str, ...] = ()


class Hands(Protocol):
    """The doing half. Every method returns when its work is done, and raises only errors of toplayer."""

    def run(self, settings: Settings, ledger: Ledger, patience: timedelta, tell: Callable[[str], None]) -> None:
        """Surveys and polls everything, then looks and works here until nothing moves by itself any more."""
        ...

    def follow(self, settings: Settings, ledger: Ledger, patience: timedelta, tell: Callable[[str], None]) -> None:
        """Waits until nothing moves by itself any more: without a broker by working here, else for the service."""
        ...

    def refresh(
        self, settings: Settings, ledger: Ledger, apps: Sequence[str], tell: Callable[[str], None]
    ) -> Sequence[str]:
        """Surveys and polls now, and decides, but proposes and rolls nothing.

        Those that were not asked, because another process is asking them all the time.
        """
        ...

    def serve(self, settings: Settings, ledger: Ledger) -> None:
        """The embedded service, until it is told to stop by SIGTERM or SIGINT."""
        ...

    def worker(self, settings: Settings, concurrency: int, lanes: Sequence[Lane], log_level: str) -> int:
        """A Celery worker for each of these lanes, until they are told to stop; the worst exit code."""
        ...

    def beat(self, settings: Settings, log_level: str) -> None:
        """Celery beat, until it is told to stop."""
        ...

    def outlook(self, settings: Settings, ledger: Ledger, app: str) -> Outlook:
        """What the app's next image is made of, and how the layers of its newest one lie."""
        ...

    def foresee(self, settings: Settings, ledger: Ledger, app: str) -> Foresight:
        """What the next build of an app with a Dockerfile makes anew, and what its hosts pull."""
        ...

    def project(
        self, dockerfile: Path, context: Path, days: int, settings: Settings | None, ledger: Ledger | None, app: str
    ) -> Project:
        """The project around a Dockerfile: its files, its history, and with an `app` the layers of its newest image."""
        ...

    def doctor(self, settings: Settings, sentry: bool) -> Iterator[Finding]:
        """Checks everything that the settings name, one finding after the other."""
        ...

    def drift(self, settings: Settings, ledger: Ledger, apps: Sequence[str]) -> Iterator[Finding]:
        """Asks every host of these apps what it runs, one finding after the other; changes nothing."""
        ...

    def adopt(self, host: HostSettings, container: str, app: str) -> Adopted:
        """The settings of an app that make a container which runs on a host; nothing is changed there."""
        ...

    def demo(self, directory: Path | None, tell: Callable[[str], None]) -> None:
        """The main job on real input in a directory of its own; prints its tables on standard output."""
        ...
