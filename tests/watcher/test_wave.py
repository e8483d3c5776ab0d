import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.wave import plan_waves, share


def test_a_canary_and_then_the_rest() -> None:
    assert plan_waves([1, "100%"], 10) == (1, 10)


def test_shares_are_rounded_up_and_waves_that_add_nobody_disappear() -> None:
    assert plan_waves([1, "1%", "25%"], 10) == (1, 3, 10)
    assert plan_waves([5, 3], 4) == (4,)
    assert plan_waves([1], 0) == ()


@pytest.mark.parametrize("wrong", [0, -1, "x%", "0%", "101%", "25", "", "nan%", "inf%", True])
def test_what_is_no_share_is_refused_with_words(wrong: int | str) -> None:
    with pytest.raises(ValueError, match="expected"):
        share(wrong)


@given(st.lists(st.one_of(st.integers(1, 50), st.integers(1, 100).map(lambda n: f"{n}%"))), st.integers(1, 200))
def test_waves_always_grow_and_always_reach_everybody(shares: list[int | str], hosts: int) -> None:
    waves = plan_waves(shares, hosts)
    assert waves[-1] == hosts
    assert list(waves) == sorted(set(waves))
    assert all(count >= 1 for count in waves)
