"""`toplayer drift`: what hosts really run, beside what the ledger says. It asks every host, and changes nothing."""

from collections.abc import Iterator, Sequence

from watcher import view
from watcher.cli.hands import Finding
from watcher.errors import ToplayerError
from watcher.fleet import HostSettings
from watcher.ledger import Ledger
from watcher.plan import WAITING
from watcher.rollout import HostStage
from watcher.settings import Settings
from workers.fleet.drift import difference
from workers.fleet.targets import connect
from workers.oci.stores import open_store
from workers.steps.service import service_of


def drift(settings: Settings, ledger: Ledger, apps: Sequence[str]) -> Iterator[Finding]:
    """A finding for each host of these apps: whether it runs what it should, from today's specification, and well."""
    for row in view.fleet_rows(settings, ledger):
        if row["app"] in apps and _is_known(row["stage"]):
            yield _finding(settings, settings.fleets[row["fleet"]].by_name[row["name"]], row)


def _is_known(stage: str | None) -> bool:
    """Whether the ledger says what a host in this stage runs, and is not about to change it."""
    return stage is None or not (HostStage(stage).is_moving or HostStage(stage) in WAITING)


def _finding(settings: Settings, host: HostSettings, row: view.Row) -> Finding:
    app, subject = settings.apps[row["app"]], f"{row['app']} on {host.name}"
    try:
        store = open_store(app.image.repository, settings.registries)
        with connect(host, store) as connection:
            said = difference(connection, service_of(settings, row["app"], app), row["digest"])
    except ToplayerError as error:
        return Finding(subject, False, str(error), error.hint)
    hint = f"`toplayer deploy {row['app']}` puts it right: hosts that run what they should are left alone"
    runs = str(row["digest"] or "").removeprefix("sha256:")[:12]
    return Finding(subject, not said, said or (f"runs {runs}" if runs else "runs nothing"), hint if said else "")
