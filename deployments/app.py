"""Composition root: binds the five deployments into one application; the only reader of Settings in the cluster.

No postponed annotations here: Serve reads the type of `args` from the signature.
"""

from typing import Any

from ray import serve
from ray.serve import Application, Deployment
from ray.serve.context import _get_global_client

from deployments.generator import TweetGenerator
from deployments.http.ingress import Ingress
from deployments.query_analyzer import QueryAnalyzer
from deployments.sentiment import SentimentEnsemble
from deployments.settings import Args, ConfigError, RemoteLanguageModel, read_settings
from deployments.stages import Handles
from deployments.viral_predictor import ViralPredictor
from pipelines.generator.candidates import Engines


def build(args: Args) -> Application:
    """Build ingress -> query_analyzer, sentiment, generator, viral_predictor.

    Raises:
        ConfigError: no database or cache address, one Serve flag without the other, an open host without API keys, a
            language model of a provider without its key.
    """
    settings = read_settings()
    settings.check(_http_host())
    if settings.database_url is None or settings.redis_url is None:
        raise ConfigError("set DATABASE_URL and REDIS_URL, or start with `make serve`, which brings both")
    model = args.language_model
    key = settings.key_of(model) if isinstance(model, RemoteLanguageModel) else None
    handles = Handles(
        query_analyzer=_deploy(QueryAnalyzer, "query_analyzer").bind(args.spacy_models),
        sentiment=_deploy(SentimentEnsemble, "sentiment").bind(
            args.encoder,
            args.sensitivity,
            args.substance,
            transformer=args.sentiment_transformer,
            languages=args.sentiment_languages,
            device=args.device,
        ),
        generator=_deploy(TweetGenerator, "generator").bind(
            model,
            args.judge,
            args.verifier,
            device=args.device,
            writer_threads=args.writer_threads,
            key=key,
        ),
        viral_predictor=_deploy(ViralPredictor, "viral_predictor").bind(
            args.viral_predictor, args.encoder, args.substance, args.wording
        ),
    )
    return _deploy(serve.ingress()(Ingress), "ingress").bind(
        handles,
        settings.database_url.get_secret_value(),
        settings.redis_url.get_secret_value(),
        {account: key.get_secret_value() for account, key in settings.murmuration_api_keys.items()},
        Engines(language_model=model is not None),
    )


def _deploy(kind: type, name: str) -> Deployment:
    """The class as a deployment; its numbers stand in serve_config.yaml under the same name."""
    return serve.deployment(name=name)(kind)


def _http_host() -> str:
    """Where Serve listens; without a key we only answer callers on this machine."""
    client: Any = _get_global_client()
    return str(client.http_config.host)
