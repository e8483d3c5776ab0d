"""A release directory in place of a container: how a command runs in it, with the machine's own interpreters."""

import os
import resource
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from workers import process
from workers.fleet.health import proof_of_command
from workers.fleet.host import Health, Proof, Service
from workers.oci.manifest import ImageConfig
from workers.process import ToolFailed, ToolTimedOut


def run_inside(release: Path, config: ImageConfig, service: Service) -> Proof:
    """The proof that the service's health command gives inside a release; without one, that the release is there.

    Nothing is starting up that could be healthy a moment later: what fails now, fails.
    """
    if not service.health_command:
        return Proof(Health.HEALTHY)
    argv = inside_argv(release, service.health_command)
    env = process.environment(release, **inside_env(release, config, service))
    try:
        ran = process.run(
            argv,
            cwd=inside(release, str(config.run.get("WorkingDir") or "/")) or release,
            env=env,
            deadline=service.health_timeout,
            secrets=service.secrets,
            # Runtimes with a just-in-time compiler reserve more addresses than any machine has memory.
            memory=resource.RLIM_INFINITY,
        )
    except ToolTimedOut as error:
        return Proof(Health.UNHEALTHY, proof_of_command(service, None, error.said).said)
    except ToolFailed as error:
        return Proof(Health.UNHEALTHY, proof_of_command(service, error.code, error.said).said)
    return Proof(Health.HEALTHY, (ran.stdout[-4096:] or ran.stderr[-4096:]).decode("utf-8", "replace"))


def inside_env(release: Path, config: ImageConfig, service: Service) -> Mapping[str, str]:
    """The image's environment with its paths moved into the release, and the service's over it.

    PATH has the machine's behind the release's own, so that a virtual environment finds the machine's interpreter.
    """
    rows = config.run.get("Env")
    pairs = (str(row).partition("=") for row in (rows if isinstance(rows, list) else ()))
    env = {name: inside_paths(release, value) for name, _, value in pairs if name}
    ours = [path for path in env.get("PATH", "").split(os.pathsep) if path.startswith(f"{release}{os.sep}")]
    # A release is a directory of its own, and has what was compiled beside its modules.
    env.pop("PYTHONPYCACHEPREFIX", None)
    return env | {"PATH": os.pathsep.join([*ours, os.environ.get("PATH", os.defpath)])} | dict(service.env)


def inside_argv(release: Path, argv: Sequence[str]) -> list[str]:
    """The command, its program in the release if the image has it under this path."""
    program = inside(release, argv[0]) if argv[0].startswith("/") else None
    return [str(program or argv[0]), *argv[1:]]


def inside_paths(release: Path, value: str) -> str:
    """`value` with each of its `:`-separated absolute paths that exists in the release moved there."""
    return os.pathsep.join(str(inside(release, part) or part) for part in value.split(os.pathsep))


def inside(release: Path, path: str) -> Path | None:
    """Where an absolute path of the image is in the release, or None if it is not there."""
    parts = PurePosixPath(path).parts
    if not path.startswith("/") or ".." in parts or "\0" in path:
        return None
    place = release.joinpath(*parts[1:])
    return place if os.path.lexists(place) else None
