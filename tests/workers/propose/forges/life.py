"""An app with a forge, worked on by the real look and the real steps, in a time that a test moves."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from tests.rig.forges.hub import Hub
from tests.rig.forges.server import PROJECT, ForgeServer
from tests.rig.simple_index import SimpleIndex
from tests.workers.propose.forges.conftest import DIALECTS
from watcher import config
from watcher.bump import Bump, BumpStage
from watcher.desk import Desk
from watcher.entry import Entry
from watcher.ledger import Ledger
from watcher.look import look
from watcher.order import Lane, Order
from watcher.proposal import Proposals
from watcher.settings import Settings
from workers.steps import carry

MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
BRANCH = "toplayer/shop/side"
E = TypeVar("E", bound=Entry)
LOCK = "# ours\ncore==1.0\n\n# a comment between\n\nside==1.0  # why\n"
_OURS = (Order.SURVEY, Order.POLL, Order.PROPOSE, Order.TEND)


@dataclass
class Life:
    """`now` is the time; `rounds` lets everything happen that is due at it. Nothing is built and nothing rolled.

    `plain`: there is no forge, and people work with git alone. `osv` is the address of a source of advisories.
    """

    server: ForgeServer
    index: SimpleIndex
    state: Path
    forge: str = ""
    policy: str = 'cooldown = "0s"'
    repository: str = ""
    git: str = ""
    author: str = "toplayer <bot@shop.example>"
    plain: bool = False
    osv: str = ""
    now: datetime = MONDAY
    waiting: list[tuple[Order, str]] = field(default_factory=list)

    @property
    def hub(self) -> Hub:
        return self.server.hub

    @property
    def settings(self) -> Settings:
        kind = next(kind for kind, made in DIALECTS.items() if isinstance(self.server.dialect, made))  # type: ignore[arg-type]
        table = (
            f'[apps.shop.forge]\nkind = "{kind}"\nurl = "{self.server.url}"\nproject = "{PROJECT}"\n'
            f'token = {{ env = "FORGE_TOKEN" }}\n{self.forge}'
        )
        return config.parse(
            f"""
            [toplayer]
            state = "{self.state}"
            [indexes.pypi]
            kind = "pypi"
            url = "{self.index.url}"
            private = true
            {self._advisories}
            [apps.shop]
            repository = "{self.repository or self.hub.origin.directory}"
            lock = "requirements.txt"
            fleet = "field"
            policy = {{ {self.policy} }}
            git = {{ author = "{self.author}" {self.git} }}
            [apps.shop.image]
            repository = "oci:{self.state}/images"
            python = "3.12"
            {"" if self.plain else table}
            [fleets.field]
            waves = [1, "100%"]
            """,
            "test",
        )

    @property
    def _advisories(self) -> str:
        return f'advisories = true\n[advisories.osv]\nkind = "osv"\nurl = "{self.osv}"' if self.osv else ""

    def send(self, order: Order, id: str, lane: Lane = Lane.HERE) -> None:
        self.waiting.append((order, id))

    def nudge(self) -> None:
        """The next round comes anyway."""

    def rounds(self, minutes: float = 0) -> None:
        """Moves the time, and looks and works until nothing is due any more."""
        self.now += timedelta(minutes=minutes)
        ledger = Ledger(f"sqlite:///{self.state}/ledger.db")
        desk = Desk(self.settings, ledger, self._tick, self)
        try:
            for _ in range(40):
                look(desk)
                orders, self.waiting = [one for one in self.waiting if one[0] in _OURS], []
                if not orders:
                    return
                for order, id in orders:
                    carry(order, id, desk)
            raise AssertionError("it never comes to rest")
        finally:
            ledger.close()

    def _tick(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    def packages(self) -> dict[str, str]:
        """The stage of each bump, by its package."""
        return {bump.package: str(bump.stage) for bump in self._all(Bump)}

    def bumps(self) -> dict[str, Bump]:
        """By the version that they go to."""
        return {bump.to_version: bump for bump in self._all(Bump)}

    def proposals(self) -> Proposals:
        return next(iter(self._all(Proposals)))

    def _all(self, kind: type[E]) -> Iterable[E]:
        ledger = Ledger(f"sqlite:///{self.state}/ledger.db")
        try:
            return ledger.all(kind, app="shop")
        finally:
            ledger.close()

    def forget(self, bump: Bump) -> None:
        """As if the process had died before it could note that the bump is proposed."""
        ledger = Ledger(f"sqlite:///{self.state}/ledger.db")
        ledger.replace(bump, replace(bump, stage=BumpStage.FOUND, branch="", commit="", proposal=0, url=""), self.now)
        ledger.close()

    def pause(self, *, on: bool = True) -> None:
        ledger = Ledger(f"sqlite:///{self.state}/ledger.db")
        (ledger.hold if on else ledger.unhold)("shop", "anna", "", self.now)
        ledger.close()

    def publish(self, version: str) -> None:
        self.index.publish("side", version, files={"side/__init__.py": f"VERSION = {version!r}\n"})

    def stages(self) -> dict[str, str]:
        return {version: str(bump.stage) for version, bump in self.bumps().items()}
