"""Carrying out: at most one at a time, only what is still due, and what came of it is written once."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import pytest

from watcher import config
from watcher.bump import Bump, BumpStage
from watcher.desk import Desk
from watcher.errors import Refused, Temporary, Unfit
from watcher.ledger import Ledger
from watcher.order import Lane, Order
from watcher.retry import REFUSED_AGAIN
from workers.carry import Step, carry_out

CONFIG = '[toplayer]\nstate = "/nowhere"\n'


@dataclass
class FakePost:
    nudged: int = 0

    def send(self, order: Order, id: str, lane: Lane = Lane.HERE) -> None:
        raise AssertionError("a step never sends the next order")

    def nudge(self) -> None:
        self.nudged += 1


@dataclass
class Work:
    """A step that does what a test says, and counts."""

    then: Callable[[Desk, Bump], Bump]
    is_due: bool = True
    goes_on: bool = False
    done: list[str] = field(default_factory=list)

    @property
    def step(self) -> Step[Bump]:
        return Step(lambda desk, id: desk.ledger.find(Bump, id=id), lambda *_: self.is_due, self._do, self.goes_on)

    def _do(self, desk: Desk, bump: Bump) -> Bump:
        self.done.append(bump.id)
        return self.then(desk, bump)


@pytest.fixture
def desk(tmp_path: Path, now: datetime) -> Iterator[Desk]:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    found = Bump(
        id="b", app="shop", ecosystem="pypi", package="p", from_version="1", to_version="2", found_at=now, reason=""
    )
    ledger.add(found, now)
    yield Desk(config.parse(CONFIG, "test"), ledger, lambda: now, FakePost())
    ledger.close()


def bump(desk: Desk) -> Bump:
    found = desk.ledger.find(Bump, id="b")
    assert found is not None
    return found


def proposed(desk: Desk, found: Bump) -> Bump:
    return found.at(BumpStage.PROPOSED, desk.clock(), branch="b")


def test_what_came_of_a_step_is_written_and_a_look_is_asked_for(desk: Desk) -> None:
    work = Work(proposed)
    assert carry_out(Order.PROPOSE, "b", desk, work.step)
    assert bump(desk).stage is BumpStage.PROPOSED
    assert isinstance(desk.post, FakePost)
    assert desk.post.nudged == 1


def test_an_order_that_is_not_due_any_more_does_nothing(desk: Desk) -> None:
    work = Work(proposed, is_due=False)
    assert not carry_out(Order.PROPOSE, "b", desk, work.step)
    assert not carry_out(Order.PROPOSE, "gone", desk, Work(proposed).step)
    assert work.done == []
    assert bump(desk).revision == 0


def test_two_messages_for_the_same_thing_are_one_step(desk: Desk) -> None:
    inner = Work(proposed)

    def meanwhile(desk: Desk, found: Bump) -> Bump:
        assert not carry_out(Order.PROPOSE, "b", desk, inner.step)
        return proposed(desk, found)

    assert carry_out(Order.PROPOSE, "b", desk, Work(meanwhile).step)
    assert inner.done == []


def test_a_step_that_cannot_be_done_now_is_tried_later(desk: Desk) -> None:
    def fail(desk: Desk, found: Bump) -> Bump:
        raise Temporary("the remote is away")

    carry_out(Order.PROPOSE, "b", desk, Work(fail).step)
    after = bump(desk)
    assert (after.stage, after.attempts, after.reason) == (BumpStage.FOUND, 1, "the remote is away")
    assert after.due_at is not None
    assert after.due_at > desk.clock()


def test_a_step_that_a_person_has_to_mend_is_tried_again_and_told_after_a_while(desk: Desk) -> None:
    class Expired(Refused):
        hint = "make a new one"

    def fail(desk: Desk, found: Bump) -> Bump:
        raise Expired("the token ran out")

    for _ in range(5):
        carry_out(Order.PROPOSE, "b", desk, Work(fail).step)
    after = bump(desk)
    assert (after.stage, after.attempts, after.reason) == (
        BumpStage.FOUND,
        5,
        "the token ran out (make a new one)",
    )
    assert after.due_at == desk.clock() + REFUSED_AGAIN
    assert [event.kind for event in desk.ledger.events()] == ["bump.found", "bump.stalled"]


def test_a_release_that_cannot_come_in_ends_its_bump(desk: Desk) -> None:
    def fail(desk: Desk, found: Bump) -> Bump:
        raise Unfit("it is in nobody's lock")

    carry_out(Order.PROPOSE, "b", desk, Work(fail).step)
    assert (bump(desk).stage, bump(desk).reason) == (BumpStage.FAILED, "it is in nobody's lock")


def test_a_fault_of_ours_is_one_line_in_the_ledger_and_is_tried_again(desk: Desk) -> None:
    def fail(desk: Desk, found: Bump) -> Bump:
        raise KeyError("oops")

    carry_out(Order.PROPOSE, "b", desk, Work(fail).step)
    assert bump(desk).reason == "an error of toplayer itself: KeyError: 'oops'"
    assert bump(desk).attempts == 1


def test_a_person_who_changed_the_entry_meanwhile_has_the_last_word(desk: Desk) -> None:
    def meanwhile(desk: Desk, found: Bump) -> Bump:
        desk.ledger.replace(found, found.at(BumpStage.CLOSED, desk.clock(), reason="no"), desk.clock())
        return proposed(desk, found)

    carry_out(Order.PROPOSE, "b", desk, Work(meanwhile).step)
    assert bump(desk).stage is BumpStage.CLOSED


def test_a_step_that_changes_nothing_is_no_event(desk: Desk) -> None:
    carry_out(Order.PROPOSE, "b", desk, Work(lambda desk, found: replace(found)).step)
    assert [event.kind for event in desk.ledger.events()] == ["bump.found"]


def test_a_step_that_goes_on_does_what_is_due_next_in_one_message(desk: Desk) -> None:
    work = Work(lambda desk, found: replace(found, attempts=found.attempts + 1), goes_on=True)
    limited = replace(work.step, due=lambda _desk, found, _now: found.attempts < 3)
    assert carry_out(Order.PROPOSE, "b", desk, limited)
    assert (work.done, bump(desk).attempts, bump(desk).revision) == (["b"] * 3, 3, 3)
    assert isinstance(desk.post, FakePost)
    assert desk.post.nudged == 1


def test_a_step_that_goes_on_ends_where_it_changes_nothing_or_somebody_else_wrote(desk: Desk) -> None:
    idle = Work(lambda _desk, found: replace(found), goes_on=True)
    carry_out(Order.PROPOSE, "b", desk, idle.step)

    def meanwhile(desk: Desk, found: Bump) -> Bump:
        desk.ledger.replace(found, replace(found, attempts=7), desk.clock())
        return proposed(desk, found)

    overtaken = Work(meanwhile, goes_on=True)
    carry_out(Order.PROPOSE, "b", desk, overtaken.step)
    assert (len(idle.done), len(overtaken.done)) == (1, 1)
    assert bump(desk).attempts == 7
