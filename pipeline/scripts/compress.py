"""Compress archives to blobs of layers; the same archive gives the same bytes, with any number of cores.

`layer_format` describes the formats. gzip of format 2 is a row of members, each of the same number of bytes of the
archive: several cores make them at once, and a reader of gzip reads them as one. The cores are shared by all layers
that are made at once.
"""

import gzip
import multiprocessing
import os
import threading
import zlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from importlib.metadata import version
from types import TracebackType
from typing import Any, BinaryIO, Final, Protocol, Self

import deflate
from backports import zstd

#: Compression levels: the tools' defaults.
GZIP_LEVEL: Final = 6
ZSTD_LEVEL: Final = 3
#: Bytes of an archive in each member.
MEMBER: Final = 32 * 1024 * 1024
#: Names of the store's folders: the compressors by version and level, on which the bytes of a blob depend.
_ZLIB: Final = f"gzip-{zlib.ZLIB_RUNTIME_VERSION}-{GZIP_LEVEL}"
_LIBDEFLATE: Final = f"deflate-{version('deflate')}-{GZIP_LEVEL}-{MEMBER}"
_ZSTD: Final = f"zstd-{'.'.join(map(str, zstd.zstd_version_info))}-{ZSTD_LEVEL}"
COMPRESSORS: Final = {
    ("gzip", 1): _ZLIB, ("gzip", 2): _LIBDEFLATE, ("zstd", 1): _ZSTD, ("zstd", 2): _ZSTD,
}  # fmt: skip


class Slots(Protocol):
    """Semaphore of threads or processes: the number of members that are in memory at once."""

    def acquire(self, blocking: bool = True) -> bool:  # noqa: FBT001, FBT002  # as both have it
        """Take a slot; return False if there is none and the call may not wait."""

    def release(self) -> None:
        """Give a slot back."""


class Shared:
    """Slots of this process, which all that share the cores have in common."""

    slots: Slots = threading.Semaphore(os.cpu_count() or 1)


def layers_at_once() -> ProcessPoolExecutor:
    """Return a pool in which a process for each core makes layers, and all of them together use these cores."""
    slots = multiprocessing.Semaphore(os.cpu_count() or 1)
    return ProcessPoolExecutor(initializer=_share, initargs=(slots,))


def _share(slots: Slots) -> None:
    Shared.slots = slots


class Members:
    """Writable file that compresses what is written to it, in members; none is written if that fails halfway."""

    def __init__(self, target: BinaryIO, member: int = MEMBER) -> None:
        self._target = target
        self._member = member
        self._slots = Shared.slots
        self._buffer = bytearray()
        self._pending: deque[Future[bytearray]] = deque()
        self._threads = ThreadPoolExecutor()
        self._begun = False

    def __enter__(self) -> Self:
        return self

    def write(self, data: bytes) -> int:
        """Add bytes; a member that is complete by that is compressed."""
        rest = memoryview(data)
        while rest:
            part = rest[: self._member - len(self._buffer)]
            self._buffer += part
            rest = rest[len(part) :]
            if len(self._buffer) == self._member:
                self._compress()
        return len(data)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and (self._buffer or not self._begun):
                self._compress()
            while kind is None and self._pending:
                self._write_first()
        finally:
            # Other processes wait for the slots.
            while self._pending:
                self._finish_first()
            self._threads.shutdown()

    def _compress(self) -> None:
        """Start to compress the buffer when there is a slot; while it waits for one, this file has none itself."""
        while not self._slots.acquire(not self._pending):
            self._write_first()
        buffer, self._buffer, self._begun = self._buffer, bytearray(), True
        self._pending.append(self._threads.submit(deflate.gzip_compress, buffer, GZIP_LEVEL))

    def _write_first(self) -> None:
        self._target.write(self._finish_first().result())

    def _finish_first(self) -> Future[bytearray]:
        """Wait for the first member, and give its slot back."""
        member = self._pending.popleft()
        member.exception()
        self._slots.release()
        return member


def open_compressed(compression: str, number: int, target: BinaryIO) -> Any:  # noqa: ANN401  # files without one type
    """Return a file that compresses what is written to it, in a format; its header has no time of day."""
    makers: dict[str, Callable[[], Any]] = {
        _ZSTD: lambda: zstd.ZstdFile(target, "wb", level=ZSTD_LEVEL),
        _ZLIB: lambda: gzip.GzipFile("", "wb", GZIP_LEVEL, target, mtime=0),
        _LIBDEFLATE: lambda: Members(target),
    }
    return makers[COMPRESSORS[compression, number]]()
