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
from deployments.settings import (
    Args,
    ConfigError,
    RemoteLanguageModel,
    check_models,
    is_loopback,
    read_key_of,
    read_settings,
)
from deployments.stages import Handles
from deployments.viral_predictor import ViralPredictor
from pipelines.generator.candidates import Engines


def build(args: Args) -> Application:
    """Build ingress -> query_analyzer, sentiment, generator, viral_predictor.

    Raises:
        ConfigError: no database or cache address, one Serve flag without the other, an open host without API keys, a
            language model of a provider without its key, a token of X without what belongs to it, an address for traces
            that is none, or a file below models/ that is not the release's.
    """
    settings = read_settings()
    host = _http_host()
    settings.check(host)
    check_models()
    if settings.database_url is None or settings.redis_url is None:
        raise ConfigError("set DATABASE_URL and REDIS_URL, or start with `make serve`, which brings both")
    model = args.language_model
    if isinstance(model, RemoteLanguageModel):
        settings.key_of(model)
    settings.x_access()
    settings.traces_endpoint()
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
            read_key=read_key_of,
        ),
        viral_predictor=_deploy(ViralPredictor, "viral_predictor").bind(
            args.viral_predictor, args.encoder, args.substance, args.wording
        ),
    )
    return _deploy(serve.ingress()(Ingress), "ingress").bind(
        handles,
        read_settings,
        Engines(language_model=model is not None),
        loopback=is_loopback(host),
        encoder=args.encoder,
        viral_predictor=args.viral_predictor,
        release=args.release,
    )


def _deploy(kind: type, name: str) -> Deployment:
    """The class as a deployment; its numbers stand in serve_config.yaml under the same name."""
    return serve.deployment(name=name)(kind)


def _http_host() -> str:
    """Where Serve listens; without a key we only answer callers on this machine."""
    client: Any = _get_global_client()
    return str(client.http_config.host)
