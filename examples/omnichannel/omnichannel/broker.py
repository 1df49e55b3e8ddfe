"""Messages over Redis Streams, what becomes of them, and those that wait for their time."""

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Literal
from uuid import uuid4

from fastapi import Depends, Request
from pydantic import BaseModel, Field
from redis.asyncio import Redis
from redis.exceptions import ResponseError

STREAM = "messages"
GROUP = "workers"
WAITING = "messages:waiting"
# Messages that the stream keeps; older ones are dropped.
STREAM_MAX = 10_000
# How long what became of a message is remembered.
REMEMBERED_SECONDS = 24 * 3_600
# A message that a worker took and did not finish for so long is given to another.
ABANDONED_MS = 30_000
# How long one read waits for messages. The time limit of the sockets is longer.
BLOCK_MS = 1_000
SOCKET_SECONDS = 5.0


class Message(BaseModel):
    id: str = Field(default_factory=lambda: uuid4().hex)
    channel: str
    text: str
    sent_by: Literal["api", "scheduler"] = "api"


class Outcome(BaseModel):
    """What became of a message."""

    message: Message
    status: Literal["waiting", "sent", "delivered"]
    delivered_by: str | None = None


class Broker:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def check(self) -> bool:
        return bool(await self._redis.ping())

    async def send(self, message: Message) -> None:
        """Hands a message to whichever worker is free."""
        await self.note(Outcome(message=message, status="sent"))
        fields = {"message": message.model_dump_json()}
        await self._redis.xadd(STREAM, fields, maxlen=STREAM_MAX, approximate=True)

    async def send_after(self, message: Message, seconds: float) -> None:
        """Keeps a message until it is due."""
        await self.note(Outcome(message=message, status="waiting"))
        await self._redis.zadd(WAITING, {message.model_dump_json(): time.time() + seconds})

    async def send_due(self) -> int:
        """Sends what is due and says how many messages that were."""
        due = await self._redis.zrangebyscore(WAITING, "-inf", time.time())
        for text in due:
            # Sent before it is removed: after a crash it is sent twice, and never lost.
            await self.send(Message.model_validate_json(text))
            await self._redis.zrem(WAITING, text)
        return len(due)

    async def receive(self, consumer: str) -> AsyncIterator[Message]:
        """Gives messages for ever; one is done when the next one is asked for."""
        await self._make_group()
        while True:
            abandoned = await self._redis.xautoclaim(STREAM, GROUP, consumer, ABANDONED_MS, count=10)
            entries = abandoned[1]
            if not entries:
                streams = await self._redis.xreadgroup(GROUP, consumer, {STREAM: ">"}, count=10, block=BLOCK_MS)
                entries = [entry for _, entries in streams for entry in entries]
            for entry, fields in entries:
                yield Message.model_validate_json(fields["message"])
                await self._redis.xack(STREAM, GROUP, entry)

    async def note(self, outcome: Outcome) -> None:
        key = f"message:{outcome.message.id}"
        await self._redis.set(key, outcome.model_dump_json(), ex=REMEMBERED_SECONDS)

    async def outcome(self, message_id: str) -> Outcome | None:
        text = await self._redis.get(f"message:{message_id}")
        return None if text is None else Outcome.model_validate_json(text)

    async def _make_group(self) -> None:
        try:
            await self._redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise


@asynccontextmanager
async def connect() -> AsyncIterator[Broker]:
    """Opens a broker; a Redis that is away shows up in the checks, not here."""
    url = os.getenv("REDIS_URL", "redis://127.0.0.1:6379")
    # The older protocol has the same shape of answers with every version of the client.
    redis = Redis.from_url(
        url, decode_responses=True, protocol=2, socket_timeout=SOCKET_SECONDS, socket_connect_timeout=SOCKET_SECONDS
    )
    async with redis:
        yield Broker(redis)


def get_broker(request: Request) -> Broker:
    """Gives the broker that the service opened at its start."""
    broker: Broker = request.state.broker
    return broker


TheBroker = Annotated[Broker, Depends(get_broker)]


async def broker_answers(request: Request) -> bool:
    return await get_broker(request).check()
