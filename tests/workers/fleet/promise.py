"""The promises of a rollout: what has to be true of a fleet (`life.py`) at any moment, and in the end."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from watcher import rollouts
from watcher.ledger import Ledger
from watcher.plan import BROKEN, Plan
from watcher.rollout import HostStage, HostState, Rollout, RolloutStage

if TYPE_CHECKING:
    from tests.workers.fleet.life import Life, Site

States = Mapping[str, HostState]
MIDWAY = (HostStage.SWAPPING, HostStage.PROVING, HostStage.RECALLED, HostStage.FAILED, HostStage.RETURNING)


class Promises:
    """What was seen so far of one life."""

    def __init__(self) -> None:
        self.bad: dict[tuple[str, int, str], set[str]] = {}
        self.reached: dict[tuple[str, int], set[str]] = {}

    # --- at any moment ---

    def check(self, life: "Life") -> None:
        """Looks at everything."""
        for site in life.sites:
            self._serves(life, site)
            self._runs_only_what_was_let_out(life, site)
            self._receives_nothing_twice(life, site)
        self._bad_images_stay_where_they_are(life)
        for rollout in life.ledger.all(Rollout, stage=[RolloutStage.ROLLING]):
            waves = [wave for wave in life.plan.of(rollout).approve if wave <= rollout.wave]
            assert all(rollout.approved >= wave for wave in waves), f"{rollout.id}: a wave that nobody approved"

    def _serves(self, life: "Life", site: "Site") -> None:
        host = site.host
        if host.current is not None and host.current.up and not site.emptied:
            site.by_hand = False
        if host.serving is not None or site.by_hand:
            return
        states = [one for one in life.ledger.all(HostState, host=site.name) if one.rollout.startswith(f"{site.app}:")]
        begun = any(one.stage in (*MIDWAY, HostStage.STUCK) for one in states)
        assert begun, f"P1: {site.app} on {site.name} serves nothing, and nothing is under way there"
        assert life.services[site.app].order == "stop-first", f"P1: {site.app} on {site.name} serves nothing"

    def _runs_only_what_was_let_out(self, life: "Life", site: "Site") -> None:
        known = life.ledger.all(Rollout, app=site.app)
        allowed = {one.image for one in known if one.stage is not RolloutStage.BUILT} | {life.first(site.app)}
        kind = life.plan.places[site.name].kind
        for image, generation in site.host.started:
            assert image in allowed, f"P2: {site.app} on {site.name} ran {image.short}"
            if image in life.sick:
                self.bad.setdefault((site.app, generation, kind), set()).add(site.name)
            if image in life.sicken:
                self.reached.setdefault((site.app, generation), set()).add(site.name)

    def _bad_images_stay_where_they_are(self, life: "Life") -> None:
        """A person may let a host be that went away with an image, and the next one be tried: that is his."""
        for (app, generation, kind), names in self.bad.items():
            names = names - life.was_cordoned
            assert len(names) <= 1, f"P4: {app}:{generation} reached {sorted(names)} of class {kind!r}"
        for (app, generation), names in self.reached.items():
            rollout = life.ledger.find(Rollout, id=Rollout.id_of(app, generation))
            if rollout is None or rollout.image not in life.sicken or rollout.urgent:
                continue  # it has gone back to this one
            hosts = life.ledger.all(HostState, rollout=rollout.id, order="position")
            names = names - life.was_cordoned - life.was_away
            if hosts and life.sicken[rollout.image] <= life.plan.soak:
                most = life.plan.counts(hosts)[0]
                assert len(names) <= most, f"P4: {rollout.id} sickened on {sorted(names)} before anybody looked"

    def _receives_nothing_twice(self, life: "Life", site: "Site") -> None:
        """P5: a layer comes again only after it was thrown away, and what a host may go back to never is."""
        host = site.host
        for layer, times in host.received.items():
            assert times <= 1 + host.dropped[layer], f"P5: {site.name} received {layer.short} {times} times"
        newest = life.newest(site.app)
        state = life.ledger.find(HostState, rollout=newest.id, host=site.name) if newest else None
        if state is not None and state.stage in MIDWAY[:2] and state.previous is not None:
            assert state.previous in host.images, f"P5: {site.name} would have to fetch again what it ran"

    # --- around a look, and before a swap ---

    def looked(self, life: "Life", before: States) -> None:
        """What a look began is within the limits, and nothing that a person keeps from beginning."""
        holds = life.ledger.holds()
        cordoned = {scope.rpartition("/")[2]: said for scope, said in holds.items() if scope.startswith("host:")}
        plan = replace(life.plan, cordoned=cordoned)
        after = {state.name: state for state in life.ledger.all(HostState)}
        begun = [one for name, one in after.items() if _begins(before.get(name), one)]
        # Who failed, or is owed its way back from before, waits for nobody; who was well and goes back does.
        owed = {one.name for one in begun if one.stage is HostStage.RECALLED and before[one.name].midway}
        begun = [one for one in begun if one.name not in owed]
        for state in begun:
            app = state.rollout.partition(":")[0]
            back = state.stage is HostStage.RECALLED
            assert back or not life.ledger.is_held(app), f"{state.name} began although {app} is paused"
            assert state.host not in cordoned, f"{state.name} began although it is cordoned"
        for id in {state.rollout for state in begun}:
            moving = plan.moving([one for one in after.values() if one.rollout == id], life.now)
            assert len(moving) <= plan.at_once, f"{id}: {len(moving)} hosts at once"
        # That waits for nobody: what another app began in the same look had room when it did.
        counted = {name: state for name, state in after.items() if name not in owed}
        sites = Counter(plan.place(one).site for one in _moving_anywhere(life, plan, counted))
        for site, place in {plan.place(state).site: plan.place(state) for state in begun}.items():
            assert place.at_once is None or sites[site] <= place.at_once, f"{sites[site]} at once at {site}"

    def hour(self, life: "Life", state: HostState, rollout: Rollout) -> None:
        """Nothing that runs is touched outside of the hours."""
        if state.stage is HostStage.FETCHED:
            assert life.plan.of(rollout).may_touch(state, life.now), f"{state.name} is touched at the wrong hour"

    # --- what must become true in the end ---

    def kept(self, life: "Life", app: str) -> None:
        """Everybody who is there has come to the newest image, or serves what it ran before."""
        known = [one for one in life.ledger.all(Rollout, app=app) if one.stage.is_open or one.rolling_at]
        newest = max(known, key=lambda one: one.generation, default=None)
        if newest is None:
            return
        gone = {site.name for site in life.sites if site.host.offline}
        gone |= {scope.rpartition("/")[2] for scope in life.ledger.holds() if scope.startswith("host:")}
        hosts = life.ledger.all(HostState, rollout=newest.id)
        waits = [one for one in hosts if one.stage is not HostStage.DONE and one.stage not in BROKEN]
        waits_for_the_lost = newest.stage is RolloutStage.ROLLING and {one.host for one in waits} <= gone
        left = [one for one in known if one.stage.is_open and one != newest]
        assert not left, f"P3: {left[0].id} did not come to an end"
        assert not newest.stage.is_open or waits_for_the_lost, f"P3: {newest.id} is {newest.stage}: {newest.reason}"
        for site in (one for one in life.sites if one.app == app and one.name not in gone):
            self._site_is_well(life, site, newest)

    def _site_is_well(self, life: "Life", site: "Site", newest: Rollout) -> None:
        host, state = site.host, life.ledger.find(HostState, rollout=newest.id, host=site.name)
        kept = rollouts.kept(cast(Ledger, life.ledger), site.app) == newest
        failed = state is not None and state.stage in BROKEN
        put_right = life.desk.settings.fleets["ff"].drift == "put right"
        if host.serving is None and site.by_hand and not (put_right and kept):
            told = not kept or failed or bool(state and state.drift)
            assert told, f"nobody is told of what was done to {site.app} on {site.name}"
            return
        if kept and failed:
            return
        assert host.serving is not None, f"P3: {site.app} on {site.name} serves nothing in the end: {state}"
        assert host.next is None or not host.next.up, f"P3: {site.app} on {site.name} has two"
        if newest.stage in (RolloutStage.DONE, RolloutStage.ROLLING) and not failed:
            told = state is not None and bool(state.drift or state.reason.startswith("waits, because it failed on"))
            assert told or host.serving == newest.image, f"P6: {site.name} runs something else than the newest"


def _begins(before: HostState | None, after: HostState) -> bool:
    if after.stage is HostStage.RECALLED:
        return before is not None and before.stage is not HostStage.RECALLED
    was_waiting = before is None or before.stage in (HostStage.PENDING, HostStage.READY)
    return was_waiting and after.stage not in (HostStage.PENDING, HostStage.READY)


def _moving_anywhere(life: "Life", plan: Plan, states: States) -> list[HostState]:
    found: list[HostState] = []
    for app in life.services:
        current = rollouts.current(cast(Ledger, life.ledger), app)
        if current is not None and current.stage is not RolloutStage.SUPERSEDED:
            mine = [one for one in states.values() if one.rollout == current.id]
            found += plan.of(current).moving(mine, life.now)
    return found
