"""One value changes in a text of JSON, and not a character more."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.propose.json_edit import replaced

SPACES = st.text(" \t\r\n", max_size=2)
VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)


@st.composite
def spaced(draw: st.DrawFn, value: Any) -> str:
    """A value as JSON with any spaces in it, and letters written in either way."""

    def gap() -> str:
        return draw(SPACES)

    def inner(value: Any) -> str:
        return f"{gap()}{draw(spaced(value))}{gap()}"

    if isinstance(value, dict):
        return "{" + (",".join(f"{inner(key)}:{inner(item)}" for key, item in value.items()) or gap()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(inner, value)) + "]"
    return json.dumps(value, ensure_ascii=draw(st.booleans()))


@given(st.data(), st.dictionaries(st.text(max_size=3), VALUES, max_size=3))
def test_only_the_value_changes(data: st.DataObject, rest: dict[str, Any]) -> None:
    before = {**rest, "require": {"acme/app": "OLD", "acme/other": "*"}}
    text = data.draw(spaced(before))

    after = replaced(text, ("require", "acme/app"), "NEW")

    start = len(text) - len(text[text.rindex('"OLD"') :])
    assert after == f'{text[:start]}"NEW"{text[start + 5 :]}' or '"OLD"' in json.dumps(rest)
    assert json.loads(after) == {
        **rest,
        "require": {"acme/app": "NEW", "acme/other": "*"},
    }


@pytest.mark.parametrize("text", ["{}", '{"require": []}', '{"require": {"other/name": "*"}}', "[]"])
def test_what_is_not_there_is_not_put_there(text: str) -> None:
    with pytest.raises(LookupError):
        replaced(text, ("require", "acme/app"), "NEW")
