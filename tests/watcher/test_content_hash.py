"""Composer's content hash, beside Composer's own."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.rig.composer import OwnClasses
from watcher.content_hash import content_hash

TEXTS = st.text(st.characters(codec="utf-8"), max_size=5) | st.sampled_from(
    ["^1.0", "a/b", "\x7f", "\\u007f", "é", "😀"]
)
NUMBERS = st.integers(-(2**70), 2**70).filter(lambda number: number % 2**63) | st.floats(
    allow_nan=False, allow_infinity=False, width=32
)
KEYS = TEXTS.filter(lambda text: "\0" not in text) | st.sampled_from(["0", "1", "2"])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
MANIFESTS = st.dictionaries(
    st.sampled_from(["name", "require", "require-dev", "repositories", "extra", "scripts", "prefer-stable"]), VALUES
)


@pytest.fixture(scope="module")
def composer() -> Iterator[OwnClasses]:
    with OwnClasses() as running:
        yield running


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(MANIFESTS, VALUES)
def test_it_is_composer_s_own(composer: OwnClasses, manifest: dict[str, Any], platform: Any) -> None:
    manifest = {**manifest, "config": {"platform": platform, "sort-packages": True}}

    assert content_hash(manifest) == composer.ask("hash", json.dumps(manifest))


def test_what_a_lock_does_not_depend_on_does_not_change_it() -> None:
    one = {"require": {"a/b": "^1"}, "scripts": {"test": "phpunit"}, "config": {"sort-packages": True}}
    other = {"description": "A shop", "require": {"a/b": "^1"}}

    assert content_hash(one) == content_hash(other)
