"""The scheduler: keeps messages until they are due."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI, Request
from pydantic import BaseModel, Field

from .background import running
from .broker import Broker, Message, TheBroker, broker_answers, connect
from .health import health_router

TICK_SECONDS = 0.25


class State(TypedDict):
    broker: Broker
    clock: asyncio.Task[None]


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[State]:
    async with connect() as broker:

        async def tick() -> None:
            await broker.send_due()
            await asyncio.sleep(TICK_SECONDS)

        async with running(tick) as clock:
            yield {"broker": broker, "clock": clock}


async def ticks(request: Request) -> bool:
    return not request.state.clock.done()


class Scheduled(BaseModel):
    message: Message
    after_seconds: float = Field(gt=0)


app = FastAPI(title="scheduler", lifespan=lifespan)
app.include_router(health_router(redis=broker_answers, clock=ticks))


@app.post("/schedule", status_code=202)
async def schedule(scheduled: Scheduled, broker: TheBroker) -> dict[str, str]:
    message = scheduled.message.model_copy(update={"sent_by": "scheduler"})
    await broker.send_after(message, scheduled.after_seconds)
    return {"message_id": message.id}
