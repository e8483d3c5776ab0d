"""What a throwaway container is asked to be, without an engine."""

from datetime import timedelta

from workers.container import LABEL, Task


def test_nothing_of_this_machine_is_in_it() -> None:
    task = Task(
        name="x",
        image="i",
        argv=["/bin/x", "-y"],
        deadline=timedelta(minutes=5),
        memory=1024,
        cpus=1.5,
        volumes={"/own": "", "/kept": "toplayer-kept"},
    )

    body = task.payload(1_000.0)

    assert body["HostConfig"]["Binds"] == ["toplayer-kept:/kept"]
    assert body["Volumes"] == {"/own": {}}
    assert (body["Entrypoint"], body["Cmd"]) == (["/bin/x"], ["-y"])
    assert body["HostConfig"]["NetworkMode"] == "none"
    assert body["HostConfig"]["CapDrop"] == ["ALL"]
    assert body["HostConfig"]["MemorySwap"] == body["HostConfig"]["Memory"] == 1024
    assert body["HostConfig"]["CpuShares"] < 1024
    assert body["HostConfig"]["NanoCpus"] == 1_500_000_000
    assert int(body["Labels"][LABEL]) > 1_000 + 300
