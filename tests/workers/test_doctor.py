"""What doctor says of those whom toplayer asks."""

from pathlib import Path

import pytest

from tests.rig.osv import OsvServer
from tests.rig.process import free_port
from tests.rig.simple_index import SimpleIndex
from watcher import config
from watcher.cli.hands import Finding
from watcher.inert import inert
from workers.doctor import examine


def found(tmp_path: Path, index: str, osv: str) -> dict[str, Finding]:
    text = f"""
    [toplayer]
    state = "{tmp_path}"
    [indexes.pypi]
    kind = "pypi"
    url = "{index}"
    [advisories.osv]
    kind = "osv"
    url = "{osv}"
    """
    return {one.subject: one for one in examine(config.parse(text, "test"), False)}


def test_a_source_of_advisories_that_answers_is_well(tmp_path: Path) -> None:
    with SimpleIndex() as index, OsvServer() as osv:
        said = found(tmp_path, index.url, osv.url)

    assert said["advisories osv"].well
    assert said["advisories osv"].said == "answers (0 advisories about psr/log)"
    assert said["index pypi"].well, "an index that does not have `pip` answers, too"


@pytest.mark.parametrize("subject", ["advisories osv", "index pypi"])
def test_who_cannot_be_reached_is_named_with_what_to_do(tmp_path: Path, subject: str) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"

    finding = found(tmp_path, nobody, nobody)[subject]

    assert not finding.well
    assert f"{nobody}/" in finding.said
    assert "did not answer" in inert(finding.said)
    expected = {"advisories osv": "an empty [advisories]", "index pypi": "see indexes.pypi in the configuration"}
    assert expected[subject] in finding.hint
