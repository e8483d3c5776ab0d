"""A requirement that forbids a release: it stays, or it is raised in its own manner."""

import pytest

from watcher.requirement import Raise, raised

KEEP, WIDEN, BUMP = Raise


@pytest.mark.parametrize(
    ("constraint", "version", "how", "becomes"),
    [
        ("==1.0", "1.1", KEEP, "==1.1"),
        (" === 1.0", "1.1", KEEP, " === 1.1"),
        (">=1,<2", "1.5", BUMP, ">=1,<2"),
        (">=1,<2", "2.1", KEEP, None),
        (">=1, <2", "2.1", WIDEN, ">=1, <3"),
        (">=1,<2.0", "2.1", BUMP, ">=2.1,<3.0"),
        (">=0.3,<0.4", "0.5.1", WIDEN, ">=0.3,<0.6"),
        ("<=1.9,!=1.5", "2.0", WIDEN, "<=2.0,!=1.5"),
        ("~=1.4", "2.3.1", BUMP, "~=2.3"),
        ("~=1.4.2", "1.5.0", WIDEN, "~=1.5.0"),
        ("==1.*", "2.3", WIDEN, "==2.*"),
        ("!=2.0", "2.0", BUMP, None),
    ],
)
def test_of_python(constraint: str, version: str, how: Raise, becomes: str | None) -> None:
    assert raised("pypi", constraint, version, how) == becomes


@pytest.mark.parametrize(
    ("constraint", "version", "how", "becomes"),
    [
        ("1.0.0", "1.1.0", KEEP, "1.1.0"),
        ("v1.0", "1.1.0", KEEP, "v1.1.0"),
        ("=1.0.0-beta1", "1.0.0", KEEP, "=1.0.0"),
        ("^1.0", "1.5.0", BUMP, "^1.0"),
        ("^1.0", "2.1.3", KEEP, None),
        ("^1.0", "2.1.3", WIDEN, "^1.0 || ^2.1"),
        ("^1.0", "2.1.3", BUMP, "^2.1.3"),
        ("~1.2.0", "1.3.4", BUMP, "~1.3.4"),
        ("1.2.*", "1.3.4", BUMP, "1.3.*"),
        ("1.*", "2.3.0", BUMP, "^2.3"),
        ("^1.0 || ~2.1.0", "2.3.4", BUMP, "^1.0 || ~2.3.4"),
        ("^1.0 || ^2.0", "3.1.4", BUMP, "^3.1.4"),
        ("^1.0 || ^2.0", "3.1.0", WIDEN, "^1.0 || ^2.0 || ^3.1"),
        ("<2.0", "2.1.0", BUMP, None),
        ("^1.0", "2.0.0-RC1", BUMP, None),
    ],
)
def test_of_php(constraint: str, version: str, how: Raise, becomes: str | None) -> None:
    assert raised("packagist", constraint, version, how) == becomes


@pytest.mark.parametrize(
    ("constraint", "version", "how", "becomes"),
    [
        ("1.0", "1.1.2", KEEP, "1.1.2"),
        ("==1.0", "1.1", KEEP, "==1.1"),
        ("^1.0", "1.5", BUMP, "^1.0"),
        ("^1.0", "2.1.3", KEEP, None),
        ("^1.0", "2.1.3", WIDEN, "^1.0 || ^2.1"),
        ("^0.3.1", "0.4.2", BUMP, "^0.4.2"),
        ("~1.2", "1.3.post1", BUMP, "~1.3"),
        ("1.*", "2.3", WIDEN, "1.* || 2.*"),
        (">=1,<2", "2.1", WIDEN, ">=1,<3"),
        ("~=1.4", "2.3", BUMP, "~=2.3"),
        ("^1 || ^2", "2.5", KEEP, "^1 || ^2"),
        ("*", "2.5", KEEP, "*"),
    ],
)
def test_of_poetry(constraint: str, version: str, how: Raise, becomes: str | None) -> None:
    assert raised("poetry", constraint, version, how) == becomes
