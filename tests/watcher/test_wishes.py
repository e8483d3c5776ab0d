"""The settings of a policy: what they come to for a package, and what is no setting."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from watcher.policy import Cooldown, Policy, Watch, matches
from watcher.versions.kind import KINDS
from watcher.wishes import PolicySettings

DAY = timedelta(days=1)


def read(**wishes: Any) -> PolicySettings:
    return PolicySettings.model_validate(wishes)


def test_without_wishes_the_defaults_count() -> None:
    assert read().of("anything") == Policy()
    assert Policy().cooldown == Cooldown(3 * DAY, 3 * DAY, 3 * DAY)


def test_of_the_rules_that_name_a_package_the_last_one_has_the_word_key_by_key() -> None:
    policy = read(
        watch="all",
        rules=[
            {"packages": "aws-*", "group": "aws", "cooldown": "7d"},
            {"packages": ["boto3", "aws-cli"], "allow": "minor"},
            {"packages": "AWS_CLI", "cooldown": {"patch": "1h"}},
        ],
    )

    cli, other = policy.of("aws-cli"), policy.of("aws-lambda")

    assert (cli.watch, cli.group, cli.allow) == (Watch.ALL, "aws", "minor")
    assert cli.cooldown == Cooldown(timedelta(hours=1), 3 * DAY, 3 * DAY)
    assert (other.group, other.allow, other.cooldown) == ("aws", "major", Cooldown(7 * DAY, 7 * DAY, 7 * DAY))
    assert policy.of("django") == Policy(watch=Watch.ALL)


def test_what_is_ignored_is_not_watched_unless_a_rule_says_otherwise() -> None:
    policy = read(ignore="internal-*", rules=[{"packages": "internal-api", "watch": "direct"}])

    assert policy.of("internal-web").watch is Watch.NONE
    assert policy.of("internal-api").watch is Watch.DIRECT


@pytest.mark.parametrize(
    ("glob", "package"), [("Ruamel.YAML", "ruamel-yaml"), ("acme/*", "acme/http"), ("*", "x"), ("zope.*", "zope-event")]
)
def test_a_glob_names_a_package_however_people_spell_it(glob: str, package: str) -> None:
    assert matches(glob, package)


@pytest.mark.parametrize(
    "wrong",
    [
        {"watch": "some"},
        {"allow": "tiny"},
        {"allow": ""},
        {"allow": ">=2 <"},
        {"cooldown": "3 days"},
        {"cooldown": {"huge": "3d"}},
        {"cooldown": -1},
        {"windows": ["sometimes"]},
        {"windows": ["mon-thu 09:00-16:00 Atlantis/Capital"]},
        {"freeze": ["2027-01-04..2026-12-20"]},
        {"ignore": ["a b"]},
        {"rules": [{"packages": []}]},
        {"rules": [{"allow": "minor"}]},
        {"group": "not a name!"},
        {"cooldwon": "3d"},
    ],
    ids=str,
)
def test_what_is_no_setting_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read(**wrong)


_words = "patch minor major >=2,<3 ^1.2 mon-thu 09:00-16:00 22:00-06:00 Asia/Seoul 2026-12-20..2027-01-04 3d 1h30m * ["
_text = st.lists(st.sampled_from(_words.split()) | st.text(max_size=6), max_size=4).map(" ".join)
_value = st.none() | st.booleans() | st.integers() | st.floats() | _text
_keys = st.sampled_from([*PolicySettings.model_fields, "packages", "patch"])
_wishes = st.dictionaries(
    _keys,
    st.recursive(_value, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3)),
    max_size=5,
)


@settings(max_examples=400, deadline=None)
@given(_wishes, st.text(max_size=10))
def test_whatever_is_written_it_is_a_policy_or_refused(wishes: dict[str, Any], package: str) -> None:
    try:
        policy = PolicySettings.model_validate(wishes)
    except ValidationError:
        return
    found = policy.of(package)
    assert found.allow in KINDS or found.allow.strip()
    assert found.cooldown.major >= timedelta(0)
