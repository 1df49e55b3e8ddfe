"""The worker: takes messages from the stream and delivers them."""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel

from .background import running
from .broker import Broker, Outcome, TheBroker, broker_answers, connect
from .health import health_router

log = logging.getLogger("uvicorn.error")

NAME = f"{socket.gethostname()}-{os.getpid()}"


class State(TypedDict):
    broker: Broker
    consumer: asyncio.Task[None]


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[State]:
    async with connect() as broker:

        async def deliver() -> None:
            async for message in broker.receive(NAME):
                log.info("to %s: %s", message.channel, message.text)
                await broker.note(Outcome(message=message, status="delivered", delivered_by=NAME))

        async with running(deliver) as consumer:
            yield {"broker": broker, "consumer": consumer}


async def consumes(request: Request) -> bool:
    return not request.state.consumer.done()


class Question(BaseModel):
    message_id: str


class Answer(Outcome):
    answered_by: str = NAME


app = FastAPI(title="worker", lifespan=lifespan)
app.include_router(health_router(redis=broker_answers, consumer=consumes))


@app.post("/status")
async def status(question: Question, broker: TheBroker) -> Answer:
    outcome = await broker.outcome(question.message_id)
    if outcome is None:
        raise HTTPException(404, "there is no such message")
    return Answer(**outcome.model_dump())
