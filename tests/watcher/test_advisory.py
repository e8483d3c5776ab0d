"""What affects which version: worked out for all versions of a package at once, as if each were asked by itself."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watcher.advisory import Advisory, Against, Span, affecting, bearable
from watcher.errors import IndexLied
from watcher.versions import SCHEMES, Scheme
from watcher.versions.composer import NotComposer, satisfies

PYPI, PACKAGIST = SCHEMES["pypi"], SCHEMES["packagist"]


def advisory(id: str = "A", **more: Any) -> Advisory:
    return Advisory(id=id, **more)


def affected(one: Advisory, scheme: Scheme, *versions: str) -> list[str]:
    against = Against([one], versions, scheme)
    return [version for version in versions if against.affecting(version)]


CUDA = ("1.9+cu118", "2.0", "2.0+cpu", "2.0+cu118", "2.0.1", "2.0.1+cu118")


@pytest.mark.parametrize(
    ("said", "hit"),
    [
        ({"spans": (Span(last="2.0"),)}, CUDA[:4]),
        ({"spans": (Span(introduced="2.0", fixed="2.0.1"),)}, CUDA[1:4]),
        ({"spans": (Span(introduced="2.0.1"),)}, CUDA[4:]),
        ({"versions": ("2.0",)}, CUDA[1:4]),
        ({"versions": ("2.0+cpu",)}, ("2.0+cpu",)),
        ({"versions": ("1.9", "3.0")}, ("1.9+cu118",)),
        ({"spans": (Span(introduced="2.0", fixed="2.0+cu118"),)}, ("2.0", "2.0+cpu")),
    ],
)
def test_what_a_builder_adds_to_a_version_does_not_take_it_out_of_an_advisory(
    said: dict[str, Any], hit: tuple[str, ...]
) -> None:
    assert affected(advisory(**said), PYPI, *CUDA) == list(hit)


def test_an_advisory_about_everything_is_about_branches_too_and_one_about_numbers_is_not() -> None:
    versions = ("1.0.0", "2.x-dev", "dev-main", "dev-master")

    assert affected(advisory(spans=(Span(),)), PACKAGIST, *versions) == list(versions)
    assert affected(advisory(constraint="*"), PACKAGIST, *versions) == list(versions)
    assert affected(advisory(spans=(Span(fixed="2.0"),)), PACKAGIST, *versions) == ["1.0.0"]
    assert affected(advisory(spans=(Span(introduced="0.1"),)), PACKAGIST, *versions) == ["1.0.0", "2.x-dev"]
    assert affected(advisory(versions=("dev-main",)), PACKAGIST, *versions) == ["dev-main"]
    assert affected(advisory(constraint="!=1.0,!=dev-main"), PACKAGIST, *versions) == ["2.x-dev", "dev-master"]


def test_what_cannot_be_read_affects_nothing_and_takes_nothing_else_along() -> None:
    one = advisory(spans=(Span(introduced="x"), Span(fixed="dev-main"), Span(last="1.0")), constraint="not one")

    assert affected(one, PACKAGIST, "1.0.0", "1.1.0") == ["1.0.0"]


def test_one_advisory_of_two_sources_counts_once() -> None:
    twice = [advisory("GHSA-1", aliases=("CVE-1",), spans=(Span(),)), advisory("CVE-1", versions=("1.0",))]

    assert {name: one.id for name, one in affecting("1.0", twice, PYPI).items()} == {"CVE-1": "GHSA-1"}
    assert affecting("1.1", twice[1:], PYPI) == {}


_NUMBERS = [f"{major}.{minor}{end}" for major in (0, 1, 2) for minor in (0, 1, 9) for end in ("", "-beta1", ".x-dev")]
_COMPOSER = sorted({PACKAGIST.normal(one) for one in [*_NUMBERS, "dev-main", "dev-master", "dev-x", "20240309"]})
_OF_COMPOSER = st.sampled_from([*_NUMBERS, "dev-main", "dev-master", "1.0 - 2.0", "2024"])
_ONE = st.builds("{}{}".format, st.sampled_from(["", "^", "~", ">", ">=", "<", "<=", "!=", "=="]), _OF_COMPOSER)
_CONSTRAINTS = st.lists(st.lists(_ONE, min_size=1, max_size=3).map(" ".join), min_size=1, max_size=3).map(
    " || ".join
) | st.sampled_from(["*", "dev-main", "^1 || dev-x"])


@settings(max_examples=400, deadline=None)
@given(st.lists(_CONSTRAINTS, max_size=3))
def test_all_versions_at_once_are_affected_as_each_by_itself(constraints: list[str]) -> None:
    against = Against([advisory(text, constraint=text) for text in constraints], _COMPOSER, PACKAGIST)

    for version in _COMPOSER:
        admitted = set()
        for text in constraints:
            with suppress(NotComposer):
                admitted |= {text} if satisfies(version, text) else set()
        assert against.affecting(version).keys() == admitted


_PYTHON = ["0.9", "1.0rc1", "1.0", "1.0+a", "1.0+b", "1.0.post1", "1.1.dev1", "1.1", "2.0+z", "1!0.5"]
_BOUND = st.sampled_from(["", *_PYTHON, "1.5", "3"])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.builds(lambda a, b, c: Span(introduced=a, fixed=b, last="" if b else c), *[_BOUND] * 3), max_size=4))
def test_spans_that_overlap_affect_what_is_in_one_of_them(spans: list[Span]) -> None:
    one = advisory(spans=tuple(spans))

    alone = [version for version in _PYTHON if one.affects(version, PYPI)]

    assert affected(one, PYPI, *_PYTHON) == alone
    for span in spans:
        for version in _PYTHON:
            if "+" not in version + span.introduced + span.fixed + span.last:
                key = PYPI.key(version)
                is_in = (not span.introduced or key >= PYPI.key(span.introduced)) and (
                    key < PYPI.key(span.fixed) if span.fixed else not span.last or key <= PYPI.key(span.last)
                )
                assert version in alone or not is_in


@pytest.mark.parametrize("scheme", ["pypi", "packagist"])
def test_five_thousand_advisories_about_ten_thousand_versions_are_read_within_the_test(scheme: str) -> None:
    """One after another it would be days."""
    versions = [f"{n // 100}.{n % 100}.0" for n in range(10_000)]
    some: list[Advisory] = [
        advisory(f"A-{n}", spans=(Span(introduced=versions[n]),))
        if n % 2
        else advisory(f"A-{n}", versions=versions[:2])
        for n in range(5_000)
    ]
    if scheme == "packagist":
        some[::2] = [advisory(f"A-{n}", constraint=f">={n}.0 || <0.0.{n}-dev") for n in range(0, 5_000, 2)]

    against = Against(some, versions, SCHEMES[scheme])

    assert len(against.affecting(versions[-1])) >= 2_500
    assert "A-1" in against.affecting(versions[1])


def test_more_than_anybody_ever_had_to_say_is_no_answer() -> None:
    with pytest.raises(IndexLied, match="at most 5,000 advisories about a package, got 5,001"):
        bearable([advisory()] * 5_001, "https://index.example", "vulns")
    with pytest.raises(IndexLied, match="at most 500,000 versions in all, got 510,000"):
        bearable([advisory(constraint="1" * 5_100)] * 100, "https://index.example", "vulns")
