"""Images have digests for versions, and digests have no order."""

import pytest

from watcher.versions import SCHEMES
from watcher.versions.kind import Kind

OLD, NEW = f"sha256:{'1' * 64}", f"sha256:{'0' * 64}"
SCHEME = SCHEMES["oci"]


def test_another_digest_is_newer_whatever_its_digits_say() -> None:
    assert SCHEME.is_newer(NEW, OLD)
    assert SCHEME.is_newer(OLD, NEW)
    assert not SCHEME.is_newer(OLD, OLD)


def test_any_digest_is_newer_than_a_tag_alone() -> None:
    assert SCHEME.is_newer(NEW, "")


def test_a_tag_made_anew_is_a_patch() -> None:
    assert SCHEME.kind(OLD, NEW) is Kind.PATCH
    assert not SCHEME.is_prerelease(NEW)


def test_a_constraint_on_a_digest_is_none() -> None:
    assert SCHEME.allows("", NEW)
    with pytest.raises(ValueError, match="expected no constraint"):
        SCHEME.allows(">=3", NEW)


@pytest.mark.parametrize("text", ["3.12", "sha256:12", "latest", f"sha256:{'G' * 64}"])
def test_what_is_no_digest_is_no_version(text: str) -> None:
    with pytest.raises(ValueError):
        SCHEME.normal(text)
