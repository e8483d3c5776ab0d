"""A layout directory that several processes write, that some of them are killed in, and that runs full."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from unittest.mock import Mock

import pytest

from tests.rig.process import lack, need, wait_for
from watcher.image import Digest
from workers.oci.layout import REF_NAME, LayoutStore
from workers.oci.manifest import OCI_INDEX, OCI_MANIFEST, Descriptor, Manifest, digest_of
from workers.oci.referrers import Artifact
from workers.oci.store import StoreRefused, attach

ROOT = Path(__file__).parents[3]
EMPTY = b"{}"


def manifest(name: str) -> Manifest:
    config = Descriptor(media_type="application/vnd.oci.image.config.v1+json", digest=digest_of(EMPTY), size=2)
    return Manifest.make(config, (), {"name": name})


def published(store: LayoutStore, name: str, tag: str = "") -> Manifest:
    store.put_blob(digest_of(EMPTY), EMPTY)
    made = manifest(name)
    store.put_manifest(made.raw, OCI_MANIFEST, tag)
    return made


def rows(directory: Path) -> list[tuple[str, str]]:
    index = json.loads((directory / "index.json").read_bytes())
    return [(row["digest"], row.get("annotations", {}).get(REF_NAME, "")) for row in index["manifests"]]


def files(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


def test_a_layout_is_what_the_specification_says(tmp_path: Path) -> None:
    made = published(LayoutStore(tmp_path / "layout"), "one", "latest")

    assert json.loads((tmp_path / "layout" / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((tmp_path / "layout" / "index.json").read_bytes())
    assert (index["schemaVersion"], index["mediaType"]) == (2, OCI_INDEX)
    assert index["manifests"] == [
        {
            "mediaType": OCI_MANIFEST,
            "digest": made.digest,
            "size": len(made.raw),
            "annotations": {REF_NAME: "latest"},
        }
    ]
    assert files(tmp_path / "layout") == {
        "oci-layout",
        "index.json",
        f"blobs/sha256/{made.digest.hex}",
        f"blobs/sha256/{digest_of(EMPTY).hex}",
    }


def test_publishing_twice_changes_nothing(tmp_path: Path) -> None:
    store = LayoutStore(tmp_path)
    published(store, "one", "latest")
    index = tmp_path / "index.json"
    before = index.stat()

    published(store, "one", "latest")

    # (When it was read last is another matter.)
    assert (index.stat().st_ino, index.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_what_loses_its_name_stays_listed(tmp_path: Path) -> None:
    store = LayoutStore(tmp_path)
    old = published(store, "old", "latest")
    new = published(store, "new", "latest")

    assert rows(tmp_path) == [(old.digest, ""), (new.digest, "latest")]


def test_what_gets_a_name_is_listed_once(tmp_path: Path) -> None:
    store = LayoutStore(tmp_path)
    published(store, "one")

    made = published(store, "one", "latest")

    assert rows(tmp_path) == [(made.digest, "latest")]


def test_nothing_is_written_by_reading(tmp_path: Path) -> None:
    store = LayoutStore(tmp_path / "layout")

    assert store.manifest("latest") is None
    assert not store.has(digest_of(EMPTY))
    assert not (tmp_path / "layout").exists()


@pytest.mark.parametrize(
    "index", ["", "[]", '{"manifests": 3}', '{"manifests": [3]}', "[" * 100_000, '{"manifests": null}']
)
def test_an_index_that_is_none_is_refused_and_left_alone(tmp_path: Path, index: str) -> None:
    store = LayoutStore(tmp_path)
    published(store, "one", "latest")
    (tmp_path / "index.json").write_text(index)

    with pytest.raises(StoreRefused, match=r"index\.json: "):
        store.manifest("latest")
    with pytest.raises(StoreRefused, match=r"index\.json: "):
        published(store, "two", "latest")

    assert (tmp_path / "index.json").read_text() == index


@pytest.mark.parametrize("digest", ["sha256:../../../etc/passwd", "md5:0", ""])
def test_an_index_cannot_lead_out_of_the_directory(tmp_path: Path, digest: str) -> None:
    row = {"digest": digest, "mediaType": OCI_MANIFEST, "size": 1, "annotations": {REF_NAME: "latest"}}
    (tmp_path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [row]}))

    with pytest.raises(StoreRefused, match="expected sha256"):
        LayoutStore(tmp_path).manifest("latest")


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    store = LayoutStore(tmp_path)
    made = published(store, "one", "latest")
    blob = tmp_path / "blobs" / "sha256" / digest_of(b"layer").hex
    store.put_blob(digest_of(b"layer"), b"layer")
    for path in (blob, tmp_path / "blobs" / "sha256" / made.digest.hex):
        path.write_bytes(b"bit rot")

    with pytest.raises(StoreRefused, match="is damaged"):
        store.manifest("latest")
    with pytest.raises(StoreRefused, match="is damaged"), store.blob(digest_of(b"layer")) as stream:
        stream.read()


def test_a_place_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StoreRefused, match="Not a directory"):
        LayoutStore(tmp_path / "file").put_blob(digest_of(EMPTY), EMPTY)


def test_many_processes_publish_at_once_and_none_is_forgotten(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from tests.workers.oci.test_layout import LayoutStore, published\n"
        "for n in range(10): published(LayoutStore(Path(sys.argv[1])), f'{sys.argv[2]}-{n}', f'{sys.argv[2]}-{n}')"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "layout"), str(number)], cwd=ROOT)
        for number in range(4)
    ]

    assert [process.wait(60) for process in processes] == [0] * 4
    names = {name for _, name in rows(tmp_path / "layout")}
    assert names == {f"{number}-{n}" for number in range(4) for n in range(10)}
    assert not any(".new-" in name for name in files(tmp_path / "layout"))


@pytest.mark.parametrize("round", range(8))
def test_a_process_killed_at_any_moment_leaves_a_layout_that_works(tmp_path: Path, round: int) -> None:
    script = (
        "import os, sys; from pathlib import Path; from tests.workers.oci.test_layout import *\n"
        "store = LayoutStore(Path(sys.argv[1])); n = 0\n"
        "while True:\n"
        "    raw = os.urandom(4_000_000); store.put_blob(digest_of(raw), raw)\n"
        "    n += 1; published(store, f'{n}', f'tag-{n}'); print(n, flush=True)"
    )
    layout = tmp_path / "layout"
    with subprocess.Popen([sys.executable, "-c", script, str(layout)], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        threading.Event().wait(0.003 * round)
        process.send_signal(signal.SIGKILL)
        said = process.stdout.read().split()

    store = LayoutStore(layout)
    after = published(store, "after", "after")

    assert store.manifest("after") == after.raw
    for number in range(1, int(said[-1]) + 1 if said else 2):
        assert store.manifest(f"tag-{number}") == manifest(f"{number}").raw
    for path in (layout / "blobs" / "sha256").iterdir():
        assert digest_of(path.read_bytes()) == f"sha256:{path.name}", "whole, or swept away"


def test_who_died_before_an_artifact_was_listed_is_made_good_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, bom = LayoutStore(tmp_path / "layout"), Artifact(kind="application/vnd.bom+json", content=b"{}", tag="bom")
    image = published(store, "image", "latest")
    with monkeypatch.context() as killed:
        killed.setattr(LayoutStore, "_refer", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            attach(store, image, bom)

    attach(store, image, bom)

    assert [row.artifact_type for row in store.referrers(image.digest)] == [bom.kind]


def test_what_a_living_process_is_writing_is_not_swept_away(tmp_path: Path) -> None:
    fifo, store = tmp_path / "fifo", LayoutStore(tmp_path / "layout")
    os.mkfifo(fifo)
    raw = os.urandom(100_000)
    slow = threading.Thread(target=store.put_blob, args=(digest_of(raw), fifo))
    slow.start()
    with fifo.open("wb") as writer:
        writer.write(raw[:50_000])
        wait_for(lambda: any(".new-" in name for name in files(tmp_path / "layout")), "the slow writer to begin")
        published(store, "meanwhile", "meanwhile")
        writer.write(raw[50_000:])
    slow.join(10)

    assert store.has(digest_of(raw))


def test_a_full_disk_is_refused_and_nothing_half_written_stays(tmp_path: Path) -> None:
    need("unshare", "mount")
    script = (
        "import sys; from pathlib import Path; from tests.workers.oci.test_layout import *\n"
        "store = LayoutStore(Path(sys.argv[1])); published(store, 'one', 'latest'); before = files(Path(sys.argv[1]))\n"
        "raw = os.urandom(4_000_000)\n"
        "try: store.put_blob(digest_of(raw), raw)\n"
        "except StoreRefused as error: print(error, error.hint)\n"
        "assert files(Path(sys.argv[1])) == before\n"
        "assert store.manifest('latest') and not store.has(digest_of(raw))"
    )
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = f'mount -t tmpfs -o size=1m tmpfs "{disk}" && exec "$0" "$@"'
    unshare = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    if subprocess.run([*unshare, "sh", "-c", mounted, "true"], capture_output=True).returncode:
        lack("this kernel lets nobody mount a small disk of his own")

    ran = subprocess.run(
        [*unshare, "sh", "-c", mounted, sys.executable, "-c", script, str(disk)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert "No space left on device" in ran.stdout
    assert "nothing half-written was left" in ran.stdout


def test_a_blob_of_a_layout_next_door_is_linked_and_not_copied(tmp_path: Path) -> None:
    source, target = LayoutStore(tmp_path / "a"), LayoutStore(tmp_path / "b")
    source.put_blob(digest_of(b"shared"), b"shared")

    assert target.adopt(digest_of(b"shared"), source)

    assert (tmp_path / "b" / "blobs" / "sha256" / digest_of(b"shared").hex).stat().st_nlink == 2


def test_skopeo_reads_what_we_write_and_we_read_what_it_writes(tmp_path: Path) -> None:
    need("skopeo")
    config = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'
    store, descriptor = (
        LayoutStore(tmp_path / "ours"),
        Descriptor(media_type="application/vnd.oci.image.config.v1+json", digest=digest_of(config), size=len(config)),
    )
    store.put_blob(digest_of(config), config)
    made = Manifest.make(descriptor, (), {})
    store.put_manifest(made.raw, OCI_MANIFEST, "v1")

    copy = ["skopeo", "copy", "-q", f"oci:{tmp_path}/ours:v1", f"oci:{tmp_path}/theirs:v2"]
    subprocess.run(copy, check=True, capture_output=True)

    theirs = LayoutStore(tmp_path / "theirs")
    assert theirs.manifest("v2") == made.raw
    assert theirs.has(Digest(digest_of(config)))
    shutil.rmtree(tmp_path / "ours")
