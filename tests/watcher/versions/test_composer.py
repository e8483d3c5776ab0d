"""Composer's versions: what they are, their order, and which of them a constraint accepts."""

import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rig.composer import OwnClasses, Refused
from watcher.versions import SCHEMES
from watcher.versions import composer as versions
from watcher.versions.composer import NotComposer, bumped, compare, is_subset, normalize, satisfies, short
from watcher.versions.semver.constraint import parse
from watcher.versions.semver.interval import cover
from watcher.versions.semver.version import alias_prefix, normalize_branch

ROWS: dict[str, Any] = tomllib.loads(Path(__file__).with_name("composer.toml").read_text(encoding="utf-8"))
SCHEME = SCHEMES["packagist"]
STABILITY = {0: "stable", 5: "RC", 10: "beta", 15: "alpha", 20: "dev"}


def shown(constraint: str) -> str:
    """What a constraint covers, as the table has it."""
    found = cover(parse(constraint))
    intervals = [[f"{one.start.op} {one.start.version}", f"{one.end.op} {one.end.version}"] for one in found.intervals]
    return written(intervals, sorted(found.branches.names), found.branches.others)


def written(intervals: list[list[str]], names: list[str], others: bool) -> str:
    parts = [" ".join(bound.replace(" ", "") for bound in interval) for interval in intervals]
    parts += [" ".join(["all but", *names]) if names else "branches"] if others else names
    text = " | ".join(parts).replace(">=0.0.0.0-dev <9223372036854775807.0.0.0", "numbers")
    return text.replace(" <9223372036854775807.0.0.0", "").replace(">=0.0.0.0-dev <", "<")


def refused(function: Any, *args: Any) -> bool:
    try:
        function(*args)
    except NotComposer:
        return True
    return False


@pytest.mark.parametrize(("version", "normal"), ROWS["normal"].items())
def test_a_version_has_one_normal_form(version: str, normal: str) -> None:
    assert normalize(version) == normal


@pytest.mark.parametrize(("name", "normal"), ROWS["branch"].items())
def test_a_branch_is_a_version_by_its_name(name: str, normal: str) -> None:
    assert normalize_branch(name) == normal


@pytest.mark.parametrize("text", ROWS["no_versions"])
def test_what_is_no_version_is_refused_in_our_words(text: str) -> None:
    with pytest.raises(NotComposer, match="expected a version that Composer knows, got "):
        normalize(text)


@pytest.mark.parametrize(("version", "stability"), ROWS["stability"].items())
def test_a_version_says_itself_how_stable_it_is(version: str, stability: str) -> None:
    assert versions.stability(version) == stability


@pytest.mark.parametrize(("constraint", "covered"), ROWS["cover"].items())
def test_a_constraint_covers_numbers_and_branches(constraint: str, covered: str) -> None:
    assert shown(constraint) == covered


@pytest.mark.parametrize("text", ROWS["no_constraints"])
def test_what_is_no_constraint_is_refused_in_our_words(text: str) -> None:
    with pytest.raises(NotComposer, match="expected a constraint that Composer knows, got "):
        satisfies("1.0", text)


@pytest.mark.parametrize(("version", "constraint", "does"), ROWS["satisfies"])
def test_a_version_satisfies_a_constraint_or_does_not(version: str, constraint: str, does: bool) -> None:
    assert satisfies(version, constraint) is does


@pytest.mark.parametrize(("inner", "outer", "is_one"), ROWS["subset"])
def test_a_constraint_is_a_subset_of_another_or_is_not(inner: str, outer: str, is_one: bool) -> None:
    assert is_subset(inner, of=outer) is is_one


@pytest.mark.parametrize(("constraint", "minimum", "least"), ROWS["accepted"])
def test_a_requirement_says_how_stable_a_package_has_to_be(constraint: str, minimum: str, least: str) -> None:
    assert versions.accepted(constraint, minimum) == least


@pytest.mark.parametrize(("constraint", "version", "after"), ROWS["bump"])
def test_a_requirement_is_raised_to_a_version_as_composer_does(constraint: str, version: str, after: str) -> None:
    assert bumped(constraint, version) == after


@pytest.mark.parametrize(
    ("constraint", "version", "after"),
    [
        ("*", "4.2.3", ">=4.2.3"),
        ("~4", "4.2.3", "~4"),
        ("~4.1", "4.2.3", "^4.2.3"),
        ("~4.1.0", "4.1.3", "~4.1.3"),
        ("~4.1.0", "4.1.0", "~4.1.0"),
        ("~4.1.2", "4.1.6.2", "~4.1.6"),
        ("~4.1.2.1", "4.1.3", "~4.1.3.0"),
        ("~2026.1.561", "2026.1.583", "~2026.1.583"),
        ("^v4.1", "4.2.3", "^4.2.3"),
        ("v4.*", "4.2", "^4.2"),
        (">=v4.1", "4.2.3", ">=4.2.3"),
        ("^0.3 || ^0.4", "0.4.3", "^0.3 || ^0.4.3"),
        ("^0.3", "0.4.3", "^0.3"),
    ],
)
def test_tildes_and_zeros_are_raised_as_newer_composers_do(constraint: str, version: str, after: str) -> None:
    assert bumped(constraint, version) == after


def test_a_requirement_that_cannot_be_understood_is_not_raised() -> None:
    assert refused(bumped, "^4 and ^5", "4.2")
    assert refused(bumped, "^4", "latest")


def test_versions_have_an_order_and_it_is_not_that_of_texts() -> None:
    rising = ROWS["order"]

    assert sorted(rising[5:] + rising[:5], key=SCHEME.key) == rising
    assert all(compare(a, b) == -1 and compare(b, a) == 1 for a, b in pairwise(rising))


@pytest.mark.parametrize(
    ("a", "b"),
    [("1", "v1.0.0"), ("1.0-b2", "1.0.0beta.2"), ("1.0+a", "1.0+b"), ("04.7", "4.7"), ("master", "dev-master")],
)
def test_two_spellings_of_a_version_are_the_same_version(a: str, b: str) -> None:
    assert compare(a, b) == 0


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ("1.2.3", "1.2.4", "patch"),
        ("1.2.3", "1.2.3.1", "patch"),
        ("1.2.3-RC1", "1.2.3", "patch"),
        ("1.2.3", "1.3", "minor"),
        ("1.2.3", "2.0-RC1", "major"),
        ("0.3.1", "0.4.0", "major"),
        ("0.3.1", "0.3.2", "patch"),
        ("1.2", "1.x-dev", "minor"),
        ("20240309", "20240310", "major"),
        ("dev-main", "1.0", "major"),
        ("1.0", "dev-main", "major"),
    ],
)
def test_an_update_is_as_large_as_the_first_number_that_differs(before: str, after: str, kind: str) -> None:
    assert SCHEME.kind(before, after) == kind


@pytest.mark.parametrize(
    ("branch", "prefix"),
    [("1.x-dev", "1."), ("1.2.X-dev", "1.2."), ("1.2-dev", "1.2."), ("dev-main", ""), ("x-dev", ""), ("1.x", "")],
)
def test_an_alias_of_a_numbered_branch_begins_with_its_numbers(branch: str, prefix: str) -> None:
    assert alias_prefix(branch) == prefix


def test_two_branches_are_never_the_same() -> None:
    assert compare("dev-a", "dev-b") == -compare("dev-b", "dev-a") != 0
    assert compare("dev-master", "dev-trunk") != 0


@pytest.mark.parametrize(
    ("version", "written"),
    [
        ("v1.2", "1.2.0"),
        ("1.2.0.1", "1.2.0.1"),
        ("1.2.0.0-BETA.1", "1.2.0-beta1"),
        ("1.9999999.9999999.9999999-dev", "1.x-dev"),
        ("1.2.x-dev", "1.2.x-dev"),
        ("1.2-dev", "1.2.0-dev"),
        ("2024-03-09", "2024-03-09"),
        ("20240309-1112", "20240309.1112"),
        ("dev-main", "dev-main"),
        ("1.0-STABLE", "1.0.0-STABLE"),
    ],
)
def test_people_read_versions_without_needless_zeros(version: str, written: str) -> None:
    assert SCHEME.normal(version) == written


def test_without_a_constraint_everything_is_allowed() -> None:
    assert SCHEME.allows("", "dev-main")
    assert SCHEME.allows("^1", "1.2")
    assert not SCHEME.allows("^1", "2.0")


@pytest.mark.parametrize("text", ["9" * 600, "1." * 300, "dev-" + "x" * 600, " " * 600])
def test_a_version_as_long_as_a_page_is_refused(text: str) -> None:
    assert refused(normalize, text)


@pytest.mark.parametrize(
    "piece", [" ", "|", ",", "1 ", "1||", "^1 || ", "~1.2.3,", "-", "@", "#", "1.x-dev#", "\n", "0 - "]
)
def test_a_constraint_as_long_as_a_book_is_read_or_refused_at_once(piece: str) -> None:
    parse.cache_clear()
    for length in (19_000, 40_000):
        refused(satisfies, "1.0", piece * (length // len(piece)))


_TEXT = st.text(alphabet="0123456789.*xXvV-+_@#~^|<>=!, asdevbtrRCpl/\n\0é", max_size=25) | st.text(max_size=20)


@settings(max_examples=300, deadline=None)
@given(_TEXT, _TEXT)
def test_whatever_is_written_only_our_own_error_comes_out(a: str, b: str) -> None:
    for call in (lambda: compare(a, b), lambda: satisfies(a, b), lambda: is_subset(a, b), lambda: bumped(a, b)):
        refused(call)
    assert versions.stability(a) in versions.STABILITIES
    refused(versions.accepted, a)


@settings(max_examples=300, deadline=None)
@given(_TEXT)
def test_the_short_form_is_its_own_and_means_the_same(text: str) -> None:
    try:
        written = short(text)
    except NotComposer:
        return
    assert (short(written), normalize(written), compare(written, text)) == (written, normalize(text), 0)


# --- the same, asked of Composer -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def composer() -> Iterator[OwnClasses]:
    with OwnClasses() as composer:
        yield composer


def asked(composer: OwnClasses, question: str, *args: Any) -> Any:
    """What Composer says, or the class of errors that it answers with."""
    try:
        return composer.ask(question, *args)
    except Refused:
        return NotComposer


def ours(function: Any, *args: Any) -> Any:
    try:
        return function(*args)
    except NotComposer:
        return NotComposer


def test_the_tables_are_what_composer_says(composer: OwnClasses) -> None:
    for version, normal in ROWS["normal"].items():
        assert composer.ask("normalize", version) == normal
    for name, normal in ROWS["branch"].items():
        assert composer.ask("branch", name) == normal
    for version, stability in ROWS["stability"].items():
        assert composer.ask("stability", version) == stability
    for constraint, covered in ROWS["cover"].items():
        assert written(*composer.ask("cover", constraint)) == covered
    for version, constraint, does in ROWS["satisfies"]:
        assert composer.ask("satisfies", version, constraint) is does
    for inner, outer, is_one in ROWS["subset"]:
        assert composer.ask("subset", inner, outer) is is_one
    for constraint, minimum, least in ROWS["accepted"]:
        assert STABILITY.get(composer.ask("flag", constraint, minimum), minimum) == least
    for constraint, version, after in ROWS["bump"]:
        assert composer.ask("bump", constraint, version) == after
    assert composer.ask("sort", *ROWS["order"]) == ROWS["order"]
    assert {asked(composer, "normalize", text) for text in ROWS["no_versions"]} == {NotComposer}
    assert {asked(composer, "cover", text) for text in ROWS["no_constraints"]} == {NotComposer}


_NUMBER = st.sampled_from(["0", "0", "1", "2", "3", "7", "10", "00", "01", "007", "2024", "99999"])
_NUMBERS = st.lists(_NUMBER, min_size=1, max_size=4).map(".".join)
_DATES = st.sampled_from(["202403", "20240309", "2024-03-09", "20240309.1", "20240309-1112", "2024-03-09.5", "2024:03"])
_WORDS = st.sampled_from(["", "", "", "-dev", "dev", ".dev", "_", ".", "-"]) | st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "-", ".", "_"]),
    st.sampled_from(
        ["alpha", "beta", "RC", "rc", "a", "b", "p", "pl", "patch", "stable", "Alpha", "BETA", "STABLE", "foo"]
    ),
    st.sampled_from(["", "1", "2", "10", ".1", "-2", "2.1", "1-3"]),
    st.sampled_from(["", "", "", "-dev", "dev", ".dev"]),
)
_BRANCHES = st.sampled_from(
    ["dev-main", "dev-Main", "dev-1.x", "master", "trunk", "dev-master", "main-dev", "1.next-dev", "DEV-a", "dev-f/x"]
)
_OPEN = st.builds("{}.{}{}".format, _NUMBERS, st.sampled_from("xX*"), st.sampled_from(["-dev", "dev", "", ".dev"]))
_TAILS = st.sampled_from(
    ["", "", "", "", "", "+b", "+b.1-x", "@dev", "@beta", "@RC", "@stable", "@Alpha", "#1a2b", "+b@dev"]
)
_VERSIONS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "", "", "v", "V"]),
    st.builds("{}{}".format, _NUMBERS | _DATES, _WORDS) | _BRANCHES | _OPEN,
    _TAILS,
)
_ONE = (
    st.builds(
        "{}{}".format,
        st.sampled_from(
            ["^", "~", ">", ">=", "<", "<=", "=", "==", "!=", "<>", "^v", "~v", ">=v", ">", "~>", "=>", "!", "!=="]
        ),
        _VERSIONS,
    )
    | st.builds("{} {}".format, st.sampled_from([">", ">=", "<", "<=", "=", "!="]), _VERSIONS)
    | _VERSIONS
    | st.builds("{} - {}".format, _VERSIONS, _VERSIONS)
    | st.builds("{} as {}".format, _VERSIONS, _VERSIONS)
    | st.sampled_from(["*", "x", "v*", "*.*", "@dev", "", "*@beta"])
)
_BETWEEN = st.sampled_from([" ", ",", ", ", " , ", "|", "||", " || ", " | ", "  ", "|| "])
_CONSTRAINTS = st.builds(
    lambda first, more: first + "".join(between + one for between, one in more),
    _ONE,
    st.lists(st.tuples(_BETWEEN, _ONE), max_size=3),
)
_ALPHABET = st.text(alphabet="0129.*xv-+_@#~^|<>=!, asdevbtRCpl/", max_size=12)


@settings(max_examples=400, deadline=None)
@given(_VERSIONS | _ALPHABET)
def test_versions_are_read_as_composer_reads_them(composer: OwnClasses, version: str) -> None:
    assert ours(normalize, version) == asked(composer, "normalize", version)
    assert versions.stability(version) == composer.ask("stability", version)


@settings(max_examples=400, deadline=None)
@given(_CONSTRAINTS | _ALPHABET)
def test_constraints_are_read_as_composer_reads_them(composer: OwnClasses, constraint: str) -> None:
    said = asked(composer, "cover", constraint)

    assert ours(shown, constraint) == (said if said is NotComposer else written(*said))
    if said is not NotComposer:
        for minimum in versions.STABILITIES:
            flag = composer.ask("flag", constraint, minimum)
            assert versions.accepted(constraint, minimum) == STABILITY.get(flag, minimum)


@settings(max_examples=300, deadline=None)
@given(_VERSIONS, _CONSTRAINTS, _CONSTRAINTS)
def test_versions_and_constraints_fit_as_they_do_for_composer(
    composer: OwnClasses, version: str, one: str, other: str
) -> None:
    assert ours(satisfies, version, one) == asked(composer, "satisfies", version, one)
    assert ours(is_subset, one, other) == asked(composer, "subset", one, other)


@settings(max_examples=300, deadline=None)
@given(_VERSIONS, _VERSIONS)
def test_versions_are_ordered_as_composer_orders_them(composer: OwnClasses, a: str, b: str) -> None:
    if refused(compare, a, b) or {normalize(a)[:4], normalize(b)[:4]} == {"dev-"}:
        return
    said = asked(composer, "sort", a, b)

    assert compare(a, b) == 0 or sorted([a, b], key=SCHEME.key) == said


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.builds("{}{}".format, st.sampled_from(["^", ">=", ""]), _NUMBERS | _OPEN), min_size=1, max_size=3).map(
        " || ".join
    ),
    _VERSIONS,
)
def test_requirements_are_raised_as_composer_raises_them(composer: OwnClasses, constraint: str, version: str) -> None:
    # Older ones take 0 for a major version.
    if constraint.startswith("0") or "^0" in constraint or " 0" in constraint or version.lstrip("vV").startswith("0"):
        return
    assert ours(bumped, constraint, version) == asked(composer, "bump", constraint, version)
