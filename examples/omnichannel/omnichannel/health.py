"""`/health` says that the process lives, `/health/ready` that it can work."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

# Longest time that a dependency may take to answer.
CHECK_SECONDS = 1.0

Check = Callable[[Request], Awaitable[bool]]


class Health(BaseModel):
    status: Literal["healthy"] = "healthy"


class Readiness(BaseModel):
    status: Literal["ready", "not_ready"]
    checks: dict[str, bool]


def health_router(**checks: Check) -> APIRouter:
    """Makes both endpoints; every check stands for one dependency."""
    router = APIRouter(tags=["health"])

    @router.get("/health")
    async def health() -> Health:
        return Health()

    # The status code is 200 either way: Waypost takes the word `not_ready` for a failed check.
    @router.get("/health/ready")
    async def ready(request: Request) -> Readiness:
        passed = await asyncio.gather(*(passes(check(request)) for check in checks.values()))
        return Readiness(
            status="ready" if all(passed) else "not_ready",
            checks=dict(zip(checks, passed, strict=True)),
        )

    return router


async def passes(check: Awaitable[bool]) -> bool:
    """Makes one check; one that raises, or takes too long, has failed."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check
    except Exception:
        return False
