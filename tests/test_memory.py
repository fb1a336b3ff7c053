"""What many visitors at once take of the server's memory, as the system counts it."""

from __future__ import annotations

import asyncio
import sys

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

    one, many = asyncio.run(both())
    assert many["now_mb"] < (1 + MORE) * one["now_mb"], (one, many)
