"""OSV on loopback: advisories in the form of https://ossf.github.io/osv-schema/, by the two requests that we make."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.rig.loopback import Handler, Served


class OsvServer(Served):
    """The source, as a context manager. `asked` lists the paths that it was asked; `page` is how many it says at once.

    `down` answers 503 to everything; `answer` to everything with these bytes.
    """

    def __init__(self, *, page: int = 1000) -> None:
        super().__init__(_Handler)
        self.asked: list[str] = []
        self.down = False
        self.answer: bytes | None = None
        self.page = page
        self._records: dict[str, dict[str, Any]] = {}

    def publish(
        self,
        id: str,
        package: str,
        *events: Mapping[str, str],
        ecosystem: str = "PyPI",
        versions: Sequence[str] = (),
        modified: str = "2026-11-01T00:00:00Z",
        **more: Any,
    ) -> None:
        """An advisory, or a new state of one: `events` such as `{"introduced": "0"}` and `{"fixed": "1.1"}`."""
        ranges = [{"type": "ECOSYSTEM", "events": list(events)}] if events else []
        affected = {"package": {"name": package, "ecosystem": ecosystem}, "ranges": ranges, "versions": list(versions)}
        self._records[id] = {"id": id, "modified": modified, "affected": [affected], **more}

    def batch(self, queries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """What /v1/querybatch says: ids only."""
        results = []
        for query in queries:
            page = self.query(query)
            rows = [{"id": row["id"], "modified": row["modified"]} for row in page.get("vulns", ())]
            results.append({**({"vulns": rows} if rows else {}), **{k: v for k, v in page.items() if k != "vulns"}})
        return {"results": results}

    def query(self, query: Mapping[str, Any]) -> dict[str, Any]:
        """What /v1/query says: everything."""
        found = [
            record
            for _, record in sorted(self._records.items())
            if any(one["package"] == query["package"] for one in record["affected"])
        ]
        start = int(query.get("page_token", "0"))
        rest = len(found) > start + self.page
        page = found[start : start + self.page]
        more = {"next_page_token": str(start + self.page)} if rest else {}
        return {**({"vulns": page} if page else {}), **more}


class _Handler(Handler):
    def do_POST(self) -> None:
        source: OsvServer = self.server.owner
        content = json.loads(self.rfile.read(int(self.headers["content-length"])))
        source.asked.append(self.path)
        if self.path == "/v1/querybatch":
            said: Any = source.batch(content["queries"])
        else:
            said = source.query(content)
        body = json.dumps(said).encode() if source.answer is None else source.answer
        self.send_response_only(503 if source.down else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
