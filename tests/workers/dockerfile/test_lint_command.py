"""`toplayer lint` as people call it: what it reads, what it writes where, and what it says when it cannot."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.rig.dockerfiles import CONTEXT, Sample, sample, samples, write
from tests.rig.process import need
from watcher.cli import dockerfile as files
from watcher.cli.main import run
from watcher.cli.sarif import artifact, replacements
from watcher.dockerfile.advice.codes import CODES
from workers.hands import Workers

TREE = "FROM python\nWORKDIR /app\nCOPY . .\nRUN pip install -r requirements.txt\n"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "a shop"
    write({path: content for path, content in CONTEXT.items() if path.startswith(("app/", "requ"))}, root)
    (root / "Dockerfile").write_text(TREE)
    monkeypatch.chdir(root)
    return root


def lint(*words: str) -> int:
    return run(Workers(), ["lint", *words])


def git(root: Path, *words: str) -> None:
    who = {f"GIT_{role}_{what}": "a@b.example" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    subprocess.run(["git", "-C", str(root), *words], check=True, env=os.environ | who, capture_output=True)


def commit(root: Path) -> None:
    git(root, "add", "-A")
    git(root, "commit", "-qm", "more")


# --- what is written --------------------------------------------------------------------------------------------------


def test_fix_keeps_the_mode_and_the_line_ends_and_a_second_one_changes_nothing(shop: Path) -> None:
    file = shop / "Dockerfile"
    file.write_bytes(b"\xef\xbb\xbf" + TREE.replace("\n", "\r\n").encode())
    file.chmod(0o640)
    assert lint("--fix") == 0
    once = file.read_bytes()
    assert once.startswith(b"\xef\xbb\xbfFROM python\r\nWORKDIR /app\r\nCOPY requirements.txt /app/\r\nRUN pip")
    assert once.count(b"\n") == once.count(b"\r\n")
    assert file.stat().st_mode & 0o777 == 0o640
    before = file.stat().st_ino
    assert lint("--fix") == 0
    assert (file.read_bytes(), file.stat().st_ino) == (once, before)
    assert sorted(path.name for path in shop.iterdir()) == ["Dockerfile", "app", "requirements.txt"]


def test_a_link_stays_and_what_it_leads_to_is_replaced(shop: Path) -> None:
    (shop / "docker").mkdir()
    (shop / "Dockerfile").rename(shop / "docker/real")
    (shop / "Dockerfile").symlink_to("docker/real")
    assert lint("--fix") == 0
    assert (shop / "Dockerfile").is_symlink()
    assert "COPY requirements.txt" in (shop / "docker/real").read_text()
    assert [path.name for path in (shop / "docker").iterdir()] == ["real"]


def test_what_somebody_else_has_changed_meanwhile_is_not_overwritten(shop: Path) -> None:
    with pytest.raises(files.NoFix, match="somebody else has changed it"):
        files.replace("Dockerfile", b"FROM python\n", "FROM other\n")
    assert (shop / "Dockerfile").read_text() == TREE
    assert sorted(path.name for path in shop.iterdir()) == ["Dockerfile", "app", "requirements.txt"]
    (shop / "Dockerfile").unlink()
    with pytest.raises(files.NoFix, match="No such file"):
        files.replace("Dockerfile", TREE.encode(), "FROM other\n")
    assert not (shop / "Dockerfile").exists()


def test_bytes_that_are_no_text_stay_what_they_are(shop: Path) -> None:
    (shop / "Dockerfile").write_bytes(b"# caf\xe9\n" + TREE.encode())
    assert lint("--fix") == 0
    assert (shop / "Dockerfile").read_bytes().startswith(b"# caf\xe9\nFROM python\n")


# --- SARIF ------------------------------------------------------------------------------------------------------------


def sound(log: dict[str, Any]) -> list[dict[str, Any]]:
    """The results of a log, after a look at everything that SARIF 2.1.0 requires of what we write."""
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-2.1.0.json")
    (ran,) = log["runs"]
    driver = ran["tool"]["driver"]
    assert driver["name"] == "toplayer"
    assert all(
        set(one) >= {"id", "name", "shortDescription", "help", "defaultConfiguration"} for one in driver["rules"]
    )
    assert len({one["id"] for one in driver["rules"]}) == len(driver["rules"])
    assert all(one["help"]["text"] and one["shortDescription"]["text"] for one in driver["rules"])
    assert all(one["executionSuccessful"] is True for one in ran["invocations"])
    for result in ran["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("none", "note", "warning", "error")
        assert result["message"]["text"]
        for place in result["locations"]:
            located(place["physicalLocation"]["artifactLocation"])
            ordered(place["physicalLocation"]["region"])
        for fix in result.get("fixes", ()):
            assert fix["description"]["text"]
            for change in fix["artifactChanges"]:
                located(change["artifactLocation"])
                assert change["replacements"]
                for one in change["replacements"]:
                    ordered(one["deletedRegion"])
                    assert isinstance(one["insertedContent"]["text"], str)
    return list(ran["results"])


def located(place: dict[str, str]) -> None:
    assert set(place) == {"uri", "uriBaseId"}
    assert not place["uri"].startswith(("/", ".."))
    assert not set(place["uri"]) & set(" \\")


def ordered(region: dict[str, int]) -> None:
    assert set(region) == {"startLine", "startColumn", "endLine", "endColumn"}
    start, end = (region["startLine"], region["startColumn"]), (region["endLine"], region["endColumn"])
    assert (1, 1) <= start <= end
    assert region["endColumn"] >= 1


def applied(text: str, fixes: list[dict[str, Any]]) -> str:
    """A text with the replacements of a fix, from the last one to the first."""
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    rows = text.removeprefix(mark).split("\n")
    starts = [sum(len(row) + 1 for row in rows[:number]) for number in range(len(rows) + 1)]
    text = text.removeprefix(mark)
    for one in reversed(fixes):
        gone = one["deletedRegion"]
        begin, end = (starts[gone[f"{side}Line"] - 1] + gone[f"{side}Column"] - 1 for side in ("start", "end"))
        text = text[:begin] + one["insertedContent"]["text"] + text[end:]
    return text if text.startswith(mark) else mark + text


def test_sarif_says_where_and_its_fix_is_what_fix_writes(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write({"docker/my file.Dockerfile": f"# é\n{TREE}RUN pip install -e \\\n  .".encode()}, shop)
    path = "docker/my file.Dockerfile"
    assert lint(path, "--context", ".", "--sarif") == 1
    results = sound(json.loads(capsys.readouterr().out))
    place = {"uri": "docker/my%20file.Dockerfile", "uriBaseId": "%SRCROOT%"}
    assert all(one["locations"][0]["physicalLocation"]["artifactLocation"] == place for one in results)
    (editable,) = [one for one in results if one["ruleId"] == "TL008"]
    region = editable["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 6, "startColumn": 1, "endLine": 7, "endColumn": 4}
    (fixes,) = [one["fixes"] for one in results if "fixes" in one]
    text = (shop / path).read_text()
    assert lint(path, "--context", ".", "--fix") == 0
    assert applied(text, fixes[0]["artifactChanges"][0]["replacements"]) == (shop / path).read_text()


@pytest.mark.parametrize("after", ["", "a\n", "a\nb", "x\na\nb\n", "b\n", "a\nx\nb", "a\r\nb\n\n"])
@pytest.mark.parametrize("before", ["a\nb\n", "a\nb", "a\n", "\ufeffa\nb"])
def test_replacements_lead_from_one_text_to_the_other(before: str, after: str) -> None:
    wanted = ("\ufeff" if before.startswith("\ufeff") else "") + after
    assert applied(before, list(replacements(before, wanted))) == wanted


def test_a_file_elsewhere_has_its_whole_address(shop: Path, tmp_path: Path) -> None:
    assert artifact("../Dockerfile") == {"uri": (tmp_path / "Dockerfile").as_uri()}
    assert artifact(str(shop / "Dockerfile")) == {"uri": "Dockerfile", "uriBaseId": "%SRCROOT%"}


@pytest.mark.parametrize("one", [samples()[n] for n in (0, 1, 12, 13, 14, 37)], ids=lambda one: one.name)
def test_sarif_of_any_dockerfile_is_sound(one: Sample, shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (shop / "Dockerfile").write_bytes(one.raw)
    found = lint("--sarif")
    assert (found == 1) == bool(sound(json.loads(capsys.readouterr().out)))


def test_every_code_has_a_row_in_the_documentation() -> None:
    rows = (Path(__file__).parents[3] / "docs/dockerfile.md").read_text().splitlines()
    told = [row.split("|")[1].strip() for row in rows if row.startswith("| TL")]
    assert told == sorted(CODES)


# --- silence ----------------------------------------------------------------------------------------------------------


def test_a_comment_that_silences_nothing_is_told(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (shop / "Dockerfile").write_text(
        "FROM python\n# toplayer: ignore TL004, TL099\nRUN pip install six\n# toplayer: disable TL004\n"
        "RUN <<E\n# toplayer: ignore TL077\nE\n# toplayer: ignore TL001: the list is small\nRUN pip install six\n"
        "# toplayer: ignore TL004\n"
    )
    assert lint() == 1
    said = [row for row in capsys.readouterr().out.splitlines() if "TL012" in row]
    assert [row.split()[0] for row in said] == ["Dockerfile:2", "Dockerfile:4", "Dockerfile:10"]
    assert "no finding has the code TL099: expected TL001" in said[0]
    assert "`toplayer: disable` silences nothing" in said[1]
    assert "right below it, and there is none" in said[2]
    (shop / "Dockerfile").write_text("# toplayer: ignore-file TL012 TL004\n# toplayer: disable\nFROM x\n")
    assert lint() == 0


# --- what is no Dockerfile, or has no past ----------------------------------------------------------------------------


def test_what_cannot_be_read_is_told_with_what_to_do(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*words: str) -> str:
        assert lint(*words) in (1, 2)
        found = capsys.readouterr().err
        assert "Traceback" not in found
        return found

    (shop / "sub").mkdir()
    (shop / "Dockerfile").rename(shop / "sub/Dockerfile.prod")
    assert "there is no file `Dockerfile`" in (error := said())
    assert "sub/Dockerfile.prod" in error
    assert "expected a file, got a directory" in (error := said("sub"))
    assert "toplayer lint sub/Dockerfile.prod" in error
    os.mkfifo(shop / "pipe")
    assert "got a device, a pipe or a socket" in said("pipe")
    write({"image": b"\x7fELF\0\0", "wide": "FROM x\n".encode("utf-16"), "empty": b"", "text": b"hello\n"}, shop)
    assert "a binary file, or text in UTF-16" in said("image")
    assert "a binary file, or text in UTF-16" in said("wide")
    assert "expected instructions, got none" in said("empty")
    assert "text:1: expected an instruction, got hello" in said("text")
    with (shop / "huge").open("wb") as file:
        file.truncate(10**12)
    assert "huge: expected at most 1,000,000 bytes, got 1,000,000,000,000" in said("huge")
    assert "expected a directory" in said("sub/Dockerfile.prod", "--context", "nowhere")
    assert "cannot be read" in said("a" * 300)


def test_without_a_past_lint_says_why_and_still_finds_what_is_never_right(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    need("git")
    assert lint() == 1
    assert "no history: not a git repository" in (err := capsys.readouterr().err)
    assert "nothing says what changes how often" in err
    git(shop, "init", "-q", ".")
    assert lint("--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["history"]["commits"], told["findings"][0]["code"]) == (0, "TL001")
    assert "does not have any commits yet" in told["history"]["said"]


def test_a_shallow_clone_says_so_and_its_first_commit_counts_for_nothing(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    need("git")
    git(shop, "init", "-q", ".")
    for number in range(4):
        (shop / "app/main.py").write_text(f"{number}\n")
        commit(shop)
    for depth, commits, said in (
        (1, 0, "no history: the clone is shallow"),
        (3, 2, "the clone is shallow, and tells "),
    ):
        there = tmp_path / f"depth-{depth}"
        git(tmp_path, "clone", "-q", f"--depth={depth}", shop.as_uri(), str(there))
        monkeypatch.chdir(there)
        lint("--json")
        told = json.loads(capsys.readouterr().out)["history"]
        assert (told["commits"], told["said"].startswith(said)) == (commits, True)
        assert "git fetch --unshallow" in told["said"]
        assert told["days"] == (1 if commits else pytest.approx(1))


def test_the_story_of_the_origin_is_told_with_its_dangers(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write({path: content for path, content in CONTEXT.items() if path.startswith(("php/", "python/"))}, shop)
    (shop / "Dockerfile").write_text(sample("02").text)
    assert lint() == 1
    said = capsys.readouterr().out
    assert "TL002: mind that Composer's scripts do not run" in said
    assert "do not move them" in said
    assert "TL008: mind that an editable install is a path to the tree" in said


def test_what_only_a_person_can_do_has_a_figure_too_and_is_in_no_sum_of_rewrites(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "FROM x\nRUN apt-get install -y --no-install-recommends gcc && rm -rf /var/lib/apt/lists/*\nCOPY app /app\n"
    (shop / "Dockerfile").write_text(text)
    git(shop, "init", "-q")
    commit(shop)
    (shop / "app/main.py").write_text("2\n")
    commit(shop)
    assert lint("--json") == 1
    found = json.loads(capsys.readouterr().out)
    (one,) = found["findings"]
    assert (one["code"], one["line"], one["by_hand"]) == ("TL007", 2, True)
    assert one["bytes_per_host_and_month"] == pytest.approx(30 / 365 * 24_000_000, rel=0.01)
    assert one["build_seconds_per_month"] == 0
    assert found["before"] == found["after"]
    assert lint() == 1
    assert "and 1.97 MB per host less by what only a person can do" in capsys.readouterr().out
    assert lint("--sarif") == 1
    (result,) = json.loads(capsys.readouterr().out)["runs"][0]["results"]
    assert (result["level"], result["properties"]["bytesPerHostAndMonth"]) == ("note", one["bytes_per_host_and_month"])
