"""What an image is made of, on its way to the repository while the rest of it is still being made."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from workers.image.each import AT_ONCE
from workers.image.layer import Layer
from workers.oci.manifest import Descriptor
from workers.oci.store import Store, copy_blob


class Sending:
    """Blobs on their way to `store`, several at once. What was sent is deleted here: a disk need not hold an image."""

    def __init__(self, store: Store, directory: Path) -> None:
        self._store, self._directory = store, directory
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="send")
        self._sent: list[Future[int]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)

    def copy(self, blob: Descriptor, source: Store) -> None:
        """Takes over a blob of another repository."""
        self._begin(lambda: copy_blob(blob, source, self._store, self._directory))

    def put(self, layer: Layer) -> None:
        """Sends a layer that was made."""

        def send() -> int:
            sent = self._store.put_blob(layer.digest, layer.path)
            layer.path.unlink()
            return sent

        self._begin(send)

    def wait(self) -> int:
        """The bytes that travelled, when everything is there. What went wrong on the way is raised."""
        return sum(one.result() for one in self._sent)

    def _begin(self, work: Callable[[], int]) -> None:
        # Where one thing cannot be sent, nothing more has to be made.
        for one in self._sent:
            if one.done():
                one.result()
        self._sent.append(self._pool.submit(work))
