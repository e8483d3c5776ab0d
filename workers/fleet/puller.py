"""What the helper runs on a host: the engine beside it pulls an image, or the helper itself carries it to the engine.

This file goes there as it is, and is run by whatever Python 3 the helper's image has: it knows nothing but the standard
library. Its last line on stdout is what came of it. It ends with an error only where it wants to be started again.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import http.client
import json
import os
import re
import socket
import ssl
import sys
import tarfile
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

HERE, BLOBS = Path("/toplayer-pull"), Path("/toplayer-blobs")
CHUNK = 64 * 1024


class Ended(Exception):
    """Nothing more is to come of it; `said` is the last line."""

    def __init__(self, **said: Any) -> None:
        self.said = said
        super().__init__(said)


class Engine(http.client.HTTPConnection):
    """The engine's socket."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect("/run/toplayer-engine.sock")


def say(**row: Any) -> None:
    sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()


def room(job: dict[str, Any], path: Path, has: int = 0) -> None:
    """Ends if the disk has no room for what is to come; `has` bytes of it are there already."""
    disk = os.statvfs(path)
    free = disk.f_bavail * disk.f_frsize + has
    if free < job["needs"]:
        raise Ended(free=free, needs=job["needs"])


def events(answer: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    """What an engine says while it works; ends at an error."""
    for line in answer:
        event = json.loads(line) if line.strip() else {}
        error = event.get("error") or (event.get("message") if answer.status >= 400 else "")
        if error:
            raise Ended(error=error)
        yield event


# --- the engine pulls ---


def pull(job: dict[str, Any]) -> None:
    """Asks the engine for the image, and listens to the end: it throws away what it has when nobody does."""
    room(job, Path("/"))
    login = {"username": job["login"][0], "password": job["login"][1]} if job["login"][0] else {}
    auth = base64.urlsafe_b64encode(json.dumps(login).encode()).decode()
    engine = Engine("engine", timeout=job["patience"])
    query = urllib.parse.urlencode({"fromImage": job["repository"], "tag": job["image"]})
    engine.request("POST", "/images/create?" + query, headers={"X-Registry-Auth": auth})
    layers: dict[str, int] = {}
    known: dict[str, int] = {}
    said = 0.0
    for number, event in enumerate(events(engine.getresponse())):
        if event.get("status") in ("Downloading", "Download complete"):
            detail, id = event.get("progressDetail") or {}, str(event.get("id"))
            known[id] = max(known.get(id, 0), detail.get("total") or 0)
            done = known[id] if event["status"] == "Download complete" else detail.get("current") or 0
            layers[id] = max(layers.get(id, 0), done)
        if time.monotonic() - said >= 1:
            said = time.monotonic()
            say(current=sum(layers.values()), total=sum(known.values()), events=number)
    raise Ended(downloaded=sorted(layers))


# --- the helper carries ---


class Registry:
    """Blobs of one repository, from where they were cut off on."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.base = urllib.parse.urlsplit(job["registry"])
        self.path, self.login, self.patience = job["path"], job["login"], job["patience"]
        self.context = ssl.create_default_context(cadata=job["ca"] or None)
        self.authorization = ""

    def blob(self, digest: str, begin: int) -> http.client.HTTPResponse:
        """The answer for a blob's bytes from `begin` on, with the status 206, or 200 for all of them."""
        url = f"{self.base.geturl()}/v2/{self.path}/blobs/{digest}"
        asked = {"Range": f"bytes={begin}-"} if begin else {}
        answer = self._ask(url, asked)
        if answer.status == 401:
            self.authorization = self._key(answer.headers.get("WWW-Authenticate") or "")
            answer = self._ask(url, asked)
        if answer.status in (200, 206):
            return answer
        answer.close()
        if answer.status in (401, 403):
            raise Ended(error=f"unauthorized: the registry answered {answer.status}")
        if answer.status == 404:
            raise Ended(error=f"blob unknown: the registry has no {digest}")
        if answer.status == 416:
            raise Ended(error=f"{digest} has no {begin + 1} bytes in the registry, which does not match the manifest")
        time.sleep(min(float(answer.headers.get("Retry-After") or 0), 60))
        raise OSError(f"the registry answered {answer.status}")

    def _ask(self, url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
        for _ in range(5):
            to = urllib.parse.urlsplit(url)
            # What lies elsewhere has its permission in its address.
            mine = {"Authorization": self.authorization} if self.authorization and to.netloc == self.base.netloc else {}
            answer = self._get(url, {**headers, **mine})
            if answer.status not in (301, 302, 303, 307, 308):
                return answer
            url = urllib.parse.urljoin(url, answer.headers.get("Location") or "")
        raise OSError("the registry sends us round in circles")

    def _get(self, url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
        to = urllib.parse.urlsplit(url)
        if to.scheme != self.base.scheme and to.scheme != "https":
            raise Ended(error=f"the registry sends us to {to.scheme}://, and not to https://")
        kind: Any = http.client.HTTPConnection
        more: dict[str, Any] = {}
        if to.scheme == "https":
            kind, more = http.client.HTTPSConnection, {"context": self.context}
        there = kind(to.hostname, to.port, timeout=min(self.patience, 60), **more)
        there.request("GET", to.path + ("?" + to.query if to.query else ""), headers=headers)
        return cast(http.client.HTTPResponse, there.getresponse())

    def _key(self, wanted: str) -> str:
        """What to show a registry that asks like this: the name and password, or a token that they are good for."""
        basic = "Basic " + base64.b64encode(":".join(self.login).encode()).decode() if self.login[0] else ""
        scheme, _, rest = wanted.partition(" ")
        if scheme.lower() != "bearer":
            return basic
        said = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        query = {"service": said.get("service", ""), "scope": f"repository:{self.path}:pull"}
        url = said.get("realm", "") + "?" + urllib.parse.urlencode(query)
        answer = self._get(url, {"Authorization": basic} if basic else {})
        if answer.status != 200:
            raise Ended(error=f"unauthorized: the registry's authority answered {answer.status}")
        row = json.loads(answer.read())
        return "Bearer " + str(row.get("token") or row.get("access_token") or "")


class Carried:
    """How far all of it is, and how fast it may be."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.rate, self.patience = job["rate"], job["patience"]
        self.total = sum(layer["size"] for layer in job["layers"])
        self.came = sum(size(path(layer["digest"])) for layer in job["layers"])
        self.since, self.began, self.gone, self.said = time.monotonic(), time.monotonic(), 0, 0.0

    def note(self, count: int) -> None:
        self.came, self.gone, self.since = self.came + count, self.gone + count, time.monotonic()
        if self.rate:
            time.sleep(max(self.gone / self.rate - (time.monotonic() - self.began), 0))
        if time.monotonic() - self.said >= 1:
            self.said = time.monotonic()
            say(current=self.came, total=self.total, events=self.gone)

    def broke(self, error: Exception) -> None:
        """Waits for a moment before the next attempt, or ends when nothing has come for too long."""
        if time.monotonic() - self.since > self.patience:
            why = str(error) or type(error).__name__
            raise Ended(error=f"the pull made no progress for {self.patience:g} s: {why}")
        time.sleep(min(max(time.monotonic() - self.since, 0.5), 15))


def path(digest: str) -> Path:
    return BLOBS / digest.partition(":")[2]


def size(place: Path) -> int:
    return place.stat().st_size if place.exists() else 0


def long_enough(answer: http.client.HTTPResponse, layer: dict[str, Any]) -> None:
    """Ends if the registry says that its blob is shorter than the layer. An answer that is cut off does not say so."""
    said = answer.headers.get("Content-Length") or ""
    if answer.status == 206:
        said = (answer.headers.get("Content-Range") or "").rpartition("/")[2]
    if said.isdecimal() and int(said) < layer["size"]:
        why = f"{layer['digest']} has {said} bytes in the registry, which does not match the manifest"
        raise Ended(error=why)


def fetch(layer: dict[str, Any], registry: Registry, carried: Carried) -> None:
    """Has the layer's blob in the directory, whole and checked."""
    place = path(layer["digest"])
    while size(place) < layer["size"]:
        try:
            begin = size(place)
            with registry.blob(layer["digest"], begin) as answer:
                long_enough(answer, layer)
                with place.open("ab" if answer.status == 206 else "wb") as file:
                    carried.came -= begin if answer.status == 200 else 0
                    while chunk := answer.read1(min(CHUNK, layer["size"] - file.tell())):
                        file.write(chunk)
                        carried.note(len(chunk))
            broke: Exception | None = None if size(place) > begin else OSError("it sends nothing")
        except (OSError, http.client.HTTPException) as error:
            if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
                raise Ended(error="no space left on device") from error
            broke = error
        if broke:
            carried.broke(broke)
    digest = hashlib.sha256()
    with place.open("rb") as blob:
        while chunk := blob.read(CHUNK):
            digest.update(chunk)
    if "sha256:" + digest.hexdigest() != layer["digest"]:
        place.unlink()
        raise Ended(error=f"verification failed for digest {layer['digest']}")


def carry(job: dict[str, Any]) -> None:
    """Fetches the layers one after the other, each from where it was cut off on, and gives the engine what it lacks."""
    wanted = {path(layer["digest"]) for layer in job["layers"]}
    for place in set(BLOBS.iterdir()) - wanted:
        place.unlink()
    carried, registry = Carried(job), Registry(job)
    room(job, BLOBS, carried.came)
    for layer in job["layers"]:
        fetch(layer, registry, carried)
    load(job)
    for place in wanted:
        place.unlink()
    raise Ended(downloaded=sorted(layer["digest"].partition(":")[2][:12] for layer in job["layers"]))


class Sent:
    """A file that is written to an engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def write(self, data: bytes) -> int:
        if data:
            self.engine.send(b"%x\r\n%b\r\n" % (len(data), data))
        return len(data)


def load(job: dict[str, Any]) -> None:
    """Sends the engine the archive: its small files are in the job, its layers in the directory."""
    engine = Engine("engine", timeout=job["patience"])
    engine.putrequest("POST", "/images/load?quiet=0")
    engine.putheader("Content-Type", "application/x-tar")
    engine.putheader("Transfer-Encoding", "chunked")
    engine.endheaders()
    # An engine that refuses it hangs up, and has said why.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        send(job, engine)
    for _ in events(engine.getresponse()):
        pass


def send(job: dict[str, Any], engine: Engine) -> None:
    with tarfile.open(fileobj=cast(Any, Sent(engine)), mode="w|", bufsize=CHUNK, format=tarfile.GNU_FORMAT) as tar:
        for name, text in job["files"].items():
            place = HERE / "file"
            place.write_bytes(base64.b64decode(text))
            tar.add(place, name)
        for layer in job["layers"]:
            tar.add(path(layer["digest"]), "blobs/sha256/" + layer["digest"].partition(":")[2])
    engine.send(b"0\r\n\r\n")


def main() -> int:
    job = json.loads((HERE / "job.json").read_text())
    try:
        (carry if job["files"] else pull)(job)
    except Ended as ended:
        say(**ended.said)
    except socket.timeout:  # noqa: UP041 -- only from Python 3.10 on they are the same
        say(error=f"the pull made no progress for {job['patience']:g} s")
    except (OSError, ValueError, http.client.HTTPException) as error:
        # The engine is going away. It starts again what ended badly when it is back.
        say(error=f"the pull broke off: {str(error) or type(error).__name__}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
