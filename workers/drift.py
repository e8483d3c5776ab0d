"""`toplayer drift`: what hosts really run, beside what the ledger says. It asks every host, and changes nothing."""

from collections.abc import Iterator, Sequence

from watcher import view
from watcher.cli.hands import Finding
from watcher.errors import ToplayerError
from watcher.fleet import HostSettings
from watcher.ledger import Ledger
from watcher.settings import Settings
from workers.fleet.drift import difference
from workers.fleet.targets import connect
from workers.oci.stores import open_store
from workers.steps.service import service_of

MOVING = ("pending", "ahead", "ready", "called", "fetched", "proving", "failed", "returning")
"""Stages in which the ledger does not say what a host runs, or is about to change it."""


def drift(settings: Settings, ledger: Ledger, apps: Sequence[str]) -> Iterator[Finding]:
    """A finding for each host of these apps: whether it runs what it should, from today's specification, and well."""
    for row in view.fleet_rows(settings, ledger):
        if row["app"] not in apps or row["stage"] in MOVING:
            continue
        app = settings.apps[row["app"]]
        host = next(one for one in settings.fleets[app.fleet].hosts if one.name == row["name"])
        yield _finding(settings, host, row)


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
