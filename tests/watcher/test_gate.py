"""The gate: what else a bump brings into the lock has to pass, too."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.conftest import MONDAY
from watcher.advisory import Advisory, Span
from watcher.gate import Arrival, GateHeld, GateShut, Pass, arrivals, judge, pass_or_raise
from watcher.lockfiles.diff import changes
from watcher.lookup import Lookup, Outcome
from watcher.pin import Pin
from watcher.policy import Policy, Watch
from watcher.release import File, Release
from watcher.rules import Rules
from watcher.wheels import Wheels

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
RULES = Rules(app="shop", target=Wheels("3.12", "manylinux_2_28", "x86_64"))
OLD = Pin(ecosystem="pypi", package="beta", version="1.0", lock="uv.lock", direct=False)
NEW = replace(OLD, version="2.0")
MOVED = Arrival(NEW, OLD)


def known(version: str = "2.0", *, at: datetime = LONG_AGO, yanked: str | None = None) -> Lookup:
    file = File(
        filename=f"beta-{version}-py3-none-any.whl", url="https://index.example/", uploaded_at=at, yanked=yanked
    )
    releases = (Release(package="beta", version=version, files=(file,)),)
    return Lookup(index="pypi", package="beta", outcome=Outcome.ANSWER, looked_at=MONDAY, releases=releases)


def judged(
    arrival: Arrival = MOVED,
    lookup: Lookup | None = None,
    rules: Rules = RULES,
    asked: str = "alpha",
    fixes: bool = False,
    by_hand: bool = False,
) -> str:
    waived = Pass(asked=frozenset({asked}), fixes=fixes, by_hand=by_hand)
    reason = judge(arrival, lookup or known(), rules, waived, MONDAY)
    return f"{reason.verdict} by {reason.rule}: {reason.said}" if reason else ""


def advisory(*, malware: bool = False, introduced: str = "2.0") -> Advisory:
    return Advisory(id="MAL-1" if malware else "GHSA-1", malware=malware, spans=(Span(introduced=introduced),))


def test_everything_that_comes_is_looked_at_whether_it_is_new_or_moved() -> None:
    core, side = replace(OLD, package="core"), replace(OLD, package="side")

    found = arrivals(changes([OLD, core], [NEW, core, side]))

    assert found == (Arrival(NEW, OLD), Arrival(side))


def test_what_is_old_enough_and_of_which_nothing_is_known_passes() -> None:
    assert judged() == ""
    assert judged(Arrival(NEW)) == ""


def test_a_release_of_yesterday_is_no_older_because_somebody_requires_it() -> None:
    young = known(at=MONDAY - timedelta(days=1))

    assert judged(lookup=young) == "held by cooldown: 2.0 is held until 2026-11-04 09:00 UTC (cooldown 3 days)"
    assert judged(Arrival(NEW), young).startswith("held by cooldown")


def test_a_security_fix_does_not_wait_but_what_comes_with_it_does() -> None:
    young = known(at=MONDAY - timedelta(days=1))

    assert judged(lookup=young, asked="beta", fixes=True) == ""
    assert judged(lookup=young, asked="alpha", fixes=True).startswith("held by cooldown")
    assert judged(lookup=young, asked="alpha", by_hand=True) == "", "a person ordered it"


def test_what_is_yanked_or_malware_comes_for_nobody() -> None:
    malware = replace(RULES, advisories=[advisory(malware=True)])

    assert judged(lookup=known(yanked="broken"), by_hand=True) == "refused by yanked: 2.0 is yanked: broken"
    assert judged(rules=malware, by_hand=True) == "refused by malware: 2.0 is malware (MAL-1)"


def test_an_advisory_that_was_there_before_is_no_reason_and_a_new_one_is() -> None:
    before, fresh = (replace(RULES, advisories=[advisory(introduced=since)]) for since in ("0.1", "2.0"))

    assert judged(rules=before) == ""
    assert judged(rules=fresh) == "refused by advisory: 2.0 is affected by GHSA-1"
    assert judged(Arrival(NEW), rules=before) == "refused by advisory: 2.0 is affected by GHSA-1", "new in the lock"


def test_what_the_policy_ignores_is_not_moved_by_way_of_another() -> None:
    ignored = replace(RULES, policy=Policy(watch=Watch.NONE))

    assert judged(rules=ignored) == "refused by ignore: would move, and the policy ignores it"
    assert judged(Arrival(NEW), rules=ignored) == "", "it does not move: it comes"


def test_a_version_that_a_person_closed_does_not_come_by_way_of_another() -> None:
    silenced = replace(RULES, silenced={"2.0": "closed"})

    assert judged(rules=silenced) == "refused by silenced: 2.0 was put aside: closed"
    assert judged(rules=silenced, asked="beta") == ""


def test_what_cannot_be_looked_up_is_held_and_not_waved_through() -> None:
    unknown = replace(known(), outcome=Outcome.UNKNOWN, reason="it says 503")

    assert judged(lookup=unknown) == "held by index: cannot be looked up: it says 503"
    assert judged(lookup=known("1.9")) == "held by index: the index pypi does not show it"
    assert judged(lookup=replace(known(), outcome=Outcome.ABSENT)).startswith("refused by index")
    assert judged(rules=replace(RULES, uninformed="beta is held until osv tells")).startswith("held by advisories")


def test_what_comes_from_no_index_neither_comes_nor_moves_by_way_of_another() -> None:
    git, old = (replace(pin, source="git", hashes=(f"ref:{pin.version}",)) for pin in (NEW, OLD))

    assert judged(Arrival(git)) == "refused by source: comes from a git source and not from an index"
    assert judged(Arrival(git, OLD)).startswith("refused by source")
    assert judged(Arrival(git, old)) == "refused by source: would move, and only a person moves a git source"
    assert judged(Arrival(replace(old, hashes=("ref:1.1",)), old), by_hand=True).startswith("refused by source")


def test_a_wheel_that_somebody_adds_to_an_old_release_has_to_cool_down() -> None:
    more = Arrival(replace(OLD, hashes=("sha256:1",)), OLD)

    assert judged(more, known("1.0", at=MONDAY)).startswith("held by cooldown")
    assert judged(more, known("1.0", yanked="gone")) == "", "it is in the lock already"


def test_a_file_that_its_index_does_not_have_is_refused_whoever_ordered_it() -> None:
    mine = known()
    releases = tuple(replace(one, files=(replace(one.files[0], hashes={"sha256": "aa"}),)) for one in mine.releases)
    told = replace(mine, releases=releases)
    strange = "refused by files: comes as a file that pypi does not have (sha256:bb)"

    assert judged(Arrival(replace(NEW, hashes=("sha256:aa",)), OLD), told) == ""
    assert judged(Arrival(replace(NEW, hashes=("sha256:aa", "sha256:bb")), OLD), told, by_hand=True) == strange
    assert judged(Arrival(replace(OLD, version="2.0", hashes=("sha256:bb",)), NEW), told) == strange, "no other version"
    assert judged(Arrival(replace(NEW, hashes=("sha512:bb",)), OLD), told) == "", "the index tells nothing of that kind"
    assert judged(Arrival(replace(NEW, hashes=("sha256:bb",)), OLD), mine) == ""


def test_a_moved_tag_comes_in_if_a_person_orders_exactly_that() -> None:
    mine = known()
    file = replace(mine.releases[0].files[0], moved="its tag has moved from a to b", hashes={"ref": "b"})
    moved = replace(mine, releases=(replace(mine.releases[0], files=(file,)),))
    one = Arrival(replace(NEW, hashes=("ref:b",)), OLD)

    assert judged(one, moved, asked="beta") == "refused by moved: 2.0 is not what it was: its tag has moved from a to b"
    assert judged(one, moved, asked="beta", by_hand=True) == ""
    assert judged(one, moved, by_hand=True).startswith("refused by moved"), "what comes with it nobody has looked at"
    assert judged(Arrival(replace(NEW, hashes=("ref:a",)), OLD), moved, asked="beta", by_hand=True).startswith(
        "refused by files"
    )


def test_all_reasons_are_told_and_the_last_one_says_how_long() -> None:
    waived = Pass()
    lookups = [known(at=MONDAY - timedelta(days=days)) for days in (1, 2)]
    held = [(MOVED, judge(MOVED, lookup, RULES, waived, MONDAY)) for lookup in lookups]

    with pytest.raises(GateHeld) as caught:
        pass_or_raise(held, MONDAY)

    assert caught.value.retry_after == timedelta(days=2).total_seconds()
    assert str(caught.value) == (
        "not proposed yet, because of what would come with it: beta 2.0 is held until 2026-11-04 09:00 UTC"
        " (cooldown 3 days); beta 2.0 is held until 2026-11-03 09:00 UTC (cooldown 3 days)"
    )
    pass_or_raise([(MOVED, None)], MONDAY)
    with pytest.raises(GateShut, match=r"beta 2\.0 is yanked"):
        pass_or_raise([*held, (MOVED, judge(MOVED, known(yanked="x"), RULES, waived, MONDAY))], MONDAY)
