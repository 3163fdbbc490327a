"""What can be configured: secrets and addresses in the environment, everything else in serve_config.yaml.

Only the composition root and the supervisor call for these; every other module gets arguments. Replicas are given the
functions that read secrets and not the secrets: what a deployment is bound with stands in Serve's checkpoint.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field, HttpUrl, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError
from ray.serve.schema import ServeDeploySchema

from deployments.autoscaling import DemandPolicy
from deployments.microbatch import Limits
from deployments.stages import STAGES
from pipelines.errors import WeightsRefused
from pipelines.generator.remote_model import Provider
from pipelines.policy import Action, Policy
from pipelines.weights import check_sums
from store.errors import StoreError
from store.keys import any_live_key
from store.postgres import load_queries

ROOT = Path(__file__).resolve().parents[1]
MIN_KEY_CHARACTERS = 16
KEY_TIMEOUT_S = 5.0
REFUSED_KEYS = frozenset({"changeme", "changethis", "secret", "password"})
Device = Literal["auto", "cpu", "cuda"]
# The adapter of our own writer, and where set-up puts the model that it was merged into; see supervisor/writer.py.
OWN_WRITER = "models/generator"
PREPARED_WRITER = ROOT / ".murmuration" / "writer"
AUTOSCALING_POLICY = f"{DemandPolicy.__module__}:{DemandPolicy.__name__}"


class Settings(BaseSettings):
    """The environment: where the servers are and who may call."""

    model_config = SettingsConfigDict(env_prefix="", env_ignore_empty=True, extra="ignore", frozen=True)

    database_url: SecretStr | None = None
    redis_url: SecretStr | None = None
    # account -> key, as JSON: {"default": "..."}
    murmuration_api_keys: dict[str, SecretStr] = Field(default_factory=dict)
    # What a language model behind HTTP is asked with.
    openai_api_key: SecretStr | None = None
    anthropic_api_key: SecretStr | None = None
    # What the account's own posts are read from X with: a token of an app, or of the user, which is refreshed.
    x_user_id: str | None = None
    x_bearer_token: SecretStr | None = None
    x_client_id: str | None = None
    x_client_secret: SecretStr | None = None
    x_refresh_token: SecretStr | None = None
    # Where spans are sent by OTLP over HTTP; the SDK reads what else of OTEL_* is set.
    otel_exporter_otlp_endpoint: str | None = None
    ray_serve_throughput_optimized: bool = False
    ray_serve_enable_ha_proxy: bool = False

    @field_validator("murmuration_api_keys")
    @classmethod
    def _refuse_weak_keys(cls, keys: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for account, key in keys.items():
            value = key.get_secret_value()
            if len(value) < MIN_KEY_CHARACTERS or any(refused in value.lower() for refused in REFUSED_KEYS):
                raise ValueError(
                    f"the key of account {account!r} must be {MIN_KEY_CHARACTERS} characters or more, no example's"
                )
        return keys

    def key_of(self, model: RemoteLanguageModel) -> SecretStr | None:
        """Return the key that a model behind HTTP is asked with; None where it is unset or empty.

        Raises:
            ConfigError: the provider's own server wants one.
        """
        key = (self.openai_api_key if model.provider == "openai" else self.anthropic_api_key) or None
        if key is None and model.base_url is None:
            variable = f"{model.provider.upper()}_API_KEY"
            raise ConfigError(f"set {variable}, or args.language_model.base_url to a server that asks for no key")
        return key

    def x_access(self) -> XAccess | None:
        """Return what X is asked with; None where neither token is set. The user's goes before the app's.

        Raises:
            ConfigError: a token without the account that it reads, or without the client that refreshes it.
        """
        bearer, refresh = self.x_bearer_token or None, self.x_refresh_token or None
        if bearer is None and refresh is None:
            return None
        if not re.fullmatch(r"[0-9]{1,19}", self.x_user_id or ""):
            raise ConfigError("set X_USER_ID to the number of the account at X whose posts the token reads")
        if refresh is not None and not self.x_client_id:
            raise ConfigError("X_REFRESH_TOKEN needs X_CLIENT_ID, the client that it was given to")
        return XAccess(
            user_id=str(self.x_user_id),
            bearer_token=None if refresh else bearer,
            refresh_token=refresh,
            client_id=self.x_client_id or None,
            client_secret=self.x_client_secret or None,
        )

    def traces_endpoint(self) -> str | None:
        """Return where spans are sent; None, for no tracing, where it is unset or empty.

        Raises:
            ConfigError: it is no address of http or https, or holds a password.
        """
        endpoint = self.otel_exporter_otlp_endpoint or None
        if endpoint is not None and not re.fullmatch(r"https?://[^\s@/?#]+(/[^\s@?#]*)?", endpoint):
            raise ConfigError(
                "OTEL_EXPORTER_OTLP_ENDPOINT: write http://HOST:4318; a key belongs into OTEL_EXPORTER_OTLP_HEADERS"
            )
        return endpoint

    def check(self, host: str) -> None:
        """Refuse what must not be served on `host`.

        Raises:
            ConfigError: one Serve flag without the other, or no API key on an address that others can reach, neither in
                the environment nor, as far as it can be asked now, in the database.
        """
        if self.ray_serve_throughput_optimized != self.ray_serve_enable_ha_proxy:
            raise ConfigError(
                "RAY_SERVE_THROUGHPUT_OPTIMIZED and RAY_SERVE_ENABLE_HA_PROXY go together: set both to 1 or neither"
            )
        if not self.murmuration_api_keys and not is_loopback(host) and not self._has_stored_key():
            raise ConfigError(
                f"http_options.host {host} can be reached by others: set MURMURATION_API_KEYS, or make a key"
            )

    def _has_stored_key(self) -> bool:
        if not self.database_url:
            return False
        try:
            return asyncio.run(any_live_key(self.database_url.get_secret_value(), load_queries(), KEY_TIMEOUT_S))
        except StoreError as error:
            message = f"without MURMURATION_API_KEYS the database must say that there is a key: {error}"
            raise ConfigError(message) from error


@dataclass(frozen=True, kw_only=True)
class XAccess:
    """What X is asked with, about one account there: either `bearer_token`, or `refresh_token` with its client."""

    user_id: str
    bearer_token: SecretStr | None = None
    refresh_token: SecretStr | None = None
    client_id: str | None = None
    client_secret: SecretStr | None = None


class ConfigError(ValueError):
    """The configuration cannot be served; the message names the key."""


class Strict(BaseModel):
    """A part of serve_config.yaml: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RemoteLanguageModel(Strict):
    """A language model behind HTTP; its key stands in the environment. Without `base_url` the provider's own server."""

    provider: Provider
    model: Annotated[str, Field(min_length=1)]
    base_url: str | None = None

    @field_validator("base_url")
    @classmethod
    def _refuse_what_is_no_address(cls, address: str | None) -> str | None:
        if address is not None:
            url = HttpUrl(address)
            if url.username or url.password or url.query or url.fragment:
                raise ValueError("must be scheme, host and path alone; a key belongs into the environment")
        return address


class Args(Strict):
    """`args` of the application: what a change of which restarts the models."""

    release: str = "dev"
    device: Device = "auto"
    spacy_models: dict[str, str] = Field(default_factory=dict)
    encoder: Path | None = Path("models/encoder")
    sensitivity: Path | None = Path("models/sensitivity")
    substance: Path | None = Path("models/substance")
    sentiment_transformer: str | None = None
    sentiment_languages: tuple[str, ...] = ("en",)
    # models/generator: our own; else an id or folder of a causal model, or one behind HTTP; null for none.
    language_model: str | RemoteLanguageModel | None = OWN_WRITER
    writer_threads: Annotated[int, Field(ge=1, le=64)] = 1
    judge: Path = Path("models/judge")
    verifier: Path | None = Path("models/verifier")
    viral_predictor: Path = Path("models/viral_predictor")
    wording: Path | None = Path("models/wording")

    @field_validator("encoder", "sensitivity", "substance", "judge", "verifier", "viral_predictor", "wording")
    @classmethod
    def _from_the_root(cls, folder: Path | None) -> Path | None:
        # Replicas do not run in the project's folder.
        return folder and ROOT / folder

    @model_validator(mode="after")
    def _some_read_the_encoder(self) -> Args:
        for name in ("sensitivity", "substance", "wording"):
            if getattr(self, name) and not self.encoder:
                raise ValueError(f"{name} needs an encoder: set encoder, or {name}: null")
        return self


class StageConfig(Strict):
    """How the ingress calls one stage: bounds of its batcher."""

    max_items: Annotated[int, Field(ge=1, le=4096)]
    max_in_flight: Annotated[int, Field(ge=1, le=64)]
    max_waiting: Annotated[int, Field(ge=1, le=1_000_000)]
    # Of the texts of a call together, one of them at least: a call of many long ones would be late for all.
    max_characters: Annotated[int, Field(ge=1, le=100_000_000)] | None = None

    def limits(self) -> Limits:
        """The same numbers as the batcher takes them."""
        return Limits(**self.model_dump())


class CollectorConfig(Strict):
    """How the collector reads an account's own posts from X; it does nothing without a token in the environment."""

    # Whose posts they are here, by the name of the API key.
    account: Annotated[str, Field(min_length=1, max_length=128)]
    budget_usd_month: Annotated[float, Field(ge=0, le=100_000)]
    # Whether the account at X owns the app that the token is of: X then sells its own posts cheaper.
    owned_reads: bool
    # Hours after posting at which the counts of a post are read.
    snapshots_h: Annotated[tuple[Annotated[int, Field(ge=1, le=24 * 365)], ...], Field(min_length=1, max_length=12)]
    # How far back the first run reads, and how long what came by the API is kept.
    first_days: Annotated[int, Field(ge=1, le=3650)]
    keep_days: Annotated[int, Field(ge=30, le=3650)]
    every_s: Annotated[float, Field(ge=60, le=3600)]
    timeout_s: Annotated[float, Field(gt=0, le=120)]
    base_url: str
    # The place whose trends are read once a day, by its WOEID (1 is the world); none are where it is null.
    trends_woeid: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None

    @field_validator("snapshots_h")
    @classmethod
    def _rise(cls, ages: tuple[int, ...]) -> tuple[int, ...]:
        if list(ages) != sorted(set(ages)):
            raise ValueError("must rise")
        return ages

    @field_validator("base_url")
    @classmethod
    def _keep_the_token_secret(cls, address: str) -> str:
        url = HttpUrl(address)
        if url.username or url.password or url.query or url.fragment or url.path not in {None, "/"}:
            raise ValueError("must be scheme and host alone")
        if url.scheme != "https" and not is_loopback(str(url.host)):
            raise ValueError("must be https: it is sent a token")
        return address.rstrip("/")

    @model_validator(mode="after")
    def _read_what_is_kept(self) -> CollectorConfig:
        if self.first_days > self.keep_days:
            raise ValueError("first_days: what is older than keep_days is not kept")
        if self.snapshots_h[-1] >= self.keep_days * 24:
            raise ValueError("snapshots_h: the last one is after keep_days")
        return self


class LiveConfig(Strict):
    """How the live figures are told to those who watch; times in seconds."""

    every_s: Annotated[float, Field(gt=0, le=60)]
    # Of one replica, half of them of one account; whoever comes when that is full is told to come back.
    max_clients: Annotated[int, Field(ge=0, le=10_000)]
    # How long one message may take to be taken by a client.
    send_timeout_s: Annotated[float, Field(gt=0, le=60)]
    # How long points are kept for those who come back, and how long figures are read on when nobody watches.
    keep_s: Annotated[float, Field(ge=60, le=3600)]
    linger_s: Annotated[float, Field(ge=0, le=600)]


class WritingConfig(Strict):
    """What one brief costs the language model; the generator is scaled by the tokens that wait."""

    # Samples of a brief, where it does not want more candidates than that, and tokens of a sample.
    texts_per_brief: Annotated[int, Field(ge=1, le=256)]
    tokens_per_text: Annotated[float, Field(ge=1, le=1024)]


# What all keys of an account may do together, as a multiple of what one may: else a key that is used up would be
# replaced by a new one.
KEYS_OF_AN_ACCOUNT = 4
PerMinute = Annotated[int, Field(ge=1, le=100_000_000)] | None


class AccessConfig(Strict):
    """Who may call, and how often; nothing of it counts while nobody needs a key."""

    # How often a replica reads the keys of the database: a revoked one ends within that time.
    keys_every_s: Annotated[float, Field(ge=0.1, le=60)]
    # How long the keys that were read last count while Postgres does not answer.
    keys_grace_s: Annotated[float, Field(ge=0, le=7 * 24 * 3600)]
    # A minute: calls of one key, those for which the language model writes, wrong keys of one address; null: any.
    calls_per_minute: PerMinute
    generation_per_minute: PerMinute
    failures_per_minute: PerMinute
    # How many proxies of your own, HAProxy not counted, add to X-Forwarded-For: with 0 no address is believed.
    trusted_proxies: Annotated[int, Field(ge=0, le=10)]

    def per_minute(self) -> dict[str, int | None]:
        """The limits by kind; `account-KIND` is that of all keys of an account together."""
        of_a_key = {"calls": self.calls_per_minute, "generation": self.generation_per_minute}
        of_an_account = {
            f"account-{kind}": None if limit is None else KEYS_OF_AN_ACCOUNT * limit for kind, limit in of_a_key.items()
        }
        return {**of_a_key, **of_an_account, "failures": self.failures_per_minute}


# ISO 639-1: what a text that shows no language is in.
DefaultLanguage = Annotated[str, Field(pattern="^[a-z]{2}$")]


class IngressConfig(Strict):
    """`user_config` of the ingress; times in seconds."""

    # As the query analyzer's.
    default_language: DefaultLanguage

    # Bounds of the batcher of each stage, and of the store's.
    stages: dict[str, StageConfig]
    deadline_s: Annotated[float, Field(gt=0, le=120)]
    language_model_deadline_s: Annotated[float, Field(gt=0, le=120)]
    store_deadline_s: Annotated[float, Field(gt=0, le=30)]
    max_requests: Annotated[int, Field(ge=1)]
    log_share: Annotated[float, Field(ge=0, le=1)]
    store_pool_size: Annotated[int, Field(ge=1, le=64)]
    cache_engines: tuple[Literal["templates", "lm"], ...]
    cache_ttl_s: Annotated[int, Field(ge=1)]
    cache_timeout_s: Annotated[float, Field(gt=0, le=1)]
    # What follows from breaking a rule of X, by rule; what is not named keeps its default, see pipelines/policy.json.
    policy: dict[str, Action] = Field(default_factory=dict)
    collector: CollectorConfig
    live: LiveConfig
    writing: WritingConfig
    access: AccessConfig

    @field_validator("stages")
    @classmethod
    def _know_the_stages(cls, stages: dict[str, StageConfig]) -> dict[str, StageConfig]:
        if odd := sorted(stages.keys() ^ {*STAGES, "store"}):
            raise ValueError(f"{odd[0]}: {'missing' if odd[0] not in stages else 'there is no such stage'}")
        if stages["store"].max_characters is not None:
            raise ValueError("store: max_characters: what it writes has no texts to count")
        return stages

    def limits(self) -> dict[str, Limits]:
        """The bounds of each batcher as it takes them."""
        return {name: stage.limits() for name, stage in self.stages.items()}

    @field_validator("policy")
    @classmethod
    def _know_the_rules(cls, actions: dict[str, Action]) -> dict[str, Action]:
        Policy(actions)
        return actions


class QueryAnalyzerConfig(Strict):
    """`user_config` of the query analyzer."""

    default_language: DefaultLanguage


class SentimentWeights(Strict):
    """Weight of each component; those that are missing for a text are renormalized away."""

    transformer: Annotated[float, Field(ge=0, le=1)]
    vader: Annotated[float, Field(ge=0, le=1)]
    textblob: Annotated[float, Field(ge=0, le=1)]


class SentimentConfig(Strict):
    """`user_config` of the sentiment ensemble: what was learned, the preset of the specification, or own weights."""

    weights: Literal["learned", "specification"] | SentimentWeights


class GeneratorConfig(Strict):
    """`user_config` of the generator: how the language model samples."""

    temperature: Annotated[float, Field(gt=0, le=2)]
    top_p: Annotated[float, Field(gt=0, le=1)]


class ViralPredictorConfig(Strict):
    """`user_config` of the viral predictor."""

    # As the query analyzer's.
    default_language: DefaultLanguage


USER_CONFIGS: Mapping[str, type[Strict]] = {
    "ingress": IngressConfig,
    "query_analyzer": QueryAnalyzerConfig,
    "sentiment": SentimentConfig,
    "generator": GeneratorConfig,
    "viral_predictor": ViralPredictorConfig,
}


def read_settings() -> Settings:
    """Read the environment.

    Raises:
        ConfigError: a variable is unreadable or refused; its value is not repeated.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise ConfigError(f"{str(first['loc'][0]).upper()}: {first['msg'].removeprefix('Value error, ')}") from None
    except SettingsError as error:
        raise ConfigError('MURMURATION_API_KEYS: write it as JSON, {"default": "KEY"}') from error


def read_key_of(model: RemoteLanguageModel) -> SecretStr | None:
    """Read from the environment the key that a model behind HTTP is asked with; see Settings.key_of."""
    return read_settings().key_of(model)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_serve_config(path: Path) -> ServeDeploySchema:
    """Read serve_config.yaml.

    Raises:
        ConfigError: unreadable, or a key that neither Serve (which ignores it) nor our deployments know.
    """
    try:
        tree = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {error}") from error
    return parse_serve_config(tree, source=path.name)


def parse_serve_config(tree: Any, *, source: str) -> ServeDeploySchema:
    """Check a serve config that is already a tree of dicts and lists; see read_serve_config."""
    unknown = list(_unknown_keys(ServeDeploySchema, tree, ""))
    if unknown:
        raise ConfigError(f"{source}: unknown key {unknown[0]}")
    try:
        config = ServeDeploySchema.model_validate(tree)
        for application in config.applications:
            Args.model_validate(application.args)
            _check_policy(application.autoscaling_policy, source)
            for deployment in application.deployments:
                if deployment.name not in USER_CONFIGS:
                    raise ConfigError(f"{source}: unknown deployment {deployment.name}")
                USER_CONFIGS[deployment.name].model_validate(deployment.user_config or {})
    except ValidationError as error:
        # A key that is misspelt is unknown, and the right one is missing: the former says more.
        errors = sorted(error.errors(), key=lambda one: "extra" not in one["type"] and "unexpected" not in one["type"])
        told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in errors[:3])
        raise ConfigError(f"{source}: {error.title}: {told}") from error
    return config


def _check_policy(policy: Mapping[str, Any] | None, source: str) -> None:
    """Serve would only log, ten times a second, what our policy cannot be made of."""
    if policy is None:
        return
    if policy.get("policy_function") != AUTOSCALING_POLICY:
        raise ConfigError(f"{source}: autoscaling_policy.policy_function: only {AUTOSCALING_POLICY} is known")
    try:
        policy_kwargs = policy.get("policy_kwargs", {})
        DemandPolicy(**policy_kwargs)
        if odd := policy_kwargs["followers"].keys() - USER_CONFIGS.keys():
            raise ValueError(f"followers: unknown deployment {min(odd)}")  # noqa: TRY301
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{source}: autoscaling_policy.policy_kwargs: {error}") from error


def _unknown_keys(model: type[BaseModel], tree: Any, path: str) -> list[str]:
    """List the keys of `tree` that `model` has no field for, depth first."""
    if not isinstance(tree, dict):
        return []
    found = []
    for key, value in tree.items():
        place = f"{path}.{key}" if path else str(key)
        field = model.model_fields.get(key)
        if field is None:
            found.append(place)
            continue
        inner = _model_of(field.annotation)
        if inner is None:
            continue
        for index, item in enumerate(value if isinstance(value, list) else [value]):
            found.extend(_unknown_keys(inner, item, f"{place}[{index}]" if isinstance(value, list) else place))
    return found


def _model_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return annotation if issubclass(annotation, BaseModel) else None
    return next((model for part in get_args(annotation) if (model := _model_of(part))), None)


def check_models() -> None:
    """Refuse to serve with models that are not those of the release, or of `make sums`.

    A folder of the user's own stands elsewhere, and is vouched for by its metadata.json alone.

    Raises:
        ConfigError: names the file and what to do.
    """
    try:
        check_sums(ROOT / "models")
    except WeightsRefused as error:
        raise ConfigError(str(error)) from error
