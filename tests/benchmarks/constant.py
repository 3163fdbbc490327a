"""The product's ingress in the cluster, answering a constant to the same request: what HTTP and Serve alone cost."""

from typing import Any

from ray import serve
from ray.serve import Application

from deployments.http.gate import Gate
from deployments.http.ingress import create_api
from deployments.metrics import IngressMetrics
from deployments.settings import Args, IngressConfig

SIZE = 3000
HEAD = b'{"id":"0","persisted":true,"degraded":[],"analysis":"'


class ConstantAnswers:
    def engine(self, _query: Any) -> str:
        return "templates"

    async def answer(self, _query: Any, _account: str, _key: str | None) -> bytes:
        return HEAD + b"x" * (SIZE - len(HEAD) - 2) + b'"}'


class ConstantIngress:
    """The routes and the gate of the product around a constant."""

    answers: Any = ConstantAnswers()
    not_ready: tuple[()] = ()

    def __serve_build_asgi_app__(self) -> Gate:
        self.gate = Gate(create_api(self), {}, IngressMetrics().response)
        return self.gate

    async def close(self) -> None:
        """Nothing to close."""

    def reconfigure(self, user_config: dict[str, Any]) -> None:
        config = IngressConfig.model_validate(user_config)
        self.gate.max_requests, self.gate.log_share = config.max_requests, config.log_share


def build(args: Args) -> Application:
    """Only the ingress."""
    assert args
    return serve.deployment(name="ingress")(serve.ingress()(ConstantIngress)).bind()
