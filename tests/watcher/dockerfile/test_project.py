"""What is to be expected of a project beyond what its own past tells."""

from watcher.dockerfile.project import Project, expecting
from watcher.pin import Pin

LOCK = "requirements.txt"
PINS = tuple(Pin(ecosystem="pypi", package=name, version="1", lock=LOCK) for name in ("alpha", "beta", "rare"))
RATES = {"pypi:alpha": 0.1, "pypi:beta": 0.2, "pypi:rare": 0.0}


def test_releases_are_expected_where_the_past_has_had_fewer() -> None:
    one = Project(files={LOCK: 1}, history=(frozenset({LOCK}), frozenset({"x"})), days=30)

    found = expecting(one, PINS, RATES)

    # 9 in 30 days, of which one was there: two thirds of what is missing are of the one that comes twice as often.
    assert sum(LOCK in commit for commit in found.history) == 9
    names = [next(iter(names[LOCK])) for names in found.moved if names]
    assert (names.count("alpha"), names.count("beta"), names.count("rare")) == (3, 5, 0)
    assert len(found.moved) == len(found.history)


def test_a_past_that_was_livelier_stays_as_it_was() -> None:
    busy = Project(files={LOCK: 1}, history=(frozenset({LOCK}),) * 20, moved=({},) * 20, days=30)

    assert expecting(busy, PINS, RATES) == busy


def test_a_lock_outside_of_the_context_is_nobodys_business() -> None:
    other = Project(files={"main.py": 1}, history=(frozenset({"main.py"}),), moved=({},), days=30)

    assert expecting(other, PINS, RATES) == other
