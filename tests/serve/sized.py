"""An application of which each part asks for other hardware and is there only while somebody calls it."""

from ray import serve
from ray.serve import Application
from ray.serve.handle import DeploymentHandle
from starlette.requests import Request


@serve.deployment
class Part:
    """Says where it runs."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def name(self) -> str:
        return self._name


@serve.deployment
class Front:
    """Calls the part that the path names."""

    def __init__(self, **parts: DeploymentHandle) -> None:
        self._parts = parts

    async def __call__(self, request: Request) -> str:
        part: str = await self._parts[request.url.path.strip("/")].name.remote()
        return part


def build(_: dict[str, str]) -> Application:
    """Bind the parts behind their front."""
    parts = {name: Part.options(name=name).bind(name) for name in ("plain", "accelerated")}
    return Front.options(name="front").bind(**parts)
