"""A directory of wheels as an index on loopback: `python -m bench.index DIRECTORY PORT`.

So that everything that is compared downloads the same files, from the same place, at the same speed.
"""

import hashlib
import json
import sys
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import copyfileobj

from packaging.utils import parse_wheel_filename


def main() -> None:
    directory, port = Path(sys.argv[1]), int(sys.argv[2])
    pages = _pages(directory)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            name = self.path.strip("/").removeprefix("simple/").rstrip("/")
            if name in pages:
                self._answer("application/vnd.pypi.simple.v1+json", len(pages[name]))
                self.wfile.write(pages[name])
            elif (directory / name).is_file():
                self._answer("application/octet-stream", (directory / name).stat().st_size)
                with (directory / name).open("rb") as file:
                    copyfileobj(file, self.wfile)
            else:
                self.send_response(404)
                self.send_header("content-length", "0")
                self.end_headers()

        def _answer(self, kind: str, size: int) -> None:
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(size))
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


def _pages(directory: Path) -> dict[str, bytes]:
    rows: dict[str, list[dict[str, object]]] = defaultdict(list)
    for path in sorted(directory.glob("*.whl")):
        name = str(parse_wheel_filename(path.name)[0])
        hashes = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        rows[name].append(
            {"filename": path.name, "url": f"/{path.name}", "hashes": hashes, "size": path.stat().st_size}
        )
    meta = {"api-version": "1.1"}
    return {name: json.dumps({"meta": meta, "name": name, "files": files}).encode() for name, files in rows.items()}


if __name__ == "__main__":
    main()
