"""Which release, if any, and what is said of the others."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import MONDAY
from watcher.advisory import Advisory, Span
from watcher.choose import choose
from watcher.decision import Decision, Verdict
from watcher.lookup import Lookup, Outcome
from watcher.pin import Pin
from watcher.policy import Cooldown, Policy, Watch
from watcher.release import File, Release
from watcher.requirement import Raise
from watcher.rules import Rules
from watcher.versions import SCHEMES
from watcher.wheels import Wheels

POLICY = Policy(watch=Watch.ALL)
RULES = Rules(app="shop", target=Wheels("3.12", "manylinux_2_28", "x86_64"), policy=POLICY)
AT_ONCE = replace(RULES, policy=replace(POLICY, cooldown=Cooldown(*[timedelta(0)] * 3)))
PIN = Pin(ecosystem="pypi", package="requests", version="2.32.3", lock="uv.lock")
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def release(
    version: str,
    *,
    at: datetime | None = LONG_AGO,
    yanked: str | None = None,
    requires_python: str = "",
    tag: str = "py3-none-any",
) -> Release:
    file = File(
        filename=f"requests-{version}-{tag}.whl",
        url="https://index.example/",
        requires_python=requires_python,
        uploaded_at=at,
        yanked=yanked,
    )
    return Release(package="requests", version=version, files=(file,))


def known(*releases: Release | str) -> Lookup:
    made = tuple(release(one) if isinstance(one, str) else one for one in releases)
    return Lookup(
        index="pypi",
        package="requests",
        outcome=Outcome.ANSWER,
        looked_at=MONDAY,
        answered_at=MONDAY,
        releases=made,
    )


def said(decision: Decision) -> dict[str, tuple[Verdict, str]]:
    return {reason.version: (reason.verdict, reason.rule) for reason in decision.reasons}


def test_the_newest_release_is_taken_and_the_others_know_why_they_are_not() -> None:
    decision = choose(PIN, known("2.9.0", "2.32.3", "2.32.4", "2.32.10"), RULES, MONDAY)

    assert (decision.verdict, decision.candidate, decision.newest) == (Verdict.TAKEN, "2.32.10", "2.32.10")
    assert (decision.app, decision.package, decision.current, decision.at) == ("shop", "requests", "2.32.3", MONDAY)
    assert decision.said == "2.32.10 may come in"
    assert [(reason.version, reason.said) for reason in decision.reasons] == [
        ("2.32.10", "2.32.10 may come in"),
        ("2.32.4", "2.32.10 is newer"),
    ]


def test_when_nothing_is_newer_the_pin_is_current() -> None:
    decision = choose(PIN, known("2.31.0", "2.32.3"), RULES, MONDAY)

    assert (decision.verdict, decision.candidate, decision.reasons) == (Verdict.CURRENT, "", ())
    assert decision.said == "nothing is newer than 2.32.3"


def test_a_pin_never_goes_back_even_when_its_release_is_yanked() -> None:
    decision = choose(PIN, known("2.32.2", release("2.32.3", yanked="breaks proxies")), RULES, MONDAY)

    assert (decision.verdict, decision.candidate) == (Verdict.CURRENT, "")
    assert decision.said == "nothing is newer than 2.32.3, which is yanked: breaks proxies"


def test_a_pin_that_is_yanked_is_said_to_be_so_whatever_comes_next() -> None:
    yanked = release("2.32.3", yanked="breaks proxies")

    moves = choose(PIN, known(yanked, "2.32.4"), RULES, MONDAY)
    waits = choose(PIN, known(yanked, release("2.32.4", at=MONDAY)), RULES, MONDAY)
    stays = choose(PIN, known(yanked, "2.32.4"), replace(RULES, policy=Policy(watch=Watch.NONE)), MONDAY)

    assert moves.said == "2.32.4 may come in; 2.32.3 is yanked: breaks proxies"
    assert waits.said.endswith("(cooldown 3 days); 2.32.3 is yanked: breaks proxies")
    assert stays.said == "requests is ignored by the policy; 2.32.3 is yanked: breaks proxies"
    assert {moves.flaw, waits.flaw, stays.flaw} == {"is yanked: breaks proxies"}
    assert choose(PIN, known("2.32.3"), RULES, MONDAY).flaw == ""


def test_a_release_whose_tag_has_moved_waits_until_a_person_looks() -> None:
    def moved(version: str) -> Release:
        one = release(version)
        return replace(one, files=(replace(one.files[0], moved="its tag has moved from a to b"),))

    decision = choose(PIN, known("2.32.4", moved("2.32.5")), RULES, MONDAY)

    assert decision.candidate == "2.32.4"
    assert said(decision)["2.32.5"] == (Verdict.REFUSED, "moved")
    assert decision.reasons[0].said == "2.32.5 is not what it was: its tag has moved from a to b"
    pinned = choose(PIN, known(moved("2.32.3")), RULES, MONDAY)
    assert pinned.said == "nothing is newer than 2.32.3, which is not what it was: its tag has moved from a to b"


def test_a_yanked_release_is_never_chosen() -> None:
    decision = choose(PIN, known("2.32.4", release("2.32.5", yanked="breaks proxies")), RULES, MONDAY)

    assert decision.candidate == "2.32.4"
    assert decision.said == "2.32.4 may come in; 2.32.5 is yanked: breaks proxies"


def test_a_release_with_one_yanked_file_lives_on_its_others() -> None:
    whole, half = release("2.32.4"), release("2.32.4", yanked="bad build", tag="cp312-cp312-manylinux_2_28_x86_64")
    one_left = replace(whole, files=(*whole.files, *half.files))
    none_left = replace(half, files=(*half.files, *release("2.32.4", tag="cp311-cp311-win32").files))

    assert choose(PIN, known(one_left), RULES, MONDAY).candidate == "2.32.4"
    assert said(choose(PIN, known(none_left), RULES, MONDAY)) == {"2.32.4": (Verdict.REFUSED, "wheel")}


def test_prereleases_are_for_those_who_pin_one() -> None:
    releases = known("2.33.0b1", "2.33.0.dev1", "2.32.4")

    stable = choose(PIN, releases, RULES, MONDAY)
    daring = choose(replace(PIN, version="2.33.0a1"), releases, RULES, MONDAY)

    assert (stable.candidate, daring.candidate) == ("2.32.4", "2.33.0b1")
    assert stable.reasons[0].said == "2.33.0b1 is a pre-release, and 2.32.3 is not"


def test_the_projects_constraint_is_respected() -> None:
    decision = choose(replace(PIN, constraint="<3,>=2"), known("2.33.0", "3.0.0"), RULES, MONDAY)

    assert decision.candidate == "2.33.0"
    assert decision.reasons[0].said == "3.0.0 is outside of the project's constraint <3,>=2"


@pytest.mark.parametrize(
    ("constraint", "requirement", "candidate"),
    [
        ("==2.32.3", Raise.KEEP, "3.0.0"),
        ("<3", Raise.KEEP, ""),
        ("<3", Raise.WIDEN, "3.0.0"),
        ("<3", Raise.BUMP, "3.0.0"),
    ],
)
def test_an_exact_requirement_is_no_limit_and_another_one_is_while_the_policy_keeps_it(
    constraint: str, requirement: Raise, candidate: str
) -> None:
    rules = replace(RULES, policy=replace(POLICY, requirement=requirement))

    assert choose(replace(PIN, constraint=constraint), known("3.0.0"), rules, MONDAY).candidate == candidate


def test_a_constraint_that_cannot_be_read_admits_nothing() -> None:
    decision = choose(replace(PIN, constraint="whatever"), known("2.33.0"), RULES, MONDAY)

    assert decision.said == "the project's constraint whatever cannot be understood"


def test_a_release_for_another_python_or_platform_is_passed_over() -> None:
    releases = known("2.32.4", release("2.33", requires_python=">=3.13"), release("2.34", tag="cp312-cp312-win_amd64"))

    decision = choose(PIN, releases, RULES, MONDAY)

    assert decision.candidate == "2.32.4"
    assert [reason.said for reason in decision.reasons[:2]] == [
        "2.34 has no wheel for Python 3.12 on manylinux_2_28_x86_64",
        "2.33 needs Python >=3.13, and the image has 3.12",
    ]


def test_a_release_is_held_until_it_has_cooled_down() -> None:
    releases = known("2.32.3", release("2.32.4", at=datetime(2026, 11, 1, 9, 0, tzinfo=UTC)))

    held = choose(PIN, releases, RULES, MONDAY)
    free = choose(PIN, releases, RULES, MONDAY + timedelta(days=2))

    assert (held.verdict, held.candidate) == (Verdict.HELD, "")
    assert held.said == "2.32.4 is held until 2026-11-04 09:00 UTC (cooldown 3 days)"
    assert held.reasons[0].free_at == datetime(2026, 11, 4, 9, 0, tzinfo=UTC)
    assert (free.verdict, free.candidate) == (Verdict.TAKEN, "2.32.4")


def test_while_the_newest_cools_down_an_older_one_may_come_in() -> None:
    decision = choose(PIN, known("2.32.4", release("2.32.5", at=MONDAY)), RULES, MONDAY)

    assert (decision.verdict, decision.candidate) == (Verdict.TAKEN, "2.32.4")
    assert decision.said == "2.32.4 may come in; 2.32.5 is held until 2026-11-05 09:00 UTC (cooldown 3 days)"


def test_a_wheel_that_was_added_to_an_old_release_is_not_old() -> None:
    old, new = release("2.32.4"), release("2.32.4", at=MONDAY, tag="cp312-cp312-manylinux_2_28_x86_64")
    elsewhere = release("2.32.4", at=MONDAY, tag="cp312-cp312-win_amd64")

    touched = choose(PIN, known(replace(old, files=(*old.files, *new.files))), RULES, MONDAY)
    untouched = choose(PIN, known(replace(old, files=(*old.files, *elsewhere.files))), RULES, MONDAY)

    assert (touched.verdict, untouched.verdict) == (Verdict.HELD, Verdict.TAKEN)


def test_an_index_that_does_not_tell_how_old_a_release_is_holds_it() -> None:
    releases = known(release("2.32.4", at=None))

    held = choose(PIN, releases, RULES, MONDAY)

    assert (held.verdict, held.reasons[0].free_at) == (Verdict.HELD, None)
    assert held.said == "2.32.4 is held: the index does not say how old it is (cooldown 3 days)"
    assert choose(PIN, releases, AT_ONCE, MONDAY).candidate == "2.32.4"


def test_the_end_of_time_is_no_reason_to_fall_over() -> None:
    releases = known(release("2.32.4", at=datetime(9999, 12, 31, tzinfo=UTC)))

    decision = choose(
        PIN, releases, replace(RULES, policy=replace(POLICY, cooldown=Cooldown(*[timedelta(days=100_000)] * 3))), MONDAY
    )

    assert decision.verdict is Verdict.HELD


def test_a_version_that_a_person_closed_stays_closed_and_the_next_one_does_not() -> None:
    rules = replace(RULES, silenced={"2.32.4": "closed by anna"})

    closed = choose(PIN, known("2.32.4"), rules, MONDAY)

    assert (closed.verdict, closed.said) == (Verdict.REFUSED, "2.32.4 was put aside: closed by anna")
    assert choose(PIN, known("2.32.4", "2.32.5"), rules, MONDAY).candidate == "2.32.5"


@pytest.mark.parametrize(
    ("pin", "rules", "rule", "words"),
    [
        (PIN, replace(RULES, policy=replace(POLICY, watch=Watch.NONE)), "ignore", "requests is ignored by the policy"),
        (replace(PIN, source="git"), RULES, "source", "requests has a git source, which only a person moves"),
    ],
)
def test_a_pin_that_is_not_ours_to_move_says_so(pin: Pin, rules: Rules, rule: str, words: str) -> None:
    decision = choose(pin, known("2.32.4", "2.32.5"), rules, MONDAY)

    assert (decision.verdict, decision.candidate, decision.said) == (Verdict.REFUSED, "", words)
    assert said(decision) == {"2.32.5": (Verdict.REFUSED, rule), "2.32.4": (Verdict.REFUSED, rule)}
    assert choose(pin, Lookup(index="pypi", package="requests"), rules, MONDAY).said == words, "looked or not"


def test_a_package_of_another_is_moved_only_where_all_are_watched() -> None:
    direct = replace(RULES, policy=Policy(watch=Watch.DIRECT))

    left_alone = choose(replace(PIN, direct=False), known("2.32.4"), direct, MONDAY)

    words = "requests is there for another package, and the policy watches what the app asks for"
    assert (left_alone.verdict, left_alone.said) == (Verdict.REFUSED, words)
    assert choose(replace(PIN, direct=False), known("2.32.4"), RULES, MONDAY).candidate == "2.32.4"


def test_what_is_in_no_image_moves_for_its_security_only_and_whatever_its_platform() -> None:
    outside = replace(RULES, outside="only with dev", target=RULES.target.elsewhere())
    releases = known("2.32.3", release("2.32.4", tag="cp312-cp312-win32"))

    left_alone = choose(PIN, releases, outside, MONDAY)
    hit = choose(PIN, releases, replace(outside, advisories=(advisory("2.32.4"),)), MONDAY)

    words = "requests is in no image (only with dev), so it is moved for its security only"
    assert (left_alone.verdict, left_alone.said) == (Verdict.REFUSED, f"{words}, and nothing is known against it")
    assert (hit.verdict, hit.candidate, hit.fixes) == (Verdict.TAKEN, "2.32.4", ("CVE-2026-1",))


def test_not_looked_is_not_nothing_new() -> None:
    decision = choose(PIN, Lookup(index="pypi", package="requests"), RULES, MONDAY)

    assert (decision.verdict, decision.newest, decision.candidate) == (Verdict.UNKNOWN, "", "")
    assert decision.said == "not looked: the index has not been asked yet"


def test_what_was_known_before_an_outage_is_told_but_is_no_decision() -> None:
    stale = replace(
        known("2.32.3", "2.32.4"), outcome=Outcome.UNKNOWN, reason="index.example did not answer: it is down"
    )

    decision = choose(PIN, stale, RULES, MONDAY + timedelta(hours=5))

    assert (decision.verdict, decision.newest, decision.candidate) == (Verdict.UNKNOWN, "2.32.4", "2.32.4")
    assert decision.said == (
        "not looked: index.example did not answer: it is down; "
        "its answer of 2026-11-02 09:00 UTC comes to: 2.32.4 may come in"
    )


def test_a_package_that_the_index_does_not_know_is_said_to_be_missing() -> None:
    absent = Lookup(index="pypi", package="requests", outcome=Outcome.ABSENT, answered_at=MONDAY)

    decision = choose(PIN, absent, RULES, MONDAY)

    assert (decision.verdict, decision.said) == (Verdict.REFUSED, "requests is not on the index pypi")


def test_the_same_facts_give_the_same_decision_whenever_they_are_looked_at() -> None:
    releases = known("2.32.4", release("2.32.5", at=MONDAY))

    first = choose(PIN, releases, RULES, MONDAY)
    later = choose(PIN, replace(releases, releases=releases.releases[::-1]), RULES, MONDAY + timedelta(hours=1))

    assert later.same_as(first)


# --- security -------------------------------------------------------------------------------------------------------


def advisory(fixed: str, *, id: str = "CVE-2026-1", introduced: str = "", malware: bool = False) -> Advisory:
    return Advisory(id=id, aliases=(id,), malware=malware, spans=(Span(introduced=introduced, fixed=fixed),))


def against(*advisories: Advisory, **more: Any) -> Rules:
    return replace(RULES, policy=Policy(**more), advisories=advisories)


def test_a_security_fix_does_not_wait() -> None:
    releases = known("2.32.3", release("2.32.4", at=MONDAY))

    decision = choose(PIN, releases, against(advisory("2.32.4")), MONDAY)

    assert (decision.candidate, decision.advisories, decision.fixes) == ("2.32.4", ("CVE-2026-1",), ("CVE-2026-1",))
    assert decision.said == "CVE-2026-1 affects 2.32.3; 2.32.4 fixes CVE-2026-1 and may come in"
    assert decision.reasons[0].rule == "security"


def test_what_another_package_needs_moves_to_the_lowest_version_that_is_fixed() -> None:
    transitive = replace(PIN, direct=False)

    decision = choose(transitive, known("2.32.4", "2.32.5", "2.33.0", "3.0"), against(advisory("2.32.5")), MONDAY)

    assert decision.candidate == "2.32.5"
    assert said(decision) == {
        "3.0": (Verdict.REFUSED, "watch"),
        "2.33.0": (Verdict.REFUSED, "watch"),
        "2.32.5": (Verdict.TAKEN, "security"),
        "2.32.4": (Verdict.REFUSED, "watch"),
    }


def test_a_choice_that_fixes_it_anyway_is_the_usual_one() -> None:
    decision = choose(PIN, known("2.32.4", "2.32.5", "2.33.0"), against(advisory("2.32.5")), MONDAY)

    assert (decision.candidate, decision.fixes) == ("2.33.0", ("CVE-2026-1",))


def test_of_several_advisories_as_many_as_possible_are_fixed() -> None:
    two = against(advisory("2.32.4"), advisory("2.32.6", id="CVE-2026-2"), watch=Watch.SECURITY)

    decision = choose(PIN, known("2.32.4", "2.32.5", "2.32.6", "2.32.7"), two, MONDAY)

    assert (decision.candidate, decision.fixes) == ("2.32.6", ("CVE-2026-1", "CVE-2026-2"))


def test_without_a_fix_the_pin_stays_and_says_what_is_known_against_it() -> None:
    decision = choose(PIN, known("2.32.4"), against(advisory("2.40"), watch=Watch.SECURITY), MONDAY)

    assert (decision.verdict, decision.candidate) == (Verdict.REFUSED, "")
    assert decision.said.startswith("CVE-2026-1 affects 2.32.3; ")


def test_a_release_that_brings_harm_of_its_own_is_refused() -> None:
    fresh = advisory("", id="CVE-2026-9", introduced="2.33")
    malware = advisory("2.40", id="MAL-2026-1", introduced="2.33", malware=True)

    decision = choose(PIN, known("2.32.4", "2.33"), against(fresh), MONDAY)
    worse = choose(PIN, known("2.32.4", "2.33"), against(malware), MONDAY)

    assert (decision.candidate, decision.reasons[0].said) == ("2.32.4", "2.33 is affected by CVE-2026-9")
    assert (worse.candidate, worse.reasons[0].rule) == ("2.32.4", "malware")


def test_the_projects_constraint_holds_for_security_too() -> None:
    capped = replace(PIN, constraint="<2.33")

    decision = choose(capped, known("2.33"), against(advisory("2.33")), MONDAY)

    assert (decision.candidate, decision.reasons[0].rule) == ("", "constraint")


def test_until_a_source_of_advisories_was_heard_nothing_comes_in() -> None:
    rules = replace(RULES, uninformed="requests is held until osv tells what is known against it")

    decision = choose(PIN, known("2.32.4"), rules, MONDAY)

    assert (decision.verdict, decision.said) == (Verdict.HELD, rules.uninformed)


def test_a_package_that_its_index_quarantined_is_not_moved() -> None:
    quarantined = replace(known("2.32.4"), status="quarantined", status_said="stolen key")

    decision = choose(PIN, quarantined, RULES, MONDAY)

    assert decision.said == "requests is quarantined by its index: stolen key"
    assert (decision.verdict, decision.candidate) == (Verdict.REFUSED, "")


def test_what_the_index_says_of_the_project_is_told() -> None:
    decision = choose(PIN, replace(known("2.32.3"), status="archived"), RULES, MONDAY)

    assert decision.said == "nothing is newer than 2.32.3; its index calls it archived"


# --- wishes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("allow", "candidate", "words"),
    [
        ("patch", "2.32.9", "3.1 is a major update, and the policy allows patch ones"),
        ("minor", "2.40", "3.1 is a major update, and the policy allows minor ones"),
        ("major", "3.1", "3.1 may come in"),
        ("<2.40", "2.32.9", "3.1 is outside of what the policy allows (<2.40)"),
    ],
)
def test_no_update_is_larger_than_the_policy_allows(allow: str, candidate: str, words: str) -> None:
    decision = choose(PIN, known("2.32.9", "2.40", "3.1"), replace(RULES, policy=Policy(allow=allow)), MONDAY)

    assert (decision.candidate, decision.reasons[0].said) == (candidate, words)


def test_a_larger_update_may_have_to_be_older() -> None:
    cooldown = Cooldown(patch=timedelta(days=1), minor=timedelta(days=3), major=timedelta(days=14))
    week = MONDAY - timedelta(days=7)
    releases = known(release("2.32.4", at=MONDAY - timedelta(days=2)), release("3.0", at=week))

    decision = choose(PIN, releases, replace(RULES, policy=Policy(cooldown=cooldown)), MONDAY)

    assert decision.candidate == "2.32.4"
    assert decision.reasons[0].said == "3.0 is held until 2026-11-09 09:00 UTC (cooldown 14 days)"


def test_prereleases_come_in_for_those_who_wish_them() -> None:
    wishes = replace(RULES, policy=Policy(prereleases=True))

    assert choose(PIN, known("2.33.0b1"), wishes, MONDAY).candidate == "2.33.0b1"


@pytest.mark.parametrize(
    ("stability", "prereleases", "candidate"),
    [("", None, ""), ("stable", None, ""), ("beta", None, "2.33.0b1"), ("beta", False, ""), ("", True, "2.33.0b1")],
)
def test_without_a_word_of_the_policy_the_project_says_whether_prereleases_come_in(
    stability: str, prereleases: bool | None, candidate: str
) -> None:
    wishes = replace(RULES, policy=Policy(prereleases=prereleases))

    assert choose(replace(PIN, stability=stability), known("2.33.0b1"), wishes, MONDAY).candidate == candidate


def test_a_file_of_unknown_age_is_as_old_as_our_first_sight_of_it() -> None:
    unknown = release("2.32.4", at=None)
    seen = replace(unknown, files=tuple(replace(file, seen_at=MONDAY) for file in unknown.files))

    assert choose(PIN, known(seen), RULES, MONDAY + timedelta(days=2)).verdict is Verdict.HELD
    assert choose(PIN, known(seen), RULES, MONDAY + timedelta(days=3)).candidate == "2.32.4"


_version = st.from_regex(r"[0-3]\.[0-9]{1,2}(\.[0-9])?((a|b|rc)[0-3]|\.post[0-2]|\.dev[0-2])?", fullmatch=True)
_release = st.builds(
    release,
    _version,
    at=st.none() | st.timedeltas(timedelta(days=-30), timedelta(days=30)).map(lambda since: MONDAY + since),
    yanked=st.none() | st.text(max_size=5),
    requires_python=st.sampled_from(["", ">=3.9", ">=3.13", "nonsense"]),
    tag=st.sampled_from(["py3-none-any", "cp312-cp312-manylinux_2_28_x86_64", "cp312-cp312-win_amd64"]),
)


@settings(max_examples=150, deadline=None)
@given(_version, st.lists(_release, max_size=8), st.sampled_from(["", "<2", ">=1", "?"]))
def test_whatever_is_published_the_choice_keeps_its_promises(
    current: str, releases: list[Release], constraint: str
) -> None:
    scheme = SCHEMES["pypi"]
    pin = replace(PIN, version=scheme.normal(current), constraint=constraint)
    unique = {scheme.normal(one.version): replace(one, version=scheme.normal(one.version)) for one in releases}

    decision = choose(pin, known(*unique.values()), RULES, MONDAY)

    newer = [version for version in unique if scheme.key(version) > scheme.key(pin.version)]
    assert [reason.version for reason in decision.reasons] == sorted(newer, key=scheme.key, reverse=True)
    assert sum(reason.verdict is Verdict.TAKEN for reason in decision.reasons) == bool(decision.candidate)
    if decision.candidate:
        chosen = unique[decision.candidate]
        assert chosen.yanked is None
        assert scheme.allows(constraint, chosen.version)
        assert chosen.released_at
        assert MONDAY - chosen.released_at >= POLICY.cooldown.patch
