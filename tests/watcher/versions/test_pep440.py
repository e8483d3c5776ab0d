"""Python's versions: their one spelling, their order, and what is none."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watcher.versions import SCHEMES

SCHEME = SCHEMES["pypi"]


def test_versions_are_ordered_as_pep_440_says_and_never_as_text() -> None:
    rising = ["1.0.dev1", "1.0a1", "1.0b2", "1.0rc1", "1.0", "1.0+local", "1.0.post1", "1.9", "1.10", "1!0.1"]

    assert sorted(set(rising), key=SCHEME.key) == rising


@pytest.mark.parametrize(
    ("written", "normal"), [("v1.0", "1.0"), ("1.0-ALPHA.1", "1.0a1"), ("1.0.POST", "1.0.post0"), ("01.002", "1.2")]
)
def test_a_version_has_one_spelling(written: str, normal: str) -> None:
    assert SCHEME.normal(written) == normal


@pytest.mark.parametrize(
    ("version", "early"), [("1.0", False), ("1.0rc1", True), ("1.0.dev1", True), ("1.0.post1", False)]
)
def test_a_prerelease_says_so_itself(version: str, early: bool) -> None:
    assert SCHEME.is_prerelease(version) is early


@pytest.mark.parametrize(
    ("constraint", "version", "allowed"),
    [("", "1.0rc1", True), (">=1,<2", "2.0", False), ("~=1.4.2", "1.4.9", True), ("!=1.5.*", "1.5.1", False)],
)
def test_a_constraint_admits_what_pep_440_says(constraint: str, version: str, allowed: bool) -> None:
    assert SCHEME.allows(constraint, version) is allowed


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ("1.2.3", "1.2.4", "patch"),
        ("1.2.3", "1.2.3.post1", "patch"),
        ("1.2", "1.2.0.1", "patch"),
        ("1.2.3", "1.3", "minor"),
        ("1.2.3", "2.0rc1", "major"),
        ("0.3.1", "0.4.0", "major"),
        ("0.3.1", "0.3.2", "patch"),
        ("0.9", "1.0", "major"),
        ("2025.1.31", "2025.4.1", "minor"),
        ("1.0", "1!1.0", "major"),
    ],
)
def test_an_update_is_as_large_as_the_first_number_that_differs(before: str, after: str, kind: str) -> None:
    assert SCHEME.kind(before, after) == kind


@pytest.mark.parametrize("text", ["", "latest", "1.0; rm -rf /", "../1.0", "1" * 5000, "<b>1</b>", "1.0\x1b[0m"])
def test_what_is_no_version_is_refused_in_our_words(text: str) -> None:
    with pytest.raises(ValueError, match="expected a PEP 440 version, got "):
        SCHEME.normal(text)


@pytest.mark.parametrize("text", ["latest", "=>1", ">=1 or <2", ">=" + "1" * 5000, ">=1;x"])
def test_what_is_no_constraint_is_refused_in_our_words(text: str) -> None:
    with pytest.raises(ValueError, match="expected a PEP 440 specifier, got "):
        SCHEME.allows(text, "1.0")


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="0123456789.!+-_abcrpostdev \x00é", max_size=20) | st.text(max_size=20))
def test_a_normal_form_is_its_own_normal_form(text: str) -> None:
    try:
        normal = SCHEME.normal(text)
    except ValueError:
        return
    assert (SCHEME.normal(normal), SCHEME.key(normal)) == (normal, SCHEME.key(text))
    assert normal.isascii()
    assert normal.isprintable()
