"""The ledger keeps its word on both of its databases."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, inspect, make_url, text

from tests.rig.postgres import postgres
from watcher.bump import Bump, BumpStage
from watcher.database import Database
from watcher.decision import Decision, Reason, Verdict
from watcher.errors import LedgerRefused, LedgerUnreachable, Overtaken, Temporary
from watcher.head import Head
from watcher.image import Digest
from watcher.ledger import EVERYTHING, Ledger
from watcher.lookup import IndexState, Lookup, Outcome
from watcher.pin import Pin
from watcher.proposal import Checks, Proposal, Proposals, Tended
from watcher.receiver import Receiver
from watcher.release import File, Release
from watcher.rollout import Built, HostStage, HostState, Rollout, RolloutStage
from watcher.schema import migrate, newest
from watcher.standing import Standing, Weighing
from watcher.tables import metadata
from watcher.transfers import Transfer

DIGEST = Digest("sha256:" + "a" * 64)


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    base: str = request.getfixturevalue("database")
    name = f"t{abs(hash(request.node.nodeid))}"
    engine = create_engine(base.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return make_url(base).set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    opened = Ledger(url)
    yield opened
    opened.close()


def found(now: datetime, package: str = "django") -> Bump:
    return Bump(
        id=f"shop:{package}:2.0",
        app="shop",
        ecosystem="pypi",
        package=package,
        from_version="1.0",
        to_version="2.0",
        found_at=now,
    )


def test_every_kind_of_entry_comes_back_as_it_was_written(ledger: Ledger, now: datetime) -> None:
    file = File(filename="d.whl", url="https://index.example/d.whl", hashes={"sha256": "x"}, uploaded_at=now, yanked="")
    built = Built(image=DIGEST, layers=3, new_layers=1, size=9, new_size=4, pushed=4, seconds=0.5)
    pin = Pin(ecosystem="pypi", package="d", version="1", lock="uv.lock", hashes=("sha256:x",), extras=("s",))
    asked = Proposal(number=7, url="https://forge.example/7", branch="b", tip="t", checks=Checks.GREEN)
    entries = [
        (Bump, found(now), {"id": "shop:django:2.0"}),
        (
            Rollout,
            Rollout(id="shop:1", app="shop", generation=1, commit="c", wanted_at=now, image=DIGEST, built=built),
            {"id": "shop:1"},
        ),
        (HostState, HostState(rollout="shop:1", host="h1", position=0, previous=DIGEST, bytes=2**40), {"host": "h1"}),
        (Head, Head(app="shop", commit="c", pins=(pin,), branches=(("b", "c"),), surveyed_at=now), {"app": "shop"}),
        (
            Lookup,
            Lookup(index="pypi", package="d", releases=(Release(package="d", version="1", files=(file,)),)),
            {"index": "pypi", "package": "d"},
        ),
        (IndexState, IndexState(index="pypi", polled_at=now, packages=3), {"index": "pypi"}),
        (Receiver, Receiver(receiver="slack", cursor=7), {"receiver": "slack"}),
        (
            Proposals,
            Proposals(app="shop", looked_at=now, tended=(Tended(bump="b", proposal=asked, asked_at=now),), kept=("t",)),
            {"app": "shop"},
        ),
    ]
    for kind, entry, key in entries:
        assert ledger.add(entry, now) == entry
        assert ledger.find(kind, **key) == entry


def test_an_entry_is_added_once(ledger: Ledger, now: datetime) -> None:
    first = ledger.add(found(now), now)
    assert first is not None
    assert ledger.add(replace(found(now), why="again"), now) is None
    assert ledger.find(Bump, id=first.id) == first


def test_a_write_over_a_revision_that_is_gone_is_refused_and_changes_nothing(ledger: Ledger, now: datetime) -> None:
    before = found(now)
    ledger.add(before, now)
    after = ledger.replace(before, before.at(BumpStage.PROPOSED, now, branch="b"), now)
    with pytest.raises(Overtaken):
        ledger.replace(before, before.at(BumpStage.FAILED, now), now)
    assert ledger.find(Bump, id=before.id) == after
    assert [event.kind for event in ledger.events()] == ["bump.found", "bump.proposed"]


def test_changes_that_go_together_are_written_together_or_not_at_all(ledger: Ledger, now: datetime) -> None:
    one, two = found(now, "one"), found(now, "two")
    ledger.write([(None, one), (None, two)], now)
    stale = replace(two, revision=5)
    with pytest.raises(Overtaken):
        ledger.write([(one, one.at(BumpStage.CLOSED, now)), (stale, stale.at(BumpStage.CLOSED, now))], now)
    assert ledger.find(Bump, id=one.id) == one
    assert len(ledger.events()) == 2


def test_times_come_back_in_utc_whatever_zone_they_were_in(ledger: Ledger) -> None:
    seoul = datetime.fromisoformat("2026-11-02T18:00:00+09:00")
    ledger.add(replace(found(seoul), released_at=seoul), seoul)
    read = ledger.find(Bump, id="shop:django:2.0")
    assert read is not None
    assert read.released_at == seoul
    assert read.found_at.tzinfo == UTC


def test_an_error_of_another_program_cannot_break_the_ledger(ledger: Ledger, now: datetime) -> None:
    hostile = found(now).again(now, Temporary("\x00 \x1b[31m \u202e " + "x" * 10_000))
    ledger.add(hostile, now)
    read = ledger.find(Bump, id=hostile.id)
    assert read is not None
    assert "\x00" not in read.reason
    assert len(read.reason) <= 2000


def test_entries_are_listed_by_what_they_are_and_in_the_order_asked_for(ledger: Ledger, now: datetime) -> None:
    for n, stage in enumerate([BumpStage.FOUND, BumpStage.MERGED, BumpStage.FOUND]):
        ledger.add(replace(found(now + timedelta(seconds=n), f"p{n}"), stage=stage), now)
    names = [bump.package for bump in ledger.all(Bump, stage=[BumpStage.FOUND], order="-found_at")]
    assert names == ["p2", "p0"]
    assert len(ledger.all(Bump, limit=1)) == 1
    assert ledger.all(Bump, stage=[]) == ()
    assert sorted(ledger.rows(Bump, "package", app="shop")) == [("p0",), ("p1",), ("p2",)]


def test_events_only_ever_grow_and_are_read_from_where_one_stopped(ledger: Ledger, now: datetime) -> None:
    for name in ("a", "b", "c"):
        ledger.add(found(now, name), now)
    first, second, third = ledger.events()
    assert first.id is not None
    assert [event.id for event in (first, second, third)] == sorted(e.id for e in (first, second, third) if e.id)
    assert ledger.events(after=first.id) == (second, third)
    assert ledger.events(limit=1, newest_first=True) == (third,)
    assert ledger.last_event() == third.id


def held(now: datetime, package: str = "django") -> Decision:
    reason = Reason(version="2.0", verdict=Verdict.HELD, rule="cooldown", said="too young", free_at=now)
    return Decision(
        app="shop",
        package=package,
        at=now,
        current="1.0",
        newest="2.0",
        candidate="",
        verdict=Verdict.HELD,
        said="2.0 is held",
        reasons=(reason,),
    )


def test_a_decision_is_kept_when_it_says_something_new(ledger: Ledger, now: datetime) -> None:
    decision = held(now)
    later = replace(decision, at=now + timedelta(days=7), candidate="2.0", verdict=Verdict.TAKEN, reasons=())
    assert ledger.decide(Standing(decision))
    assert not ledger.decide(Standing(replace(decision, at=now + timedelta(hours=1))))
    assert ledger.decide(Standing(later))
    assert ledger.decisions("shop", "django") == (later, decision)
    assert ledger.decisions("shop", "django", before=now + timedelta(days=1)) == (decision,)


def test_each_version_of_a_package_has_a_decision_of_its_own(ledger: Ledger, now: datetime) -> None:
    one, other = held(now), replace(held(now), current="1.5")
    ledger.decide(Standing(other, "b"), Standing(one, "a"))
    assert ledger.standing("shop") == (Standing(one, "a"), Standing(other, "b"))
    ledger.weighed("shop", Weighing("mark", None), {("django", "1.0")})
    assert ledger.standing("shop") == (Standing(other, "b"),)
    assert ledger.decided("shop") == ["django"]


def test_what_gave_way_half_a_year_ago_is_forgotten_and_what_stands_is_not(ledger: Ledger, now: datetime) -> None:
    for month in range(10):
        ledger.decide(Standing(replace(held(now + timedelta(days=30 * month)), said=f"month {month}")))
    ledger.decide(Standing(held(now, "celery")))
    assert [one.said for one in ledger.decisions("shop", "django")] == [f"month {month}" for month in range(9, 2, -1)]
    assert ledger.decisions("shop", "django", before=now + timedelta(days=91))[0].said == "month 3"
    assert len(ledger.decisions("shop", "celery")) == 1


def test_of_a_package_whose_index_comes_and_goes_the_last_decisions_are_kept(
    ledger: Ledger, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watcher.standing.MOST", 5)
    for minute in range(20):
        ledger.decide(Standing(replace(held(now + timedelta(minutes=minute)), said=f"{minute}")))
    assert [one.said for one in ledger.decisions("shop", "django")] == ["19", "18", "17", "16", "15"]


def test_a_hold_says_who_and_why_and_is_an_event(ledger: Ledger, now: datetime) -> None:
    assert ledger.hold("shop", "ana", "holiday", now)
    assert not ledger.hold("shop", "bob", "me too", now)
    assert ledger.is_held("shop")
    assert not ledger.is_held("kiosk")
    assert ledger.hold(EVERYTHING, "ana", "", now)
    assert ledger.is_held("kiosk")
    assert ledger.unhold("shop", "bob", "", now)
    assert not ledger.unhold("shop", "bob", "", now)
    assert [event.kind for event in ledger.events()] == ["order.pause", "order.pause", "order.resume"]


def test_a_lease_has_one_holder_and_ends_with_the_block(ledger: Ledger, now: datetime) -> None:
    with ledger.lease("x", lambda: now) as mine, ledger.lease("x", lambda: now) as yours:
        assert (mine, yours) == (True, False)
    with ledger.lease("x", lambda: now) as again:
        assert again


def test_a_lease_is_renewed_while_it_is_held(ledger: Ledger) -> None:
    # A lease of 0.3 s, held for much longer, by a clock that really runs.
    started = threading.Event()
    with ledger.lease("x", lambda: datetime.now(UTC), timedelta(seconds=0.3)) as mine:
        assert mine
        started.wait(1.0)
        with ledger.lease("x", lambda: datetime.now(UTC)) as yours:
            assert not yours


def test_a_lease_of_a_killed_process_is_free_at_once(ledger: Ledger, url: str, now: datetime) -> None:
    script = (
        "import sys, time, datetime; from watcher.ledger import Ledger, utcnow\n"
        "ledger = Ledger(sys.argv[1])\n"
        "with ledger.lease('x', utcnow) as mine:\n"
        "    print(mine, flush=True); time.sleep(60)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", script, url], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    with holder.stdout:
        assert holder.stdout.readline().strip() == "True"
    with ledger.lease("x", lambda: datetime.now(UTC)) as while_it_lives:
        assert not while_it_lives
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with ledger.lease("x", lambda: datetime.now(UTC)) as mine:
        assert mine


def test_an_order_on_its_way_is_not_sent_twice_and_is_taken_over_by_its_worker(ledger: Ledger, now: datetime) -> None:
    assert ledger.post(["roll:a", "roll:b"], now) == ["roll:a", "roll:b"]
    assert ledger.post(["roll:a", "roll:c"], now) == ["roll:c"]
    with ledger.lease("roll:a", lambda: now) as mine:
        assert mine
        assert ledger.post(["roll:a"], now) == []
    assert ledger.post(["roll:a"], now) == ["roll:a"]


def test_a_look_that_was_asked_for_is_not_asked_for_again_until_it_begins(ledger: Ledger, now: datetime) -> None:
    assert ledger.post(["nudge"], now) == ["nudge"]
    assert ledger.post(["nudge"], now) == []
    assert ledger.answered("nudge", "another")
    assert not ledger.answered("nudge")
    assert ledger.post(["nudge"], now) == ["nudge"]


def test_a_fleet_may_have_more_hosts_than_a_statement_takes_values(ledger: Ledger, now: datetime) -> None:
    names = [f"roll:{n}" for n in range(33_000)]
    assert ledger.post(names, now) == names
    assert ledger.post(names, now) == []


def test_an_order_that_got_lost_is_sent_again_after_a_while(ledger: Ledger, now: datetime) -> None:
    ledger.post(["roll:a"], now)
    assert ledger.post(["roll:a"], now + timedelta(seconds=59)) == []
    assert ledger.post(["roll:a"], now + timedelta(seconds=61)) == ["roll:a"]


def test_many_at_once_lose_no_write_and_no_event(ledger: Ledger, now: datetime) -> None:
    ledger.add(Receiver(receiver="r"), now)

    def count_up(_: int) -> None:
        while True:
            before = ledger.find(Receiver, receiver="r")
            assert before is not None
            try:
                ledger.replace(before, replace(before, cursor=before.cursor + 1), now)
            except Overtaken:
                continue
            return

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count_up, range(40)))
    end = ledger.find(Receiver, receiver="r")
    assert end is not None
    assert end.cursor == 40


def test_many_processes_may_open_an_empty_ledger_at_the_same_time(url: str) -> None:
    script = "import sys; from watcher.ledger import Ledger; Ledger(sys.argv[1]).close()"
    openers = [
        subprocess.Popen([sys.executable, "-c", script, url], stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    assert [opener.communicate()[1] for opener in openers] == [""] * 4


def test_the_migrations_make_exactly_the_tables_of_a_new_ledger(ledger: Ledger, url: str) -> None:
    def told(connection: Connection) -> dict[str, list[object]]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        seen = inspect(connection)
        return {
            name: [
                sorted((c["name"], repr(c["type"]), c["nullable"]) for c in seen.get_columns(name)),
                seen.get_pk_constraint(name)["constrained_columns"],
                sorted((i["name"] or "", i["column_names"], i["unique"]) for i in seen.get_indexes(name)),
            ]
            for name in seen.get_table_names()
        }

    with contextlib.closing(Database(url)) as database:
        with database.reading() as connection:
            new = told(connection)
        with database.writing() as connection:
            metadata.drop_all(connection)
            connection.execute(text("DROP TABLE alembic_version"))
            migrate(connection)
        with database.reading() as connection:
            assert told(connection) == new
            assert connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == [newest()]


def test_who_reads_waits_for_nobody_who_writes(ledger: Ledger, url: str, now: datetime) -> None:
    ledger.add(found(now), now)
    with contextlib.closing(Database(url)) as other, other.writing() as connection:
        connection.execute(text("UPDATE bumps SET why = 'not yet'"))
        assert ledger.all(Bump) == (found(now),)


def test_a_ledger_from_the_future_is_left_alone(ledger: Ledger, url: str) -> None:
    with contextlib.closing(Database(url)) as database, database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(LedgerRefused, match="newer than this toplayer"):
        Ledger(url)


def test_what_cannot_be_a_ledger_is_refused_with_words(tmp_path: Path) -> None:
    junk = tmp_path / "junk.db"
    junk.write_text("this is not a database, and long enough to be looked at" * 20)
    with pytest.raises(LedgerRefused, match="not a database"):
        Ledger(f"sqlite:///{junk}")
    with pytest.raises(LedgerRefused, match="unable to open"):
        Ledger(f"sqlite:///{tmp_path}/no/such/directory/ledger.db")
    with pytest.raises(LedgerRefused):
        Ledger("nosuchthing://x")


def test_a_database_that_is_away_is_a_matter_of_time_and_its_password_stays_secret() -> None:
    with pytest.raises(LedgerUnreachable) as caught:
        Ledger("postgresql://toplayer:hunter2@127.0.0.1:1/toplayer")
    assert "hunter2" not in str(caught.value)


def test_outcomes_and_stages_are_words_of_ours_again(ledger: Ledger, now: datetime) -> None:
    ledger.add(Lookup(index="pypi", package="d", outcome=Outcome.ABSENT), now)
    ledger.add(HostState(rollout="r", host="h", position=0, stage=HostStage.STUCK), now)
    ledger.add(Rollout(id="a:1", app="a", generation=1, commit="c", wanted_at=now, stage=RolloutStage.ROLLED_BACK), now)
    assert ledger.all(Lookup)[0].outcome is Outcome.ABSENT
    assert ledger.all(HostState)[0].stage is HostStage.STUCK
    assert ledger.all(Rollout)[0].stage is RolloutStage.ROLLED_BACK


def test_how_far_a_pull_is_can_be_watched_until_it_is_over(ledger: Ledger, now: datetime) -> None:
    ledger.moved("shop:1:h1", Transfer(10, 100, now))
    ledger.moved("shop:1:h1", Transfer(3_000_000_000, 5_000_000_000, now))
    ledger.moved("shop:1:h2", Transfer(1, 2, now))
    assert ledger.transfers()["shop:1:h1"] == Transfer(3_000_000_000, 5_000_000_000, now)
    ledger.moved("shop:1:h1", None)
    assert set(ledger.transfers()) == {"shop:1:h2"}


def test_the_same_is_written_into_many_entries_and_into_no_others(ledger: Ledger, now: datetime) -> None:
    names = [f"p{n}" for n in range(33_000)]
    entries = [Lookup(index="a", package=name) for name in names] + [Lookup(index="b", package="p1")]
    ledger.write([(None, entry) for entry in entries], now)
    ledger.set(Lookup, {"looked_at": now}, field="package", of=names[1:], index="a")
    written = ledger.rows(Lookup, "index", "package", "revision", looked_at=now)
    assert sorted(written) == sorted(("a", name, 1) for name in names[1:])
    with pytest.raises(Overtaken):
        ledger.replace(entries[1], replace(entries[1], remark="by somebody who has read it before"), now)
    ledger.set(Lookup, {"looked_at": None}, field="package", of=[], index="a")


@pytest.mark.parametrize(
    ("spared", "changed", "decided"),
    [(None, 0, -1), (0, 0, -1), (1, 0, -1), (1, 1, -1), (1, 0, 0), (1, 0, 1)],
    ids=["not spared", "no more", "spared", "others now", "decided with it", "decided since"],
)
@pytest.mark.parametrize("said", [True, False], ids=["said", "not said"])
def test_whose_turn_it_is(
    ledger: Ledger, now: datetime, spared: int | None, changed: int, decided: int, said: bool
) -> None:
    hour = timedelta(hours=1)
    until = now + spared * hour if spared is not None else None
    made = Lookup(index="pypi", package="django", looked_at=now, changed_at=now + changed * hour, spared_until=until)
    ledger.add(made, now)
    ledger.decide(Standing(held(now + decided * hour)))
    state = IndexState(index="pypi", changed_at=now if said else None)

    quiet = spared == 1 and decided < 0 and said and not changed
    assert [one.package for one in ledger.unspared(state, now, ["shop"], [])] == ([] if quiet else ["django"])
    assert len(ledger.unspared(state, now, ["shop"], ["django"])) == 1
    assert ledger.unspared(replace(state, index="another"), now, ["shop"], ["django"]) == []
    if spared == 1 and said and not changed:
        assert ledger.unspared(state, now, ["blog"], []) == [], "what others have decided is their matter"
        ledger.decide(Standing(replace(held(now - hour), advisories=("GHSA-1",))))
        assert len(ledger.unspared(state, now, ["shop"], [])) == 1, "what fixes it waits for nothing"


def test_what_is_kept_is_as_it_stands_in_the_ledger(ledger: Ledger, url: str, now: datetime) -> None:
    one, two = (ledger.write([(None, Head(app=name, commit="c1"))], now)[0] for name in ("one", "two"))
    assert set(ledger.kept(Head, "app", ["one", "two", "three"])) == {one, two}
    with contextlib.closing(Ledger(url)) as other:
        after = other.replace(one, replace(one, commit="c2"), now)
    found = {head.app: head for head in ledger.kept(Head, "app", ["one", "two"])}
    assert found == {"one": after, "two": two}
    assert ledger.kept(Head, "app", ["one"])[0] is found["one"], "and it was not read again"
    assert ledger.kept(Head, "app", []) == ()
