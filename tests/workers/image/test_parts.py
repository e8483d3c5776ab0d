"""What an image tells of its parts: whoever can push to the repository can write anything there."""

import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tests.fakes.store import FakeStore
from tests.rig.mutated import mutated
from watcher.image import Digest, Platform
from watcher.layers.part import Terms
from workers.image.component import Component
from workers.image.directories import Directories
from workers.image.parts import COMPONENT, KEY, PARTS, SINCE, STEPS, Known, known
from workers.image.plan import arrange, parts, stack
from workers.oci.manifest import OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST, Descriptor, Manifest, canonical, digest_of
from workers.oci.referrers import EMPTY

AMD64 = Platform("linux", "amd64")
A, B = Component("pypi:a", "key-a", "1.0"), Component("pypi:b", "key-b", "1.0")
NOTES: dict[str, Any] = {
    "facts": {"key-a": {"size": 10, "requires": ["b"], "places": {"opt/a": ""}}},
    "churn": {"pypi:a": 0.5},
    "groups": {"key-g": ["key-a", "key-b"]},
}
OLD = Digest(f"sha256:{'0' * 64}")
FACTS = {"size": 1, "requires": [], "places": {}}
LAYERS: list[dict[str, str]] = [
    {COMPONENT: "pypi:a@1.0 pypi:b@1.0", KEY: "key-g"},
    {COMPONENT: "pypi:a@1.1", KEY: "key-p", SINCE: "key-a", STEPS: "1"},
]


def image(notes: bytes, layers: list[dict[str, str]], size: int = 100) -> tuple[FakeStore, Digest]:
    """An image with layers that tell this of themselves, and these notes beside it."""
    store = FakeStore()
    rows = [
        Descriptor(media_type=OCI_LAYER_GZIP, digest=digest_of(b"%d" % n), size=size, annotations=told)
        for n, told in enumerate(layers)
    ]
    config = canonical(
        {
            "os": "linux",
            "architecture": "amd64",
            "rootfs": {"type": "layers", "diff_ids": [row.digest for row in rows]},
        }
    )
    for raw in (config, notes, b"{}", *(b"%d" % n for n in range(len(layers)))):
        store.put_blob(digest_of(raw), raw)
    manifest = Manifest.make(
        Descriptor(media_type=OCI_CONFIG, digest=digest_of(config), size=len(config)), tuple(rows), {}
    )
    store.put_manifest(manifest.raw, OCI_MANIFEST)
    beside = Manifest.make(EMPTY, (Descriptor(media_type=PARTS, digest=digest_of(notes), size=len(notes)),), {})
    store.put_manifest(beside.raw, OCI_MANIFEST, f"sha256-{manifest.digest.hex}.parts")
    return store, manifest.digest


def test_what_was_built_for_another_base_is_made_again() -> None:
    notes = {**NOTES, "facts": {"key-a": {**NOTES["facts"]["key-a"], "built_on": OLD}, "key-b": FACTS}}
    layers = [
        {COMPONENT: "pypi:a@1.0 pypi:b@1.0", KEY: "key-g"},
        {COMPONENT: "pypi:c@1.0", KEY: "key-c"},
        {COMPONENT: "shared", KEY: "key-s"},
    ]
    before = told(notes, layers)

    assert before.on(OLD, Directories()) is before
    now = before.on(Digest(f"sha256:{'1' * 64}"), Directories())
    assert set(now.layers) == {"key-c"}
    assert set(now.facts) == {"key-b"}
    assert now.stack == before.stack, "it goes where it was"


def test_a_patch_of_what_was_built_for_another_base_is_nothing_to_go_on_from() -> None:
    notes = {**NOTES, "facts": {"key-p": {**FACTS, "built_on": OLD}}}

    assert told(notes).on(None, Directories()).stack == ()


def told(notes: Any, layers: list[dict[str, str]] = LAYERS, size: int = 100) -> Known:
    raw = notes if isinstance(notes, bytes) else json.dumps(notes).encode()
    return known(*image(gzip.compress(raw, mtime=0), layers, size), AMD64)


def test_what_an_image_tells_is_known() -> None:
    found = told(NOTES)

    assert [one.names for one in found.stack] == [("pypi:a", "pypi:b"), ("pypi:a",)]
    assert found.stack[0].keys == ("key-a", "key-b")
    assert (found.stack[1].since, found.stack[1].steps) == ("key-a", 1)
    assert (found.facts["key-a"].places, found.churn) == ({"opt/a": ""}, {"pypi:a": 0.5})


def test_places_from_before_they_said_what_a_file_is_are_only_vague() -> None:
    old = NOTES | {"facts": {"key-a": {"size": 10, "requires": [], "places": ["opt/a", "opt/b"]}}}

    assert told(old).facts["key-a"].places == {"opt/a": "", "opt/b": ""}


@pytest.mark.parametrize(
    "notes",
    [
        b"[" * 100_000,
        b"{}",
        b"[]",
        b'{"facts": {"k": {"size": Infinity, "requires": [], "places": {}}}, "churn": {}, "groups": {}}',
        b'{"facts": {"k": {"size": 1e999, "requires": [], "places": {}}}, "churn": {}, "groups": {}}',
        b'{"facts": {"k": {"size": -1, "requires": [], "places": {}}}, "churn": {}, "groups": {}}',
        b'{"facts": {"k": []}, "churn": {}, "groups": {}}',
        b'{"facts": {}, "churn": {"a": NaN}, "groups": {}}',
        b'{"facts": {}, "churn": {"a": 7}, "groups": {}}',
        b'{"facts": {}, "churn": {}, "groups": {"k": "text"}}',
    ],
)
def test_notes_that_are_none_of_ours_tell_nothing(notes: bytes) -> None:
    assert told(notes) == Known()


def test_an_artifact_without_a_layer_tells_nothing() -> None:
    store, digest = image(gzip.compress(json.dumps(NOTES).encode()), LAYERS)
    beside = Manifest.make(EMPTY, (), {})
    store.put_manifest(beside.raw, OCI_MANIFEST, f"sha256-{digest.hex}.parts")

    assert known(store, digest, AMD64).facts == {}


@pytest.mark.parametrize(
    "layers",
    [
        [{COMPONENT: "", KEY: "k"}],
        [{COMPONENT: "pypi:a pypi:a", KEY: "k"}],
        [{COMPONENT: "pypi:a", KEY: "k"}, {COMPONENT: "pypi:a", KEY: "l"}],
        [{COMPONENT: "pypi:a", KEY: "k", SINCE: "key-a", STEPS: "1"}],
        [{COMPONENT: "pypi:a", KEY: "k"}, {COMPONENT: "pypi:a", KEY: "p", SINCE: "key-a", STEPS: "-5"}],
        [{COMPONENT: "pypi:a", KEY: "k"}, {COMPONENT: "pypi:a", KEY: "p", SINCE: "key-a", STEPS: "9" * 50}],
    ],
)
def test_layers_that_nobody_could_have_laid_are_nothing_to_go_on_from(layers: list[dict[str, str]]) -> None:
    assert told(NOTES, layers).stack == ()


def test_a_layer_larger_than_anything_is_nothing_to_go_on_from() -> None:
    assert told(NOTES, size=10**400).stack == ()


TEXTS = st.sampled_from(["pypi:a", "pypi:a@1.0", "pypi:b", "shared", "venv", "code", "", "x y", "key-a", "key-b", "1"])
ANNOTATIONS = st.dictionaries(st.sampled_from([COMPONENT, KEY, SINCE, STEPS]), TEXTS)


@given(mutated(json.dumps(NOTES).encode()), st.lists(ANNOTATIONS, max_size=5))
@examples(max_examples=300, deadline=None)
def test_whatever_is_told_a_plan_comes_of_it(notes: bytes, layers: list[dict[str, str]]) -> None:
    found = told(notes, layers)
    components = [A, B]
    sizes = {one.name: found.facts[one.key].size if one.key in found.facts else 5 for one in components}

    planned = parts(components, sizes, {}, found.churn)
    choice = arrange(planned, stack(found.stack, components), Terms(), {})

    assert sorted({name for layer in choice.stack for name in layer.names}) == ["pypi:a", "pypi:b"]
