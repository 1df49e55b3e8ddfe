"""The API: what the outside sees."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypedDict

import httpx
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from .broker import Broker, Message, TheBroker, broker_answers, connect
from .discovery import ServiceClient
from .health import health_router


class State(TypedDict):
    broker: Broker
    services: ServiceClient


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[State]:
    services = ServiceClient()
    try:
        async with connect() as broker:
            yield {"broker": broker, "services": services}
    finally:
        await services.close()


def get_services(request: Request) -> ServiceClient:
    services: ServiceClient = request.state.services
    return services


Services = Annotated[ServiceClient, Depends(get_services)]


class NewMessage(BaseModel):
    channel: str = Field(min_length=1, max_length=64)
    text: str = Field(max_length=4_096)
    after_seconds: float = Field(default=0, ge=0, le=30 * 86_400)


class Accepted(BaseModel):
    message_id: str


app = FastAPI(title="api", lifespan=lifespan)
# The worker and the scheduler are no part of this: when they are away, the API still takes messages.
app.include_router(health_router(redis=broker_answers))


@app.exception_handler(httpx.HTTPError)
async def other_service_failed(_: Request, error: httpx.HTTPError) -> JSONResponse:
    if isinstance(error, httpx.HTTPStatusError) and error.response.status_code == httpx.codes.NOT_FOUND:
        return JSONResponse({"detail": "not found"}, status_code=404)
    return JSONResponse({"detail": f"{error.request.url.host}: {error}"}, status_code=502)


@app.post("/messages", status_code=202)
async def take(
    new: NewMessage,
    broker: TheBroker,
    services: Services,
) -> Accepted:
    """Sends a message over the stream; one for later goes to the scheduler."""
    message = Message(channel=new.channel, text=new.text)
    if new.after_seconds > 0:
        data = {"message": message.model_dump(), "after_seconds": new.after_seconds}
        await services.call_scheduler("/schedule", data)
    else:
        await broker.send(message)
    return Accepted(message_id=message.id)


@app.get("/messages/{message_id}")
async def status(message_id: str, services: Services) -> dict[str, Any]:
    """Asks a worker what became of a message."""
    return await services.call_worker("/status", {"message_id": message_id})
