"""How the services find each other: by names that Waypost's DNS answers, at one port."""

import os
from dataclasses import dataclass, field
from typing import Any

import httpx

PORT = 8080


def host(service: str) -> str:
    """Gives the name of a service, as the environment has it or else made from the namespace."""
    namespace = os.getenv("SERVICE_NAMESPACE", "secure-api.local")
    return os.getenv(f"{service.upper()}_SERVICE_HOST", f"{service}.{namespace}")


@dataclass(frozen=True)
class ServiceEndpoints:
    api: str = field(default_factory=lambda: host("api"))
    worker: str = field(default_factory=lambda: host("worker"))
    scheduler: str = field(default_factory=lambda: host("scheduler"))
    port: int = PORT

    def api_url(self, path: str) -> str:
        return f"http://{self.api}:{self.port}{path}"

    def worker_url(self, path: str) -> str:
        return f"http://{self.worker}:{self.port}{path}"

    def scheduler_url(self, path: str) -> str:
        return f"http://{self.scheduler}:{self.port}{path}"


class ServiceClient:
    """HTTP client for calls from one service to another."""

    def __init__(self, endpoints: ServiceEndpoints | None = None) -> None:
        self.endpoints = endpoints or ServiceEndpoints()
        self._client = httpx.AsyncClient(
            timeout=30.0,
            # A connection that is kept goes to one instance for ever; a new one goes where the name points now.
            limits=httpx.Limits(max_keepalive_connections=0),
            # A proxy of the environment knows nothing of these names.
            trust_env=False,
        )

    async def call_worker(self, path: str, data: dict[str, Any]) -> dict[str, Any]:
        return await self._call(self.endpoints.worker_url(path), data)

    async def call_scheduler(self, path: str, data: dict[str, Any]) -> dict[str, Any]:
        return await self._call(self.endpoints.scheduler_url(path), data)

    async def close(self) -> None:
        await self._client.aclose()

    async def _call(self, url: str, data: dict[str, Any]) -> dict[str, Any]:
        response = await self._client.post(url, json=data)
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer
