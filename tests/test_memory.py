"""What many visitors at once take of the server's memory, as the system counts it."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.bench_memory import measure

VISITORS = 8
MORE = 0.10


@pytest.mark.case(13)
@pytest.mark.without_mnist
@pytest.mark.skipif(sys.platform != "linux", reason="Linux says what a process takes of the memory")
def test_many_in_the_first_second_take_little_more_memory_than_one() -> None:
    """Each thing is loaded once, whoever asks: a second copy of torch's model, images or statistics would be seen."""

    async def both() -> list[dict[str, float]]:
        return list(await asyncio.gather(measure(1, ["Draw"]), measure(VISITORS, ["Draw"])))

    # In a thread of its own: the driver of the browser tests leaves an event loop running in this one.
    with ThreadPoolExecutor(1) as thread:
        one, many = thread.submit(asyncio.run, both()).result()
    assert many["now_mb"] < (1 + MORE) * one["now_mb"], (one, many)
