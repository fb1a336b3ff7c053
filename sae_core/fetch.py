"""A packed file from an address, in a stated time: also from a server that sends one byte now and then."""

from __future__ import annotations

import http.client
import socket
import threading
import urllib.request
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

from sae_core.stage import Stage

_CHUNK = 1 << 16


class _Watch:
    """Ends a fetch's connections when its time is over: a socket's own timeout begins anew with every byte."""

    def __init__(self, seconds: float) -> None:
        self.over = False
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> _Watch:
        self._timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._timer.cancel()

    def add(self, made: socket.socket) -> None:
        self._sockets.append(made)
        if self.over:
            self._end()

    def _end(self) -> None:
        self.over = True
        for made in self._sockets:
            with suppress(OSError):
                socket.socket.shutdown(made, socket.SHUT_RDWR)  # of a TLS socket the connection below it


def _opener(watch: _Watch) -> urllib.request.OpenerDirector:
    """As `urlopen` opens, its proxies and redirects too, but every connection is watched."""

    def watched(kind: type[http.client.HTTPConnection]) -> Any:
        class Connection(kind):  # type: ignore[misc,valid-type]
            def connect(self) -> None:
                super().connect()
                watch.add(self.sock)

        return Connection

    class Plain(urllib.request.HTTPHandler):
        def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(watched(http.client.HTTPConnection), req)

    class Secure(urllib.request.HTTPSHandler):
        def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(watched(http.client.HTTPSConnection), req)

    return urllib.request.build_opener(Plain, Secure)


def fetch(url: str, target: Path, most: int, progress: Stage | None, timeout: float, total: float) -> None:
    """Download a gzip file and unpack it into `target`.

    Args:
        url: the packed file.
        target: where its content goes.
        most: bytes that are unpacked at most; what comes after them is not asked for.
        progress: told the file's name, bytes done, and bytes in total (0 when the server does not say).
        timeout: longest wait for a connection or for the next bytes, in seconds.
        total: longest time for all of it, in seconds.

    Raises:
        TimeoutError: the total is over.
        OSError, http.client.HTTPException, zlib.error: it did not work.
    """
    unpacker = zlib.decompressobj(wbits=31)  # gzip
    done = written = 0
    with _Watch(total) as watch:
        try:
            with _opener(watch).open(url, timeout=min(timeout, total)) as response, target.open("wb") as file:
                whole = int(response.headers.get("Content-Length") or 0)
                while written < most and (chunk := response.read(_CHUNK)):
                    done += len(chunk)
                    written += file.write(unpacker.decompress(chunk, most))
                    if progress is not None:
                        progress(f"{target.name}.gz", done, whole)
        except (OSError, http.client.HTTPException, zlib.error):
            if not watch.over:
                raise
        if watch.over:  # a connection that was ended may look like one that is finished
            raise TimeoutError(f"it was not whole after {total:.3g} s")
