"""Two apps on a fleet in memory that live through random orders, faults and jumps of the clock.

What has to be true meanwhile, and in the end, is in `promise.py`; it is looked at after everything that happens.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from tests.fakes.host import Died, FakeHost, Slot
from tests.fakes.ledger import FakeLedger
from tests.fakes.store import FakeStore
from tests.workers.fleet.promise import Promises
from tests.workers.fleet.worlds import made, service
from watcher import config, decide, wish
from watcher.desk import Desk
from watcher.errors import Refused, Temporary
from watcher.head import Head
from watcher.image import Digest
from watcher.ledger import Ledger, host_scope
from watcher.look import look
from watcher.order import Lane, Order
from watcher.rollout import HostState, Rollout, RolloutStage
from workers.carry import carry_out
from workers.fleet.drift import difference
from workers.fleet.host import HostBusy, HostRefused, Service
from workers.fleet.roll import step as roll_step
from workers.fleet.roll import watch
from workers.steps import step

START = datetime(2026, 11, 2, 9, tzinfo=UTC)
WITHIN = timedelta(minutes=2)
APPS = ("shop", "till")
STORE = FakeStore()
IMAGES = {app: [made(STORE, f"{app} {n}") for n in range(8)] for app in APPS}
"""The first is what the fleet runs before anything happens."""
SECOND = timedelta(seconds=1)


@dataclass
class Post:
    sent: list[tuple[Order, str]] = field(default_factory=list)

    def send(self, order: Order, id: str, lane: Lane = Lane.HERE) -> None:
        self.sent.append((order, id))

    def nudge(self) -> None:
        return


@dataclass
class Site:
    """One app on one machine: what runs there, and what people did to it."""

    app: str
    name: str
    host: FakeHost
    by_hand: bool = False
    """Somebody took away what ran, and nothing has run since."""
    emptied: bool = False
    """Somebody removed it, so that "what it ran before" may be nothing."""


class Life:
    """One fleet's life. Everything that happens in it follows from `seed`."""

    def __init__(self, seed: int, promises: Promises) -> None:
        self.chance, self.promises = random.Random(seed), promises
        self.now, self.log = START, [f"seed {seed}"]
        self.count = self.chance.randint(2, 6)
        settings = config.parse(self._settings(), "life")
        self.ledger, self.post = FakeLedger(), Post()
        self.desk = Desk(settings, cast(Ledger, self.ledger), lambda: self.now, self.post)
        order = self.chance.choice(["stop-first", "start-first"])
        steady = self.chance.choice([0, 5]) * SECOND
        self.services = {app: replace(service(app, STORE.where), order=order, steady=steady) for app in APPS}
        bad = [image for app in APPS for image in IMAGES[app][1:]]
        self.sick = {image for image in bad if self.chance.random() < 0.3}
        self.sicken = {image: self.chance.choice([20, 100]) * SECOND for image in bad if self.chance.random() < 0.15}
        self.slow = {image: self.chance.choice([3, 60]) * SECOND for image in bad if self.chance.random() < 0.2}
        self.plan = settings.fleets["ff"].plan
        self.sites = [self._site(app, host.name) for app in APPS for host in settings.fleets["ff"].hosts]
        self.stale: list[tuple[HostState, Rollout]] = []
        self.was_away: set[str] = set()
        self.was_cordoned: set[str] = set()
        for app in APPS:
            self.ledger.add(Head(app=app, surveyed_at=START), START)

    def _settings(self) -> str:
        pick = self.chance.choice
        rows = []
        for n in range(self.count):
            site = pick(["", 'site = "aa"\n', 'site = "bb"\n'])
            rows.append(f'[[fleets.ff.hosts]]\nname = "h{n}"\naddress = "unix:///nowhere/h{n}"\n{site}')
        apps = [
            f"""
            [apps.{app}]
            repository = "/nowhere/repo"
            lock = "requirements.txt"
            fleet = "ff"
            image = {{ repository = "registry.example/{app}", python = "3.11" }}
            """
            for app in APPS
        ]
        window = pick(['windows = ["08:00-20:00"]', 'windows = ["mon-fri"]', ""])
        return f"""
            [toplayer]
            state = "/nowhere"
            {chr(10).join(apps)}
            [fleets.ff]
            waves = {pick(['[1, "100%"]', '["100%"]', '[1, "50%", "100%"]', '["34%"]'])}
            soak = "{pick(["0s", "5m"])}"
            jitter = "{pick(["0s", "2m"])}"
            at_once = {pick([1, 2, 5])}
            drift = "{pick(["tell", "put right"])}"
            drift_every = "10m"
            max_failures = {pick([0, 0, 1, 3])}
            approve = {pick(["[]", "[]", "[2]"])}
            fetch = "{pick(["in turn", "ahead"])}"
            [fleets.ff.sites.aa]
            at_once = {pick([1, 3])}
            kind = "{pick(["", "arm"])}"
            [fleets.ff.sites.bb]
            {window}
            {chr(10).join(rows)}
        """

    def _site(self, app: str, name: str) -> Site:
        host = FakeHost(STORE, name)
        host.sick, host.sicken, host.slow, host.clock = self.sick, self.sicken, self.slow, lambda: self.now
        host.fetch(self.services[app], IMAGES[app][0])
        host.current = Slot(IMAGES[app][0], 0, self.services[app], up=True)
        host.calls.clear()
        return Site(app, name, host)

    def site(self, state: HostState) -> Site:
        """Where a host of a rollout is."""
        app = state.rollout.partition(":")[0]
        return next(site for site in self.sites if (site.app, site.name) == (app, state.host))

    def first(self, app: str) -> Digest:
        """What the app's hosts ran before anything happened."""
        return IMAGES[app][0]

    def service(self, state: HostState) -> Service:
        return self.services[state.rollout.partition(":")[0]]

    # --- what happens ---

    def happen(self) -> None:
        """Lets one thing happen, and looks at the promises."""
        weights = {
            self.look: 30, self.work: 45, self.release: 2, self.away: 2, self.back: 5, self.order: 3, self.jump: 2,
            self.late: 1, self.by_hand: 1, self.trouble: 2,
        }  # fmt: skip
        self.now += self.chance.choice([0, 1, 5, 20]) * SECOND
        deed = self.chance.choices(list(weights), list(weights.values()))[0]
        self.log.append(deed.__name__)
        deed()
        self.promises.check(self)

    def look(self) -> None:
        self.post.sent.clear()
        before = {state.name: state for state in self.ledger.all(HostState)}
        look(self.desk)
        self.promises.looked(self, before)

    def work(self) -> None:
        """Carries one order out: well, or dying on the way, or twice."""
        orders = [id for order, id in self.post.sent if order is Order.ROLL]
        self.inspect()
        if not orders:
            return
        id, fate = self.chance.choice(orders), self.chance.choice(["well"] * 5 + ["dies", "twice"])
        self.carry(id, self.chance.randint(0, 4) if fate == "dies" else None)
        if fate == "twice":
            self.carry(id, None)

    def inspect(self) -> None:
        for id in [id for order, id in self.post.sent if order is Order.INSPECT]:
            carry_out(Order.INSPECT, id, self.desk, replace(step(Order.INSPECT), do=self._seen))

    def _seen(self, desk: Desk, state: HostState) -> HostState:
        rollout, host = desk.ledger.find(Rollout, id=state.rollout), self.site(state).host
        assert rollout is not None
        if rollout.stage is RolloutStage.ROLLING:
            return watch(state, rollout, host, self.service(state), desk.clock)
        try:
            said = difference(host, self.service(state), rollout.image)
        except Temporary as error:
            return replace(state, reason=str(error), inspected_at=self.now)
        return decide.inspected(state, said, desk.settings.fleets["ff"].drift == "put right", self.now)

    def carry(self, id: str, dies_at: int | None) -> None:
        rollout, _, name = id.rpartition(":")
        host = self.site(HostState(rollout=rollout, host=name, position=0)).host
        host.dies_at = dies_at
        try:
            carry_out(Order.ROLL, id, self.desk, replace(step(Order.ROLL), do=self._roll))
        except Died:
            self.log.append(f"died at {id}")
        finally:
            host.dies_at = None

    def _roll(self, desk: Desk, state: HostState) -> HostState:
        rollout = desk.ledger.find(Rollout, id=state.rollout)
        assert rollout is not None
        self.stale = [*self.stale[-5:], (state, rollout)]
        self.promises.hour(self, state, rollout)
        return roll_step(state, rollout, self.site(state).host, self.service(state), WITHIN, desk.clock)

    def late(self) -> None:
        """A worker that slept for an hour wakes up, and does on the host what it was about to do."""
        if not self.stale:
            return
        state, rollout = self.chance.choice(self.stale)
        newest = self.newest(rollout.app)
        if newest is not None and rollout.generation < newest.generation and newest.stage.is_open:
            host = self.site(state).host
            before = (host.current, host.next) if host.newest > rollout.generation else None
            try:
                roll_step(state, rollout, host, self.service(state), WITHIN, self.desk.clock)
            except Exception:
                self.log.append("fenced")
            if before is not None:
                assert (host.current, host.next) == before, "a late worker touched what belongs to a newer generation"

    def release(self) -> None:
        app = self.chance.choice(APPS)
        newest = self.newest(app)
        generation = newest.generation + 1 if newest else 1
        made = Rollout(
            id=Rollout.id_of(app, generation),
            app=app,
            generation=generation,
            commit=f"c{generation}",
            stage=RolloutStage.BUILT,
            image=self.chance.choice(IMAGES[app][1:]),
            wanted_at=self.now,
            built_at=self.now,
        )
        self.log.append(f"{made.id} {made.image and made.image.short} {self._word(made.image)}")
        self.ledger.add(made, self.now)

    def _word(self, image: Digest | None) -> str:
        return "sick" if image in self.sick else "sickens" if image in self.sicken else "good"

    def machine(self, name: str) -> Iterator[FakeHost]:
        """What stands on one machine: it is there, or away, for all apps."""
        return (site.host for site in self.sites if site.name == name)

    def away(self) -> None:
        name = self.chance.choice(self.sites).name
        self.was_away.add(name)
        self.log.append(f"{name} is away")
        for host in self.machine(name):
            host.offline = True

    def back(self) -> None:
        for host in self.machine(self.chance.choice(self.sites).name):
            host.offline = False

    def trouble(self) -> None:
        """A host begins to say no to something, for now or for good, or has none of it any more; or pulls by itself."""
        site = self.chance.choice(self.sites)
        busy, refused = HostBusy(site.name, "it is restarting"), HostRefused(site.name, "permission denied")
        errors: dict[str, list[Temporary | Refused]] = {
            "fetch": [busy, refused],
            "swap": [busy, refused],
            "prove": [busy],
            "settle": [busy],
            "back": [busy],
        }
        site.host.refuses.clear()
        site.host.away = self.chance.choice([0, 2])
        if self.chance.random() < 0.6:
            move = self.chance.choice(list(errors))
            site.host.refuses[move] = self.chance.choice(errors[move])
            self.log.append(f"{site.app} on {site.name}: {move} {type(site.host.refuses[move]).__name__}")

    def order(self) -> None:
        """A person orders something."""
        person, ledger, app = wish.Person("anna", "", self.now), cast(Ledger, self.ledger), self.chance.choice(APPS)
        name = self.chance.choice(self.sites).name
        scope = host_scope("ff", name)
        orders: dict[str, Callable[[], Any]] = {
            "pause": lambda: ledger.hold(app, "anna", "", self.now),
            "resume": lambda: ledger.unhold(app, "anna", "", self.now),
            "cordon": lambda: wish.cordon(ledger, scope, person),
            "uncordon": lambda: wish.uncordon(ledger, scope, person),
            "abort": lambda: wish.abort(ledger, app, person),
            "rollback": lambda: wish.rollback(ledger, app, "", person),
            "rollback now": lambda: wish.rollback(ledger, app, "", person, urgent=True),
            "retry": lambda: wish.retry(ledger, app, person),
            "approve": lambda: wish.approve(ledger, app, None, person),
        }
        said = self.chance.choice(list(orders))
        self.log.append(f"{said} {name if 'cordon' in said else app}")
        self.was_cordoned |= {name} if said == "cordon" else set()
        try:
            orders[said]()
        except Refused as error:
            self.log.append(str(error))

    def by_hand(self) -> None:
        """Somebody stops or removes what runs on a host, where nothing of ours is under way."""
        site = self.chance.choice(self.sites)
        host = site.host
        if host.current is None or host.next is not None:
            return
        site.by_hand = True
        site.emptied = site.emptied or self.chance.random() < 0.5
        host.current = None if site.emptied else replace(host.current, up=False)
        self.log.append(f"{site.app} on {site.name} {'stopped' if host.current else 'removed'} by hand")

    def jump(self) -> None:
        self.now += self.chance.choice([1, 10, 60, 3600, 86_400, -60, -3600]) * SECOND

    # --- how it ends ---

    def heal(self) -> None:
        """Nobody does anything any more, and time goes by. Some hosts never come back; a person looks after the rest,
        and does what toplayer asks for."""
        lost = [name for name in sorted({site.name for site in self.sites}) if self.chance.random() < 0.15]
        for site in self.sites:
            site.host.offline = site.name in lost
            site.host.refuses.clear()
        self.was_away |= set(lost)
        self.log.append(f"healing; lost: {lost}")
        for scope in list(self.ledger.holds()):
            self.ledger.unhold(scope, "anna", "", self.now)
        quiet = 0
        for _ in range(3000):
            before = self._all()
            self.look()
            for order, id in list(self.post.sent):
                if order is Order.ROLL:
                    self.carry(id, None)
            self.inspect()
            self._do_as_asked()
            self.promises.check(self)
            quiet = 0 if self._all() != before else quiet + 1
            # A host that is tried in vain uses up room for a moment: others have theirs in the next.
            self.now += timedelta(hours=2) if quiet % 3 == 2 else SECOND
            if quiet > 3 * 40:
                break

    def _do_as_asked(self) -> None:
        for rollout in self.ledger.all(Rollout):
            if rollout.stage.is_open and rollout.approved < 9:
                self.ledger.replace(rollout, replace(rollout, approved=9), self.now)
            if rollout.stage.is_open and "`toplayer cordon " in rollout.reason:
                name = rollout.reason.partition("`toplayer cordon ")[2].partition("`")[0]
                self.was_cordoned.add(name)
                self.ledger.hold(host_scope("ff", name), "anna", "", self.now)

    def _all(self) -> list[Any]:
        # That a host was looked at, or tried in vain, is no change of it.
        states = [
            replace(one, inspected_at=None, attempts=0, due_at=None, reason="", since=None, revision=0)
            for one in self.ledger.all(HostState)
        ]
        return [[replace(one, revision=0) for one in self.ledger.all(Rollout)], states]

    def newest(self, app: str) -> Rollout | None:
        found = self.ledger.all(Rollout, app=app, order="-generation")
        return found[0] if found else None


def live(seed: int, moments: int = 200) -> None:
    """A whole life. An `AssertionError` tells what was broken, and everything that had happened."""
    life = Life(seed, Promises())
    try:
        for _ in range(moments):
            life.happen()
        life.heal()
        for app in APPS:
            life.promises.kept(life, app)
    except AssertionError as error:
        raise AssertionError(f"{error}\n" + "\n".join(life.log[:2] + life.log[-60:])) from error
