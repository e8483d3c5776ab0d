"""The look: one round of the watcher. It reads the ledger, takes the turns that are due, and sends the orders that are.

It never waits for anybody and does nothing itself. Two looks at once do no harm, but only one at a time is let in.
"""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from watcher import decide, rollouts, tend
from watcher.bump import Bump, BumpStage
from watcher.desk import Desk
from watcher.entry import Entry
from watcher.errors import Overtaken, Temporary
from watcher.head import Head
from watcher.ledger import Ledger, host_scope
from watcher.lookup import IndexState
from watcher.order import Lane, Order
from watcher.patience import spares_all
from watcher.plan import WAITING, Plan
from watcher.proposal import Proposals
from watcher.receiver import Receiver
from watcher.rollout import HostStage, HostState, Rollout, RolloutStage
from watcher.settings import AppSettings, Settings
from watcher.versions import SCHEMES
from watcher.watchlist import Watchlist
from watcher.weigh import weigh

NUDGE = "nudge"
"""The note that a look was asked for and has not begun: nobody needs to ask once more."""
_AGAIN = "look again"
"""The note that somebody came to look while a look was going on, which may not have seen why."""


@dataclass(slots=True)
class Round:
    """What one look came to: entries that it turned, orders that are due, and how many of them it sent."""

    turned: int = 0
    due: dict[str, tuple[Order, str, Lane]] = field(default_factory=dict)
    sent: int = 0

    def asks(self, order: Order, id: str, lane: Lane = Lane.HERE) -> None:
        """Notes that an order is due."""
        self.due[f"{order}:{id}"] = (order, id, lane)


def look(desk: Desk, rest: Callable[[float], object] | None = None) -> Round | None:
    """One round. None if another look is going on right now: who does that is told, and has it asked for again.

    `rest` waits for so many seconds afterwards, while nobody else looks either: see `rest_of`.
    """
    result = _alone(desk, rest)
    if result is None:
        desk.ledger.post([_AGAIN], desk.clock())
        # Whoever was looking may have asked for the note a moment before it was there.
        result = _alone(desk, rest)
    if result is not None and desk.ledger.answered(_AGAIN):
        desk.ledger.answered(NUDGE)
        desk.post.nudge()
    return result


def _alone(desk: Desk, rest: Callable[[float], object] | None) -> Round | None:
    with desk.ledger.lease("look", desk.clock) as mine:
        if not mine:
            return None
        desk.ledger.answered(NUDGE, _AGAIN)
        began = time.monotonic()
        with desk.ledger.at_hand():
            result = _look(desk)
        if rest is not None:
            rest(rest_of(time.monotonic() - began))
        return result


def rest_of(seconds: float) -> float:
    """How long to rest after a look that took so long, so that looks take a quarter of the time at most.

    A look at ten thousand hosts takes a good part of a second, and every host that is ready asks for one.
    """
    return min(3 * seconds, _LONGEST_REST)


_LONGEST_REST = 2.0


def _look(desk: Desk) -> Round:
    now, result = desk.clock(), Round()
    _look_at_receivers(desk, now, result)
    heads = {head.app: head for head in desk.ledger.kept(Head, "app", desk.settings.apps)}
    for name in desk.settings.apps.keys() - heads.keys():
        heads[name] = desk.ledger.add(Head(app=name), now) or Head(app=name)
    for name, app in desk.settings.apps.items():
        # A worker wrote while we read: what it wrote is looked at in the next round.
        with contextlib.suppress(Overtaken):
            _look_at_app(desk, heads[name], app, now, result)
    _look_at_indexes(desk, now, result)
    _send(desk, now, result)
    return result


def _send(desk: Desk, now: datetime, result: Round) -> None:
    posted = desk.ledger.post(result.due, now)
    try:
        for name in posted:
            desk.post.send(*result.due[name])
            result.sent += 1
    except Temporary:
        # Noted as on its way, and it is not: the next look is to send it, and not the one after a lease's time.
        desk.ledger.answered(*posted[result.sent :])
        raise


def _look_at_app(desk: Desk, head: Head, app: AppSettings, now: datetime, result: Round) -> None:
    ledger, name = desk.ledger, head.app
    bumps = ledger.all(Bump, app=name, stage=[BumpStage.FOUND, BumpStage.PROPOSED])
    if decide.survey_due(head, bumps, desk.every(app.survey, now), now):
        result.asks(Order.SURVEY, name)
    proposals = ledger.find(Proposals, app=name) or ledger.add(Proposals(app=name), now) or Proposals(app=name)
    pins = decide.locked(head) if bumps else {}
    settled = [(bump, _settled(bump, bumps, head, pins, proposals, now)) for bump in bumps]
    _write(ledger, settled, now, result)
    if weigh(head, desk.settings, ledger, now):
        result.turned += 1
    bumps = ledger.all(Bump, app=name, stage=[BumpStage.FOUND, BumpStage.PROPOSED])
    paused = ledger.is_held(name)
    proposal = decide.next_bump(bumps, head, app.policy.of, paused, now, forge=app.forge is not None)
    if proposal is not None:
        result.asks(Order.PROPOSE, proposal.id)
    if app.propose == "branch" and tend.due(proposals, head, bumps, desk.every(app.survey, now), now):
        result.asks(Order.TEND, name)
    _look_at_rollouts(desk, app, head, paused, now, result)


def _settled(
    bump: Bump, bumps: Iterable[Bump], head: Head, pins: decide.Locked, proposals: Proposals, now: datetime
) -> Bump:
    """The bump after everything that a survey and its proposal tell about it."""
    settled = decide.settled(bump, head, pins, SCHEMES[bump.ecosystem], now)
    settled = tend.overtaken(settled, bumps, now)
    return tend.judged(settled, head, proposals, now)


def _look_at_rollouts(desk: Desk, app: AppSettings, head: Head, paused: bool, now: datetime, result: Round) -> None:
    ledger, name = desk.ledger, head.app
    plan = plan_of(desk, name, app, now)
    if decide.is_wanted(head, rollouts.of_branch(ledger, name)):
        result.turned += ledger.add(rollouts.of_head(ledger, head, now), now) is not None
    newest, current = rollouts.newest(ledger, name), rollouts.current(ledger, name)
    moving = list(rollouts.unfinished(ledger, name))
    hosts = {rollout.id: _hosts(desk.settings, ledger, app, rollout, now) for rollout in moving}
    if current is not None:
        known = hosts.get(current.id, ())
        for host in inspections(desk, app, current, known, plan, now):
            result.asks(Order.INSPECT, host.name, Lane.HOSTS)
        if current not in moving and _has_more_to_do(desk, app, current, plan):
            hosts[current.id] = _hosts(desk.settings, ledger, app, current, now)
            moving.append(current)
    for rollout in moving:
        others = [one for one in moving if one is not rollout]
        others = [one for one in others if one.stage.is_open or decide.holds_up(one, hosts[one.id], plan, now)]
        after, called = decide.turned(rollout, hosts[rollout.id], others, plan, paused, now)
        before = {host.name: host for host in hosts[rollout.id]}
        written = _write(ledger, [(rollout, after), *((before[host.name], host) for host in called)], now, result)
        states = before | {host.name: host for host in written if isinstance(host, HostState)}
        latest = after if rollout == newest else newest or after
        if decide.build_due(after, latest, paused, now) and not would_be_blind(head, desk):
            result.asks(Order.BUILD, rollout.id)
        for host in states.values():
            if decide.host_due(host, after, now, plan):
                result.asks(Order.ROLL, host.name, decide.lane(host, after))


def would_be_blind(head: Head, desk: Desk) -> bool:
    """Whether an image that is built now would be the app's first, with the same rate of change for every package.

    The next bump would then lay its layers anew, and send all of them once more.
    """
    if desk.settings.apps[head.app].image.builder != "layers" or rollouts.has_images(desk.ledger, head.app):
        return False
    return Watchlist.of(head.pins, desk.settings, desk.ledger).is_unasked(desk.ledger)


def plan_of(desk: Desk, name: str, app: AppSettings, now: datetime) -> Plan:
    """How the app's fleet is rolled: with the hosts that a person has cordoned, and what other apps do at its sites."""
    fleet, mine = desk.settings.fleets[app.fleet], host_scope(app.fleet, "")
    cordoned = {scope.removeprefix(mine): said for scope, said in desk.ledger.holds().items() if scope.startswith(mine)}
    plan = replace(fleet.plan, cordoned=cordoned)
    if all(site.at_once is None for site in fleet.sites.values()):
        return plan
    others = [other for other, its in desk.settings.apps.items() if other != name and its.fleet == app.fleet]
    at_sites = [plan.place(host).site for other in others for host in _moved(desk.ledger, other, plan, now)]
    return replace(plan, elsewhere=Counter(at_sites))


def _moved(ledger: Ledger, app: str, plan: Plan, now: datetime) -> list[HostState]:
    """The hosts on which something of an app is under way."""
    current = rollouts.current(ledger, app)
    if current is None or current.stage is RolloutStage.SUPERSEDED:
        return []
    return plan.of(current).moving(ledger.all(HostState, rollout=current.id, stage=_MOVING), now)


_MOVING = [stage for stage in HostStage if stage.is_moving]


def inspections(
    desk: Desk, app: AppSettings, current: Rollout, hosts: Iterable[HostState], plan: Plan, now: datetime
) -> list[HostState]:
    """The hosts that should be asked now what they really run: some at once, and the others soon. `hosts` are those of
    a rollout that is under way."""
    fleet = desk.settings.fleets[app.fleet]
    if current.stage is RolloutStage.ROLLING:
        soak = plan.of(current).soak
        due = [one for one in hosts if one.host not in plan.cordoned and decide.watch_due(one, soak, now)]
        return sorted(due, key=lambda one: one.inspected_at or now)[:_INSPECTED_AT_ONCE]
    if current.stage is not RolloutStage.DONE or fleet.drift == "ignore":
        return []
    oldest = desk.ledger.all(
        HostState, rollout=current.id, stage=HostStage.DONE, order="inspected_at", limit=_INSPECTED_AT_ONCE
    )
    known = {host.name for host in fleet.hosts} - plan.cordoned.keys()
    return [one for one in oldest if one.host in known and decide.inspection_due(one, fleet.drift_every, now)]


_INSPECTED_AT_ONCE = 20


def _has_more_to_do(desk: Desk, app: AppSettings, current: Rollout, plan: Plan) -> bool:
    """Whether a rollout that has ended still has to see to a host. Of ten thousand that it has not, only names are
    read."""
    rows = desk.ledger.rows(HostState, "host", "stage", "midway", rollout=current.id)
    stages = {host: stage for host, stage, _ in rows}
    if current.stage is RolloutStage.HALTED:
        left = any(stage.is_moving or stage in (HostStage.DONE, HostStage.READY) for stage in stages.values())
        return not rows or left or any(midway for _, _, midway in rows)
    if current.stage is not RolloutStage.DONE:
        return False
    for host in desk.settings.fleets[app.fleet].hosts:
        stage = stages.get(host.name, HostStage.PENDING)
        if stage.is_moving or (stage in WAITING and host.name not in plan.cordoned):
            return True
    return False


def _hosts(
    settings: Settings, ledger: Ledger, app: AppSettings, rollout: Rollout, now: datetime
) -> tuple[HostState, ...]:
    """The rollout's hosts, in the fleet's order. A host that is new in the fleet joins the newest rollout; one that was
    halted before it had any has them, too, because of what the one before it left undone."""
    known = {state.host: state for state in ledger.all(HostState, rollout=rollout.id)}
    hosts = settings.fleets[app.fleet].hosts
    begins = rollout.stage is RolloutStage.HALTED and not known
    if begins or rollout.stage in (RolloutStage.ROLLING, RolloutStage.DONE):
        fresh = {
            host.name: HostState(rollout=rollout.id, host=host.name, position=position)
            for position, host in enumerate(hosts)
            if host.name not in known
        }
        left = _left_by_the_one_before(ledger, rollout) if fresh and not known else {}
        new = [replace(left.get(name, one), position=one.position) for name, one in fresh.items()]
        known |= {state.host: state for state in ledger.write([(None, state) for state in new], now)}
    return tuple(known[host.name] for host in hosts if host.name in known)


def _left_by_the_one_before(ledger: Ledger, rollout: Rollout) -> dict[str, HostState]:
    """The hosts of a rollout that begins, as the one before it left them."""
    before = rollouts.before(ledger, rollout)
    if before is None:
        return {}
    halted = before.stage is RolloutStage.HALTED
    return {one.host: one.after(rollout.id, halted=halted) for one in ledger.all(HostState, rollout=before.id)}


def _look_at_indexes(desk: Desk, now: datetime, result: Round) -> None:
    settings, ledger = desk.settings, desk.ledger
    # Whom the pins are asked of was seen when they were weighed: a thousand of them say it no more in every look.
    unseen = Counter[str]()
    for weighing in ledger.weighings(settings.apps).values():
        unseen.update(weighing.unseen)
    names = [name for name in (*settings.indexes, *settings.advisories) if name in unseen]
    states = {state.index: state for state in ledger.all(IndexState, index=names)}
    for name in names:
        interval = settings.polled_every(name)
        state = states.get(name) or ledger.add(IndexState(index=name), now) or IndexState(index=name)
        public = (settings.indexes.get(name) or settings.advisories[name]).is_everybodys
        turn = desk.turn(interval, now)
        if not decide.poll_due(state, unseen[name] > 0, interval, turn, public=public):
            continue
        if unseen[name] or not spares_all(state, settings, ledger, turn):
            result.asks(Order.POLL, name)
            continue
        # It had its turn, and there was nothing to ask. Whoever is just at it says more.
        with contextlib.suppress(Overtaken):
            ledger.replace(state, replace(state, polled_at=now), now)


def _look_at_receivers(desk: Desk, now: datetime, result: Round) -> None:
    newest = desk.ledger.last_event()
    for name in desk.settings.notify.names():
        state = desk.ledger.find(Receiver, receiver=name)
        if state is None:
            # Who is new hears what happens from now on, and not the whole past.
            desk.ledger.add(Receiver(receiver=name, cursor=newest), now)
        elif state.cursor < newest and state.is_due(now):
            result.asks(Order.TELL, name)


E = TypeVar("E", bound=Entry)


def _write(ledger: Ledger, changes: Iterable[tuple[E, E]], now: datetime, result: Round) -> list[E]:
    changes = list(changes)
    result.turned += sum(before != after for before, after in changes)
    return ledger.write(changes, now)
