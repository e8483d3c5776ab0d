"""A client that keeps what real indexes have said, so that tests which read it do not ask for it every time."""

import hashlib
import json
import os
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from watcher.errors import IndexUnreachable
from watcher.http import Http, Limits, Request, Response

_GOOD_FOR = 86_400.0


class KeptPages(Http):
    """Gives a page that is younger than a day without asking, and asks for an older one on condition. All of them come
    in full, with status 200: they are there to be read."""

    def __init__(self, contact: str, limits: Limits) -> None:
        super().__init__(contact, limits=limits)
        caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self._place = caches / "toplayer-tests" / "pages"
        self._place.mkdir(parents=True, exist_ok=True)

    def many(
        self, requests: Sequence[Request], *, later: bool = False
    ) -> Iterator[tuple[Request, Response | IndexUnreachable]]:
        asked: dict[Request, tuple[Request, Response | None]] = {}
        for request in requests:
            kept, age = self._kept(request)
            if kept is not None and age < _GOOD_FOR:
                yield request, kept
                continue
            etag = kept.headers.get("etag") if kept is not None else None
            headers = {**request.headers, "if-none-match": etag} if etag else request.headers
            asked[replace(request, headers=headers)] = request, kept
        for sent, result in super().many(list(asked), later=later):
            request, kept = asked[sent]
            if isinstance(result, Response) and result.status == 304 and kept is not None:
                result = kept
            if isinstance(result, Response) and result.status == 200:
                self._keep(request, result)
            yield request, result

    def _path(self, request: Request) -> Path:
        said = f"{request.url}\n{request.headers.get('accept', '')}"
        return self._place / hashlib.sha256(said.encode()).hexdigest()

    def _kept(self, request: Request) -> tuple[Response | None, float]:
        """A page that was kept, and how old it is."""
        path = self._path(request)
        with suppress(FileNotFoundError, ValueError, KeyError, zlib.error):
            head, _, body = zlib.decompress(path.read_bytes()).partition(b"\n")
            said = json.loads(head)
            return Response(said["url"], 200, said["headers"], body), time.time() - path.stat().st_mtime
        return None, 0.0

    def _keep(self, request: Request, answer: Response) -> None:
        head = json.dumps({"url": answer.url, "headers": dict(answer.headers)}).encode()
        path = self._path(request)
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_bytes(zlib.compress(head + b"\n" + answer.body, 1))
        fresh.replace(path)
