"""Work beside the requests."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from redis.exceptions import RedisError

log = logging.getLogger("uvicorn.error")

# Wait after a failure of Redis before the work goes on.
PAUSE_SECONDS = 0.5


@asynccontextmanager
async def running(work: Callable[[], Awaitable[None]]) -> AsyncIterator[asyncio.Task[None]]:
    """Repeats the work for as long as the context lasts."""
    task = asyncio.create_task(_repeat(work))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _repeat(work: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await work()
        except (RedisError, OSError) as error:
            log.warning("redis: %s", error)
            await asyncio.sleep(PAUSE_SECONDS)
