"""What takes long is made batch by batch, by everyone who waits for it."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

Part = TypeVar("Part")
Whole = TypeVar("Whole")


class Batchwise(Generic[Part, Whole]):
    """Something over n images. Several may ask for it at once: each batch is made once.

    Who stops in the middle (a page that is run again) leaves what was made to the next.

    Args:
        n: images.
        size: of a batch, in images.
        part: what is made of the images from `start` up to, not with, `stop`.
        whole: what all parts are together; of no parts where there are no images.
    """

    def __init__(
        self, n: int, size: int, part: Callable[[int, int], Part], whole: Callable[[list[Part]], Whole]
    ) -> None:
        self._n, self._size, self._part, self._join = n, size, part, whole
        self._lock = Lock()
        self._parts: list[Part] = []
        self._whole: Whole | None = None

    def fill(self, tell: Callable[[float], None] = lambda share: None) -> Whole:
        """The whole, once what is still to be made is made; `tell` hears the share that is done, from 0 to 1."""
        while True:
            # `tell` may end the run: never while the lock is held.
            tell(self._share())
            with self._lock:
                if self._whole is not None:
                    return self._whole
                start = len(self._parts) * self._size
                if start >= self._n:
                    self._whole = self._join(self._parts)
                    self._parts = []
                    return self._whole
                self._parts.append(self._part(start, min(self._n, start + self._size)))

    def _share(self) -> float:
        done = len(self._parts) * self._size
        return 1.0 if self._whole is not None or done >= self._n else done / self._n
