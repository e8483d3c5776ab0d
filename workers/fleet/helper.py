"""A pull that the host owns: a small container beside its engine asks for the image and listens to the end.

An engine throws away all that it has of a pull when whoever asked for it hangs up (moby#26146). So who asks is not a
worker at the other end of a slow link, but this script in a container on the host. Workers come, look, and may die.

The container runs in an image that the settings name, with the engine's socket and no network. It gets the script and
the registry's credentials as files, which go when it goes; nothing secret stands in its arguments or environment.
"""

import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from watcher.image import Digest
from workers.fleet.labels import IMAGE, PULL

HOME = "toplayer-pull"
_SOCKET = "/run/toplayer-engine.sock"

SCRIPT = """\
import http.client, json, os, socket, sys, time, urllib.parse

class Engine(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect("/run/toplayer-engine.sock")

def pull(job):
    disk = os.statvfs("/")
    if disk.f_bavail * disk.f_frsize < job["needs"]:
        return {"free": disk.f_bavail * disk.f_frsize, "needs": job["needs"]}
    engine = Engine("engine", timeout=job["patience"])
    query = urllib.parse.urlencode({"fromImage": job["repository"], "tag": job["image"]})
    engine.request("POST", "/images/create?" + query, headers={"X-Registry-Auth": job["auth"]})
    answer = engine.getresponse()
    layers, known, said = {}, {}, 0.0
    for number, line in enumerate(answer):
        event = json.loads(line) if line.strip() else {}
        error = event.get("error") or (event.get("message") if answer.status >= 400 else "")
        if error:
            return {"error": error}
        if event.get("status") in ("Downloading", "Download complete"):
            detail, id = event.get("progressDetail") or {}, event.get("id")
            known[id] = max(known.get(id, 0), detail.get("total") or 0)
            done = known[id] if event["status"] == "Download complete" else detail.get("current") or 0
            layers[id] = max(layers.get(id, 0), done)
        if time.monotonic() - said >= 1:
            said = time.monotonic()
            far = {"current": sum(layers.values()), "total": sum(known.values()), "events": number}
            print(json.dumps(far), flush=True)
    return {"downloaded": sorted(map(str, layers))}

with open("/toplayer-pull/job.json") as file:
    job = json.load(file)
broke = 0
try:
    ended = pull(job)
except socket.timeout:
    ended = {"error": "the pull made no progress for %g s" % job["patience"]}
except (OSError, ValueError, http.client.HTTPException) as error:
    # The engine is going away. It starts what ended badly again when it is back.
    ended, broke = {"error": "the pull broke off: %s" % (error or type(error).__name__)}, 1
print(json.dumps(ended), flush=True)
sys.exit(broke)
"""


@dataclass(frozen=True, slots=True)
class Said:
    """What the helper wrote: how many bytes it has, of how many as far as is known, and how many events it has heard,
    because unpacking a layer is progress, too; and in the end what was downloaded, or an error, or how little of the
    disk is free of what it `needs`."""

    current: int = 0
    total: int = 0
    events: int = 0
    downloaded: frozenset[str] | None = None
    error: str = ""
    free: int | None = None
    needs: int = 0

    @property
    def is_over(self) -> bool:
        return self.is_final or bool(self.error)

    @property
    def is_final(self) -> bool:
        """Whether nothing more is to come of it. After an error that came of the engine's own end, there is."""
        return self.downloaded is not None or self.free is not None


def payload(helper: str, image: Digest, service: str, socket: str) -> dict[str, Any]:
    """The body of `POST /containers/create` for a helper that pulls `image`. `helper` is the image that it runs in."""
    return {
        "Image": helper,
        "Entrypoint": ["python3", "-I", "-S", f"/{HOME}/pull.py"],
        "Cmd": [],
        "User": "0:0",
        "Labels": {PULL: service, IMAGE: image},
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {
            "NetworkMode": "none",
            # A mount and not a bind: where there is no such socket it is refused, and no directory is made.
            "Mounts": [{"Type": "bind", "Source": socket, "Target": _SOCKET}],
            # An engine that was restarted starts the pull again by itself: then the script has ended with an error.
            "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 5},
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "1"}},
        },
    }


def files(repository: str, image: Digest, auth: str, patience: timedelta, needs: int) -> bytes:
    """A tar for the root of the helper: the script, and its job with the credentials, for nobody else to read.

    `needs` are the bytes of disk without which it does not begin, and `patience` is how long an engine may say nothing.
    """
    seconds = patience.total_seconds()
    job = {"repository": repository, "image": image, "auth": auth, "patience": seconds, "needs": needs}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in (("pull.py", SCRIPT), ("job.json", json.dumps(job))):
            info = tarfile.TarInfo(f"{HOME}/{name}")
            info.mode, info.size = 0o600, len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def said(log: str) -> Said:
    """The last thing that a helper said. Lines that are not its own are passed over."""
    for line in reversed(log.splitlines()):
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, Mapping) and {"error", "downloaded", "current", "free"} & row.keys():
            downloaded = row.get("downloaded")
            return Said(
                current=int(row.get("current") or 0),
                total=int(row.get("total") or 0),
                events=int(row.get("events") or 0),
                free=int(row["free"]) if "free" in row else None,
                needs=int(row.get("needs") or 0),
                downloaded=frozenset(map(str, downloaded)) if isinstance(downloaded, list) else None,
                error=str(row.get("error") or ""),
            )
    return Said()
