"""A fleet in memory that lives through random orders, faults and jumps of the clock, and is looked at after each."""

import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from tests.fakes.host import Died, FakeHost, Slot
from tests.fakes.ledger import FakeLedger
from tests.fakes.store import FakeStore
from tests.workers.fleet.worlds import made, service
from watcher import config, decide, rollouts, wish
from watcher.desk import Desk
from watcher.errors import Refused, Temporary
from watcher.head import Head
from watcher.ledger import Ledger, host_scope
from watcher.look import look
from watcher.order import Order
from watcher.plan import BROKEN
from watcher.rollout import HostStage, HostState, Rollout, RolloutStage
from workers.carry import carry_out
from workers.fleet.drift import difference
from workers.fleet.roll import step as roll_step
from workers.steps import step

START = datetime(2026, 11, 2, 9, tzinfo=UTC)
WITHIN = timedelta(minutes=2)
STORE = FakeStore()
IMAGES = [made(STORE, str(n)) for n in range(8)]
"""The first is what the fleet runs before anything happens."""


@dataclass
class Post:
    sent: list[tuple[Order, str]] = field(default_factory=list)

    def send(self, order: Order, id: str) -> None:
        self.sent.append((order, id))

    def nudge(self) -> None:
        return


class Life:
    """One fleet's life. Everything that happens in it follows from `seed`."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.now, self.log = START, [f"seed {seed}"]
        self.count = self.chance.randint(2, 6)
        settings = config.parse(self._settings(), "life")
        self.ledger, self.post = FakeLedger(), Post()
        self.desk = Desk(settings, cast(Ledger, self.ledger), lambda: self.now, self.post)
        order = self.chance.choice(["stop-first", "start-first"])
        self.service = replace(service("shop", STORE.where), order=order)
        self.sick = {image for image in IMAGES[1:] if self.chance.random() < 0.35}
        self.hosts = {host.name: self._host(host.name) for host in settings.fleets["ff"].hosts}
        self.places = settings.fleets["ff"].plan.places
        self.bad: dict[tuple[int, str], set[str]] = {}
        self.stale: list[tuple[HostState, Rollout]] = []
        self.by_hands: set[str] = set()
        """Hosts where a person took away what ran, and nothing has run since."""
        self.emptied: set[str] = set()
        """Those of them to which "what it ran before" may be nothing."""
        self.ledger.add(Head(app="shop", surveyed_at=START), START)

    def _settings(self) -> str:
        pick = self.chance.choice
        rows = []
        for n in range(self.count):
            site = pick(["", 'site = "aa"\n', 'site = "bb"\n'])
            rows.append(f'[[fleets.ff.hosts]]\nname = "h{n}"\naddress = "dir:/nowhere/h{n}"\n{site}')
        window = pick(['windows = ["08:00-20:00"]', 'windows = ["mon-fri"]', ""])
        return f"""
            [toplayer]
            state = "/nowhere"
            [apps.shop]
            repository = "/nowhere/repo"
            lock = "requirements.txt"
            fleet = "ff"
            image = {{ repository = "oci:/nowhere/images", python = "3.11" }}
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

    def _host(self, name: str) -> FakeHost:
        host = FakeHost(STORE, name)
        host.sick = self.sick
        host.fetch(self.service, IMAGES[0])
        host.current = Slot(IMAGES[0], 0, self.service, up=True)
        host.calls.clear()
        return host

    # --- what happens ---

    def happen(self) -> None:
        """Lets one thing happen."""
        weights = {
            self.look: 10, self.work: 14, self.release: 2, self.away: 1, self.back: 2, self.order: 2, self.jump: 2,
            self.late: 1, self.by_hand: 1,
        }  # fmt: skip
        deed = self.chance.choices(list(weights), list(weights.values()))[0]
        self.log.append(deed.__name__)
        deed()

    def look(self) -> None:
        self.post.sent.clear()
        look(self.desk)

    def work(self) -> None:
        """Carries one order out: well, or dying on the way, or twice."""
        orders = [id for order, id in self.post.sent if order is Order.ROLL]
        self._inspect()
        if not orders:
            return
        id, fate = self.chance.choice(orders), self.chance.choice(["well"] * 5 + ["dies", "twice"])
        self._carry(id, self.chance.randint(0, 4) if fate == "dies" else None)
        if fate == "twice":
            self._carry(id, None)

    def _inspect(self) -> None:
        for id in [id for order, id in self.post.sent if order is Order.INSPECT]:
            carry_out(Order.INSPECT, id, self.desk, replace(step(Order.INSPECT), do=self._seen))

    def _seen(self, desk: Desk, state: HostState) -> HostState:
        rollout = desk.ledger.find(Rollout, id=state.rollout)
        assert rollout is not None
        try:
            said = difference(self.hosts[state.host], self.service, rollout.image)
        except Temporary as error:
            return replace(state, reason=str(error), inspected_at=self.now)
        return decide.inspected(state, said, desk.settings.fleets["ff"].drift == "put right", self.now)

    def _carry(self, id: str, dies_at: int | None) -> None:
        host = self.hosts[id.rpartition(":")[2]]
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
        return roll_step(state, rollout, self.hosts[state.host], self.service, WITHIN, desk.clock)

    def late(self) -> None:
        """A worker that slept for an hour wakes up, and does on the host what it was about to do."""
        if not self.stale:
            return
        state, rollout = self.chance.choice(self.stale)
        newest = self._newest()
        if newest is not None and rollout.generation < newest.generation and newest.stage.is_open:
            host = self.hosts[state.host]
            before = (host.current, host.next) if host.newest > rollout.generation else None
            try:
                roll_step(state, rollout, host, self.service, WITHIN, self.desk.clock)
            except Exception:
                self.log.append("fenced")
            if before is not None:
                assert (host.current, host.next) == before, "a late worker touched what belongs to a newer generation"

    def release(self) -> None:
        rollouts = self.ledger.all(Rollout, app="shop", order="-generation")
        generation = rollouts[0].generation + 1 if rollouts else 1
        made = Rollout(
            id=Rollout.id_of("shop", generation),
            app="shop",
            generation=generation,
            commit=f"c{generation}",
            stage=RolloutStage.BUILT,
            image=self.chance.choice(IMAGES[1:]),
            wanted_at=self.now,
            built_at=self.now,
        )
        self.log.append(f"{made.id} {made.image and made.image.short} {'sick' if made.image in self.sick else 'good'}")
        self.ledger.add(made, self.now)

    def away(self) -> None:
        self.chance.choice(list(self.hosts.values())).offline = True

    def back(self) -> None:
        self.chance.choice(list(self.hosts.values())).offline = False

    def order(self) -> None:
        """A person orders something."""
        person, ledger = wish.Person("anna", "", self.now), cast(Ledger, self.ledger)
        scope = host_scope("ff", self.chance.choice(list(self.hosts)))
        orders: dict[str, Any] = {
            "pause": lambda: ledger.hold("shop", "anna", "", self.now),
            "resume": lambda: ledger.unhold("shop", "anna", "", self.now),
            "cordon": lambda: wish.cordon(ledger, scope, person),
            "uncordon": lambda: wish.uncordon(ledger, scope, person),
            "abort": lambda: wish.abort(ledger, "shop", person),
            "rollback": lambda: wish.rollback(ledger, "shop", "", person),
            "retry": lambda: wish.retry(ledger, "shop", person),
            "approve": lambda: wish.approve(ledger, "shop", None, person),
        }
        name = self.chance.choice(list(orders))
        self.log.append(name)
        try:
            orders[name]()
        except Refused as error:
            self.log.append(str(error))

    def by_hand(self) -> None:
        """Somebody stops or removes what runs on a host, where nothing of ours is under way."""
        name, host = self.chance.choice(list(self.hosts.items()))
        if host.current is None or host.next is not None:
            return
        self.by_hands.add(name)
        if self.chance.random() < 0.5:
            self.emptied.add(name)
        host.current = None if name in self.emptied else replace(host.current, up=False)
        self.log.append(f"{name} {'stopped' if host.current else 'removed'} by hand")

    def jump(self) -> None:
        self.now += self.chance.choice([1, 10, 60, 3600, 86_400, -60, -3600]) * timedelta(seconds=1)

    # --- what must be true at any moment ---

    def check(self) -> None:
        allowed = {rollout.image for rollout in self.ledger.all(Rollout) if rollout.stage is not RolloutStage.BUILT}
        for name, host in self.hosts.items():
            for slot in (host.current, host.next):
                if slot is None or not slot.up:
                    continue
                assert slot.image in {IMAGES[0], *allowed}, f"P2: {name} runs {slot.image.short}"
                if slot.image in self.sick:
                    self.bad.setdefault((slot.generation, self.places[name].kind), set()).add(name)
            if host.current is not None and host.current.up and name not in self.emptied:
                self.by_hands.discard(name)
            if self.service.order == "start-first" and name not in self.by_hands:
                assert host.serving is not None, f"P1: {name} serves nothing"
        for (generation, kind), names in self.bad.items():
            assert len(names) <= 1, f"P4: generation {generation} reached {sorted(names)} of class {kind!r}"
        for rollout in self.ledger.all(Rollout, stage=[RolloutStage.ROLLING]):
            self._check_limits(rollout)
        self._check_bytes()

    def _check_bytes(self) -> None:
        """P5: a layer comes again only after it was thrown away, and what a host may go back to never is."""
        for name, host in self.hosts.items():
            for layer, times in host.received.items():
                assert times <= 1 + host.dropped[layer], f"P5: {name} received {layer.short} {times} times"
        for state in self.ledger.all(HostState, stage=[HostStage.FETCHED, HostStage.PROVING, HostStage.FAILED]):
            kept, newest = self.hosts[state.host].images, self._newest()
            if newest is not None and state.rollout == newest.id and state.previous is not None:
                assert state.previous in kept, f"P5: {state.host} would have to fetch again what it ran"

    def _check_limits(self, rollout: Rollout) -> None:
        plan = self.desk.settings.fleets["ff"].plan
        hosts = self.ledger.all(HostState, rollout=rollout.id)
        moving = [h for h in hosts if h.stage.is_moving and h.stage is not HostStage.FETCHED]
        assert len(moving) <= plan.at_once + sum(host.stage in BROKEN for host in hosts), "more at once than allowed"

    # --- what must become true in the end ---

    def heal(self) -> None:
        """Everybody is there again, nobody holds anything up, and time goes by."""
        for host in self.hosts.values():
            host.offline = False
        for scope in list(self.ledger.holds()):
            self.ledger.unhold(scope, "anna", "", self.now)
        quiet = 0
        for _ in range(3000):
            before = self._all()
            self.look()
            for order, id in list(self.post.sent):
                if order is Order.ROLL:
                    self._carry(id, None)
            self._inspect()
            self._approve()
            self.check()
            quiet = 0 if self._all() != before else quiet + 1
            self.now += timedelta(seconds=1) if not quiet else timedelta(minutes=20)
            if quiet > 240:
                break
        newest = self._newest()
        assert not any(rollout.stage.is_open for rollout in self.ledger.all(Rollout)), "P3: it did not come to an end"
        put_right = self.desk.settings.fleets["ff"].drift == "put right"
        for name, host in self.hosts.items():
            state = self.ledger.find(HostState, rollout=newest.id, host=name) if newest else None
            if host.serving is None and name in self.by_hands and not (put_right and newest in self._kept()):
                assert newest not in self._kept() or self._failed(newest, name) or (state and state.drift), (
                    f"nobody is told of what was done to {name}"
                )
                continue
            if newest in self._kept() and self._failed(newest, name):
                continue
            assert host.serving is not None, f"P3: {name} serves nothing in the end"
            assert host.next is None or not host.next.up, f"P3: {name} has two"
            if newest is not None and newest.stage is RolloutStage.DONE and not self._failed(newest, name):
                assert host.serving == newest.image, f"P6: {name} runs something else than the newest"

    def _approve(self) -> None:
        for rollout in self.ledger.all(Rollout):
            if rollout.stage.is_open and rollout.approved < 9:
                self.ledger.replace(rollout, replace(rollout, approved=9), self.now)

    def _failed(self, rollout: Rollout, host: str) -> bool:
        state = self.ledger.find(HostState, rollout=rollout.id, host=host)
        return state is not None and state.stage in BROKEN

    def _all(self) -> list[Any]:
        # That a host was looked at is no change of it.
        states = [replace(one, inspected_at=None, revision=0) for one in self.ledger.all(HostState)]
        return [self.ledger.all(Rollout), states]

    def _kept(self) -> list[Rollout | None]:
        return [rollouts.kept(cast(Ledger, self.ledger), "shop")]

    def _newest(self) -> Rollout | None:
        found = self.ledger.all(Rollout, order="-generation")
        return found[0] if found else None


def live(seed: int, moments: int = 120) -> None:
    """A whole life. An `AssertionError` tells what was broken, and everything that had happened."""
    life = Life(seed)
    try:
        for _ in range(moments):
            life.happen()
            life.check()
        life.heal()
    except AssertionError as error:
        raise AssertionError(f"{error}\n" + "\n".join(life.log[:2] + life.log[-60:])) from error
