"""The ledger as people and programs want to see it: plain JSON values, the same behind every table and every --json."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from watcher import decide
from watcher.bump import Bump, BumpStage
from watcher.decision import Decision, Verdict
from watcher.event import Event
from watcher.head import Head
from watcher.ledger import Ledger
from watcher.lookup import Bulletin, IndexState, Lookup
from watcher.pin import CONFIGURED
from watcher.plan import GIVEN_UP_AFTER
from watcher.policy import Watch
from watcher.proposal import Proposals, Tended
from watcher.receiver import Receiver
from watcher.rollout import HostStage, HostState, Rollout, RolloutStage
from watcher.settings import Settings
from watcher.transfers import Transfer

Row = dict[str, Any]


def status(settings: Settings, ledger: Ledger, apps: Iterable[str], now: datetime, past: int = 1) -> Row:
    """What is under way at `now` (UTC), and the last `past` rollouts of each app that are over.

    `{apps, hits, bumps, rollouts, indexes, receivers, paused}`; times are ISO 8601 in UTC, sizes bytes. `hits` are the
    pins that advisories are about.
    """
    names = list(apps)
    open_bumps = ledger.all(Bump, app=names, stage=[BumpStage.FOUND, BumpStage.PROPOSED], order="found_at")
    ended = ledger.all(Bump, app=names, stage=[s for s in BumpStage if not s.is_open], order="-ended_at", limit=10)
    proposals = {one.app: one for one in ledger.all(Proposals, app=names)}
    return {
        "apps": [
            app_row(head, proposals.get(head.app)) | {"base": _base(settings, ledger, head)}
            for head in ledger.all(Head, app=names, order="app")
        ],
        "hits": [hit_row(one.decision) for name in names for one in ledger.standing(name) if one.is_hit],
        "bumps": bump_rows(settings, ledger, (*open_bumps, *ended), now),
        "rollouts": status_rollouts(ledger, names, past),
        "indexes": [
            index_row(state, state.index in settings.advisories)
            for state in ledger.all(IndexState, index=[*settings.indexes, *settings.advisories])
        ],
        "receivers": [receiver_row(ledger, r) for r in ledger.all(Receiver, receiver=list(settings.notify.names()))],
        "paused": ledger.holds(),
    }


def _base(settings: Settings, ledger: Ledger, head: Head) -> str:
    """What there is to say of the base that the configuration names: that it has moved, or cannot be looked up."""
    policy = settings.apps[head.app].policy
    named = {pin.package for pin in head.pins if pin.source == CONFIGURED}
    asked = {package for package in named if policy.of(package).watch is not Watch.NONE}
    found = [one.decision for one in ledger.standing(head.app) if one.decision.package in asked] if asked else []
    return "; ".join(one.said for one in found if one.verdict is not Verdict.CURRENT and one.current)


def status_rollouts(ledger: Ledger, apps: Iterable[str], past: int = 0) -> list[Row]:
    """The open rollouts of these apps, and the last `past` of each that are over."""
    rollouts: list[Rollout] = []
    for name in apps:
        found = ledger.all(Rollout, app=name, order="-generation", limit=50)
        over = [rollout for rollout in found if not rollout.stage.is_open][:past]
        rollouts += [rollout for rollout in found if rollout.stage.is_open or rollout in over]
    return [rollout_row(ledger, rollout) for rollout in rollouts]


def waiting(settings: Settings, ledger: Ledger) -> list[str]:
    """One line for each host that a rollout has called and that cannot be reached now."""
    rolling = ledger.all(Rollout, app=list(settings.apps), stage=[RolloutStage.ROLLING])
    return [
        f"{rollout.id}: {host.host} {host.reason or host.stage}"
        for rollout in rolling
        for host in ledger.all(HostState, rollout=rollout.id, order="position")
        if (host.stage is HostStage.PENDING and host.reason) or host.attempts >= GIVEN_UP_AFTER
    ]


def rollout_row(ledger: Ledger, rollout: Rollout) -> Row:
    """One rollout with its hosts. `seconds` runs from the upstream release (or the commit, without one) to the end."""
    since = rollout.released_at or rollout.merged_at or rollout.wanted_at
    hosts = ledger.all(HostState, rollout=rollout.id, order="position")
    built, moving = rollout.built, ledger.transfers() if rollout.stage.is_open else {}
    return {
        "id": rollout.id,
        "app": rollout.app,
        "commit": rollout.commit,
        "image": rollout.image,
        "stage": str(rollout.stage),
        "cause": rollout.cause,
        "held": rollout.held,
        "urgent": rollout.urgent,
        "reason": rollout.reason,
        "wave": rollout.wave,
        "layers": built.layers if built else None,
        "new_layers": built.new_layers if built else None,
        "size": built.size if built else None,
        "new_size": built.new_size if built else None,
        "pushed": built.pushed if built else None,
        "foreseen": built.foreseen if built else None,
        "told": list(built.told) if built else [],
        "warning": built.warning if built else None,
        "build_seconds": built.seconds if built else None,
        "released_at": _iso(rollout.released_at),
        "wanted_at": _iso(rollout.wanted_at),
        "built_at": _iso(rollout.built_at),
        "merged_at": _iso(rollout.merged_at),
        "rolling_at": _iso(rollout.rolling_at),
        "done_at": _iso(rollout.done_at),
        "seconds": (rollout.done_at - since).total_seconds() if rollout.done_at else None,
        "waves": wave_rows(ledger, rollout),
        "hosts": [host_row(rollout, host, moving.get(host.name)) for host in hosts],
    }


def wave_rows(ledger: Ledger, rollout: Rollout) -> list[Row]:
    """When each wave was opened, and how many seconds that was after the upstream release and after the merge."""
    if rollout.rolling_at is None:
        return []
    opened = [(1, rollout.rolling_at)]
    if rollout.wave > 1:
        mine = [event for event in ledger.events(subject=rollout.id) if event.kind == "rollout.wave"]
        opened += [(int(event.facts.get("wave") or 0), event.at) for event in mine]
    return [
        {
            "wave": wave,
            "at": _iso(at),
            "from_release": (at - rollout.released_at).total_seconds() if rollout.released_at else None,
            "from_merge": (at - rollout.merged_at).total_seconds() if rollout.merged_at else None,
        }
        for wave, at in opened
    ]


def host_row(rollout: Rollout, host: HostState, moving: Transfer | None = None) -> Row:
    """One host in one rollout; `digest` is what it runs as far as the ledger knows.

    `gone` of `known` bytes have come so far, while they travel; `bytes` is what travelled in the end.
    """
    moving = moving if host.stage.fetches else None
    return {
        "name": host.host,
        "stage": str(host.stage),
        "digest": rollout.image if host.stage in (HostStage.DONE, HostStage.PROVING) else host.previous,
        "previous": host.previous,
        "bytes": host.bytes,
        "gone": moving.gone if moving else None,
        "known": moving.known if moving else None,
        "seconds": host.seconds,
        "pull_seconds": host.pull_seconds,
        "swap_seconds": host.swap_seconds,
        "healthy_seconds": host.healthy_seconds,
        "called_at": _iso(host.called_at),
        "since": _iso(host.since),
        "inspected_at": _iso(host.inspected_at),
        "drift": host.drift,
        "reason": host.reason or host.drift,
    }


def bump_rows(settings: Settings, ledger: Ledger, bumps: Sequence[Bump], now: datetime) -> list[Row]:
    """Bumps, each with what keeps it at `now` (UTC)."""
    apps = list({bump.app for bump in bumps})
    tended = {one.bump: one for of_app in ledger.all(Proposals, app=apps) for one in of_app.tended}
    waiting = ledger.all(Bump, app=apps, stage=BumpStage.PROPOSED)
    heads = {head.app: head for head in ledger.all(Head, app=apps)}

    def way(bump: Bump) -> Bump | None:
        head, others = heads.get(bump.app), [other for other in waiting if other.app == bump.app]
        return decide.in_the_way(bump, others, head) if head is not None and bump.stage is BumpStage.FOUND else None

    return [bump_row(bump, settings, now, tended.get(bump.id), way(bump)) for bump in bumps]


def bump_row(
    bump: Bump, settings: Settings, now: datetime, tended: Tended | None = None, way: Bump | None = None
) -> Row:
    """One bump. `waits` says what of the policy keeps it from beginning at `now` (UTC), or which bump is in its `way`.

    Of one that has a proposal, `checks` are those of its commit, and `held` is why its forge would not merge it.
    """
    known = tended if tended is not None and tended.proposal and bump.stage is BumpStage.PROPOSED else None
    app = settings.apps.get(bump.app)
    held = decide.waits(bump, app.policy.of, now) if app is not None and bump.stage is BumpStage.FOUND else None
    behind = f"{way.package} {way.to_version} has to be merged or closed first" if way is not None else ""
    return {
        "id": bump.id,
        "app": bump.app,
        "package": bump.package,
        "from": bump.from_version,
        "to": bump.to_version,
        "stage": str(bump.stage),
        "reason": bump.reason,
        "waits": f"{held.said}, until {held.until:%Y-%m-%d %H:%M} UTC" if held else behind,
        "group": bump.group,
        "with": [{"package": p.package, "from": p.from_version, "to": p.to_version} for p in bump.others],
        "advisories": list(bump.advisories),
        "by": bump.by,
        "branch": bump.branch,
        "commit": bump.commit,
        "url": bump.url,
        "checks": str(known.proposal.checks) if known and known.proposal else None,
        "held": known.held if known else "",
        "released_at": _iso(bump.released_at),
        "found_at": _iso(bump.found_at),
        "ended_at": _iso(bump.ended_at),
    }


def app_row(head: Head, proposals: Proposals | None = None) -> Row:
    """The tip of an app's branch, as the last survey saw it.

    `remark` is what of its locks is not watched, and why; `forge` is why its proposals cannot be looked after.
    """
    return {
        "app": head.app,
        "commit": head.commit,
        "surveyed_at": _iso(head.surveyed_at),
        "pins": len(head.everything),
        "reason": head.reason,
        "remark": head.remark and f"not watched: {head.remark}",
        "forge": proposals.reason if proposals else "",
    }


def remedy(name: str) -> str:
    """What to do about a source of advisories that does not answer."""
    return (
        f"releases are held until {name} has answered once about a package; if it cannot be reached from here, name a "
        f"mirror (advisories.{name}.url), or nobody: an empty [advisories]"
    )


def index_row(state: IndexState, is_source: bool = False) -> Row:
    """How the last poll of an index, or of a source of advisories, went. `unknown` packages were not answered for,
    which is not "nothing new"; `hint` says what to do.
    """
    return {
        "index": state.index,
        "polled_at": _iso(state.polled_at),
        "answered_at": _iso(state.answered_at),
        "packages": state.packages,
        "unknown": state.unknown,
        "unknown_since": _iso(state.unknown_since),
        "reason": state.reason,
        "hint": remedy(state.index) if is_source and state.reason else "",
    }


def receiver_row(ledger: Ledger, receiver: Receiver) -> Row:
    """How far behind a receiver of notices is, in events."""
    return {
        "receiver": receiver.receiver,
        "behind": max(ledger.last_event() - receiver.cursor, 0),
        "delivered_at": _iso(receiver.delivered_at),
        "reason": receiver.reason,
    }


def history(ledger: Ledger, apps: Iterable[str], limit: int) -> list[Row]:
    """The newest rollouts of these apps, newest first."""
    found = ledger.all(Rollout, app=list(apps), order="-wanted_at", limit=limit)
    return [rollout_row(ledger, rollout) for rollout in found]


def lookup_row(lookup: Lookup) -> Row:
    """The last lookup of a package: *unknown* means that the index did not answer, not that it is quiet."""
    return {
        "index": lookup.index,
        "outcome": str(lookup.outcome),
        "looked_at": _iso(lookup.looked_at),
        "answered_at": _iso(lookup.answered_at),
        "changed_at": _iso(lookup.changed_at),
        "releases": len(lookup.releases),
        "status": lookup.status,
        "remark": lookup.remark,
        "reason": lookup.reason,
    }


def bulletin_row(bulletin: Bulletin) -> Row:
    """The last answer of a source of advisories about a package."""
    return {
        "source": bulletin.source,
        "outcome": str(bulletin.outcome),
        "looked_at": _iso(bulletin.looked_at),
        "answered_at": _iso(bulletin.answered_at),
        "advisories": len(bulletin.advisories),
        "reason": bulletin.reason,
    }


def hit_row(decision: Decision) -> Row:
    """A pin that advisories are about, and what comes of it."""
    return {
        "app": decision.app,
        "package": decision.package,
        "current": decision.current,
        "advisories": list(decision.advisories),
        "candidate": decision.candidate,
        "said": decision.said,
    }


def decision_row(decision: Decision) -> Row:
    """One decision, with every release that was considered."""
    return {
        "app": decision.app,
        "package": decision.package,
        "at": _iso(decision.at),
        "current": decision.current,
        "newest": decision.newest,
        "candidate": decision.candidate,
        "verdict": str(decision.verdict),
        "said": decision.said,
        "index": decision.index,
        "advisories": list(decision.advisories),
        "fixes": list(decision.fixes),
        "flaw": decision.flaw,
        "status": decision.status,
        "free_at": _iso(decision.free_at),
        "releases": [
            {
                "version": reason.version,
                "verdict": str(reason.verdict),
                "rule": reason.rule,
                "said": reason.said,
                "free_at": _iso(reason.free_at),
            }
            for reason in decision.reasons
        ],
    }


def event_row(event: Event) -> Row:
    """One line of the audit."""
    return {
        "id": event.id,
        "at": _iso(event.at),
        "kind": event.kind,
        "app": event.app,
        "subject": event.subject,
        **event.facts,
    }


def fleet_rows(settings: Settings, ledger: Ledger) -> list[Row]:
    """Every host of every fleet, and what it runs for each app as far as the ledger knows."""
    rows = []
    for app_name, app in settings.apps.items():
        hosts, last = settings.fleets[app.fleet].by_name, dict[str, tuple[Rollout, HostState]]()
        for rollout in ledger.all(Rollout, app=app_name, order="-generation", limit=20):
            if hosts.keys() <= last.keys():
                break
            last = {state.host: (rollout, state) for state in ledger.all(HostState, rollout=rollout.id)} | last
        for host in hosts.values():
            seen = last.get(host.name)
            row: Row = {"fleet": app.fleet, "name": host.name, "address": host.address, "app": app_name}
            row |= host_row(*seen) if seen else dict.fromkeys(("stage", "digest", "reason"))
            rows.append(row | {"rollout": seen[0].id if seen else None})
    return rows


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
