"""A swap can stop anywhere and go on: whatever stands on the host, the way to the end is the same as ever."""

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.image import Digest
from workers.fleet import swap
from workers.fleet.swap import Container, Containers, Goal, Move, Role, Verb

OLD, NEW, OTHER = (Digest("sha256:" + digit * 64) for digit in "123")
Step = Callable[[Containers], Move | None]


def container(image: Digest, generation: int, *, up: bool = True, restarts: str = "always") -> Container:
    return Container(image=image, generation=generation, spec="s", restart="always", restarts=restarts, up=up)


def goal(image: Digest = NEW, generation: int = 2, spec: str = "s") -> Goal:
    return Goal(image=image, generation=generation, spec=spec)


def states(seen: Containers, step: Step) -> list[Containers]:
    """What stands on the host before, between and after the moves."""
    found = [seen]
    for count, move in enumerate(swap.remaining(seen, step)):
        assert count < 20, "it goes on for ever"
        taken = move.to if move.verb is Verb.RENAME else move.role if move.verb is Verb.CREATE else None
        assert taken not in found[-1], "an engine gives every name once"
        found.append(swap.after(found[-1], move))
    return found


def verbs(seen: Containers, step: Step) -> list[str]:
    return [str(move) for move in swap.remaining(seen, step)]


SWAP = partial(swap.to_swap, goal=goal(), beside=False)
SWAP_BESIDE = partial(swap.to_swap, goal=goal(), beside=True)
SETTLE = partial(swap.to_settle, image=NEW)
BACK = partial(swap.to_return, image=OLD, goal=goal(OLD), generation=2, beside=False)
BACK_TO_NOTHING = partial(swap.to_return, image=None, goal=None, generation=2, beside=False)
RUNS_OLD: Containers = {Role.CURRENT: container(OLD, 1)}


def test_what_runs_is_stopped_only_once_its_successor_could_be_made() -> None:
    assert verbs(RUNS_OLD, SWAP) == ["create .next", "stop current", "start .next", "hold current"]


def test_start_first_leaves_what_runs_alone_until_its_successor_is_proven() -> None:
    assert verbs(RUNS_OLD, SWAP_BESIDE) == ["create .next", "start .next"]
    assert verbs(states(RUNS_OLD, SWAP_BESIDE)[-1], SETTLE) == [
        "rename .next to .proven",
        "stop current",
        "remove current",
        "rename .proven to current",
    ]


def test_the_first_swap_of_a_host_stops_nothing() -> None:
    assert verbs({}, SWAP) == ["create .next", "start .next"]


def test_what_was_taken_back_stays_to_be_looked_at_until_the_next_image_is_proven() -> None:
    seen = states(states(RUNS_OLD, SWAP)[-1], BACK)[-1]
    assert seen[Role.FAILED].image == NEW
    assert not seen[Role.FAILED].up
    third = partial(swap.to_swap, goal=goal(OTHER, 3), beside=False)
    settled = states(states(seen, third)[-1], partial(swap.to_settle, image=OTHER))[-1]
    assert set(settled) == {Role.CURRENT}


def test_going_back_starts_what_was_stopped_with_the_restart_policy_that_it_was_meant_to_have() -> None:
    swapped = states(RUNS_OLD, SWAP)[-1]
    assert not swapped[Role.CURRENT].up
    assert swapped[Role.CURRENT].restarts == "no"
    back = states(swapped, BACK)[-1]
    assert back[Role.CURRENT] == RUNS_OLD[Role.CURRENT]
    assert set(back) == {Role.CURRENT, Role.FAILED}


def test_going_back_after_the_old_container_is_gone_is_a_swap_of_its_image() -> None:
    settled = states(states(RUNS_OLD, SWAP)[-1], SETTLE)[-1]
    assert set(settled) == {Role.CURRENT}
    back = states(settled, BACK)[-1]
    assert back[Role.NEXT].image == OLD
    assert back[Role.NEXT].up
    assert set(states(back, partial(swap.to_settle, image=OLD))[-1]) == {Role.CURRENT}


def test_going_back_to_nothing_leaves_nothing_that_runs() -> None:
    for seen in (*states({}, SWAP), states(states({}, SWAP)[-1], SETTLE)[-1]):
        assert not any(left.up for left in states(seen, BACK_TO_NOTHING)[-1].values())


def test_going_back_to_nothing_does_not_touch_what_an_older_generation_put_there() -> None:
    assert verbs(RUNS_OLD, BACK_TO_NOTHING) == []


def test_a_generation_that_was_taken_back_is_known_by_what_is_left_of_it() -> None:
    back = states(states(RUNS_OLD, SWAP)[-1], BACK)[-1]
    assert swap.is_taken_back(back, goal())
    assert not swap.is_taken_back(back, goal(NEW, 3))
    settled = states(states(RUNS_OLD, SWAP)[-1], SETTLE)[-1]
    swapped_back = states(states(settled, BACK)[-1], partial(swap.to_settle, image=OLD))[-1]
    assert swap.is_taken_back(swapped_back, goal())


def test_an_unproven_container_of_an_older_rollout_makes_way() -> None:
    stale = states(RUNS_OLD, SWAP)[-1]
    newer = partial(swap.to_swap, goal=goal(OTHER, 3), beside=False)
    assert verbs(stale, newer) == ["stop .next", "remove .next", "create .next", "start .next"]


def test_another_specification_of_the_same_image_is_another_container() -> None:
    seen: Containers = {Role.CURRENT: container(NEW, 1)}
    assert Verb.CREATE in {move.verb for move in swap.remaining(seen, SWAP)}


def test_a_settling_that_was_cut_short_is_undone_as_long_as_the_old_container_is_there() -> None:
    proven = states(states(RUNS_OLD, SWAP)[-1], SETTLE)[1]
    assert set(proven) == {Role.CURRENT, Role.PROVEN}
    assert verbs(proven, BACK) == [
        "rename .proven to .next",
        "stop .next",
        "start current",
        "free current",
        "rename .next to .failed",
    ]


def test_start_first_has_the_old_one_up_again_before_the_new_one_stops() -> None:
    cut_short: Containers = {Role.CURRENT: container(OLD, 1, up=False), Role.NEXT: container(NEW, 2)}
    moves = verbs(cut_short, partial(BACK, beside=True))
    assert moves == ["start current", "stop .next", "hold .next", "rename .next to .failed"]


def test_what_was_taken_back_is_not_started_by_its_restart_policy() -> None:
    swapped: Containers = {Role.CURRENT: container(OLD, 1, up=False, restarts="no"), Role.NEXT: container(NEW, 2)}
    back = states(swapped, BACK)[-1]
    assert back[Role.FAILED].restarts == "no"
    assert back[Role.CURRENT].restarts == "always"


def test_only_the_last_failure_is_kept() -> None:
    failed_before: Containers = {
        Role.CURRENT: container(OLD, 1, up=False),
        Role.NEXT: container(NEW, 3),
        Role.FAILED: container(OTHER, 2, up=False),
    }
    assert states(failed_before, partial(BACK, generation=3))[-1][Role.FAILED].image == NEW


def test_a_proof_of_another_image_settles_nothing() -> None:
    assert verbs(states(RUNS_OLD, SWAP)[-1], partial(swap.to_settle, image=OTHER)) == []


def test_settling_what_was_gone_back_to_keeps_the_failure() -> None:
    back = states(states(RUNS_OLD, SWAP)[-1], BACK)[-1]
    assert verbs(back, partial(swap.to_settle, image=OLD)) == []


def test_a_swap_that_is_done_and_settled_is_not_begun_again() -> None:
    assert verbs(states(states(RUNS_OLD, SWAP)[-1], SETTLE)[-1], SWAP) == []


def test_going_back_by_a_swap_puts_an_unproven_container_out_of_the_way() -> None:
    lost: Containers = {Role.NEXT: container(NEW, 2)}
    back = states(lost, BACK)[-1]
    assert {role: one.image for role, one in back.items()} == {Role.NEXT: OLD, Role.FAILED: NEW}


@pytest.mark.parametrize("beside", [False, True], ids=["stop-first", "start-first"])
@given(data=st.data())
def test_a_process_may_die_after_any_move_of_any_step(beside: bool, data: st.DataObject) -> None:
    seen: Containers = RUNS_OLD
    step = SWAP_BESIDE if beside else SWAP
    back = partial(BACK, beside=beside)
    # given: a swap that was cut short as often as it likes, and perhaps proven, with the settling cut short as well
    for current in (step, SETTLE) if data.draw(st.booleans(), "proven") else (step,):
        for _ in range(data.draw(st.integers(0, 3), "deaths")):
            seen = data.draw(st.sampled_from(states(seen, current)), "left")
        seen = states(seen, current)[-1] if current is step else seen
    # when: it is settled, or taken back, and that is cut short too
    forward = data.draw(st.booleans(), "forward")
    end: Step = SETTLE if forward else back
    for _ in range(data.draw(st.integers(0, 3), "more deaths")):
        seen = data.draw(st.sampled_from(states(seen, end)), "left")
        runs = [one for one in seen.values() if one.up]
        # then: what is needed for either way out is there all the time, and with start-first something is up
        assert {one.image for one in seen.values()} >= {NEW}
        assert {Role.CURRENT, Role.PROVEN, Role.NEXT} & set(seen)
        assert runs or not beside
    seen = states(seen, end)[-1]
    # then: exactly one container is up, the right one, and a repetition finds nothing to do
    if not forward and Role.NEXT in seen:
        seen = states(seen, partial(swap.to_settle, image=OLD))[-1]
    up = [(role, one.image) for role, one in seen.items() if one.up]
    assert up == [(Role.CURRENT, NEW if forward else OLD)]
    assert set(seen) <= {Role.CURRENT, Role.FAILED}
    assert verbs(seen, end) == []


@pytest.mark.parametrize("beside", [False, True], ids=["stop-first", "start-first"])
def test_what_ran_before_is_there_until_its_successor_is_proven(beside: bool) -> None:
    swapping = states(RUNS_OLD, SWAP_BESIDE if beside else SWAP)
    assert all(state[Role.CURRENT].image == OLD for state in swapping)
    assert all(state[Role.CURRENT].up for state in swapping if beside or Role.NEXT not in state)
    for state in swapping:
        found = swap.proven(state)
        assert found is not None
        assert found.image == OLD


def test_what_is_proven_is_the_same_at_every_moment_of_settling() -> None:
    for state in states(states(RUNS_OLD, SWAP)[-1], SETTLE)[1:]:
        found = swap.proven(state)
        assert found is not None
        assert found.image == NEW
