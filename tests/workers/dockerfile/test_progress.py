"""What BuildKit says while it builds, read again."""

from workers.dockerfile.progress import read

FAILED = """#1 [internal] load build definition from Dockerfile
#1 sha256:0123
#1 DONE 0.0s

#5 [build 1/3] FROM docker.io/library/busybox
#5 CACHED

#6 [build 2/3] COPY a b
#6 CACHED

#7 [build 3/3] RUN make
#7 0.123 cc a.c
#7 0.200 a.c:1: error
#7 ERROR: process "/bin/sh -c make" did not complete successfully: exit code: 2
------
 > [build 3/3] RUN make:
"""


def test_steps_are_found_by_their_stage_and_number() -> None:
    found = read(FAILED)
    assert list(found.steps) == ["[build 1]", "[build 2]", "[build 3]"]
    assert [step.cached for step in found.steps.values()] == [True, True, False]
    assert found.is_buildkit


def test_a_failure_is_the_failing_step_and_its_last_lines_and_nothing_else() -> None:
    assert read(FAILED).failure.splitlines() == [
        "[build 3/3] RUN make",
        "cc a.c",
        "a.c:1: error",
        'process "/bin/sh -c make" did not complete successfully: exit code: 2',
    ]


def test_a_long_story_is_cut_to_its_end() -> None:
    rows = "".join(f"#2 {n}.5 row {n}\n" for n in range(1000))
    said = read(f"#2 [2/2] RUN x\n{rows}#2 ERROR: executor failed running: exit code: 1\n").failure.splitlines()
    assert len(said) == 22
    assert said[1] == "row 980"


def test_a_platform_in_front_is_no_stage() -> None:
    assert list(read("#3 [linux/amd64 2/2] RUN x\n#4 [linux/arm64 build 1/9] RUN y\n").steps) == ["[2]", "[build 1]"]


def test_a_command_cannot_speak_in_the_place_of_buildkit() -> None:
    said = "#4 [2/3] RUN x\n#4 0.1 one\r#4 CACHED\x0b#4 CACHED\u2028#4 CACHED\x0c#4 ERROR: no\n#4 DONE 1.0s\n"
    step = read(said).steps["[2]"]
    assert (step.cached, step.error, step.seconds) == (False, None, 1.0)


def test_what_was_going_on_is_known_however_much_it_has_said() -> None:
    rows = "".join(f"#3 {n}.5 {'x' * 100}\n" for n in range(1000))
    head = "#1 [internal] load\n#1 DONE 0.1s\n#2 [1/3] FROM x\n#2 CACHED\n#3 [2/3] RUN make\n"
    assert read(head + rows + "#4 [internal] other\n").going_on == "[2/3] RUN make"
    assert read(head + "#3 CANCELED\n").going_on == "[2/3] RUN make"
    assert read("#1 [internal] load build context\n").going_on == "[internal] load build context"
    assert read("").going_on == ""


def test_what_the_legacy_builder_says_is_not_buildkit() -> None:
    assert not read("Step 1/2 : FROM busybox\n ---> 123\nSuccessfully built 123\n").is_buildkit
