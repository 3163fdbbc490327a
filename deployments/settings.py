"""What can be configured: secrets and addresses in the environment, everything else in serve_config.yaml.

Only the composition root and the supervisor read these; every other module gets arguments.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field, HttpUrl, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError
from ray.serve.schema import ServeDeploySchema

from deployments.microbatch import Limits
from deployments.stages import STAGES
from pipelines.generator.remote_model import Provider
from pipelines.policy import Action, Policy

ROOT = Path(__file__).resolve().parents[1]
MIN_KEY_CHARACTERS = 16
REFUSED_KEYS = frozenset({"changeme", "changethis", "secret", "password"})
Device = Literal["auto", "cpu", "cuda"]
# The adapter of our own writer, and where set-up puts the model that it was merged into; see supervisor/writer.py.
OWN_WRITER = "models/generator"
PREPARED_WRITER = ROOT / ".murmuration" / "writer"


class Settings(BaseSettings):
    """The environment: where the servers are and who may call."""

    model_config = SettingsConfigDict(env_prefix="", extra="ignore", frozen=True)

    database_url: SecretStr | None = None
    redis_url: SecretStr | None = None
    # account -> key, as JSON: {"default": "..."}
    murmuration_api_keys: dict[str, SecretStr] = Field(default_factory=dict)
    # What a language model behind HTTP is asked with.
    openai_api_key: SecretStr | None = None
    anthropic_api_key: SecretStr | None = None
    ray_serve_throughput_optimized: bool = False
    ray_serve_enable_ha_proxy: bool = False

    @field_validator("murmuration_api_keys")
    @classmethod
    def _refuse_weak_keys(cls, keys: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for account, key in keys.items():
            value = key.get_secret_value()
            if len(value) < MIN_KEY_CHARACTERS or any(refused in value.lower() for refused in REFUSED_KEYS):
                raise ValueError(f"the key of account {account!r} must be {MIN_KEY_CHARACTERS}+ characters, no default")
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

    def check(self, host: str) -> None:
        """Refuse what must not be served on `host`.

        Raises:
            ConfigError: one Serve flag without the other, or no API key on an address that others can reach.
        """
        if self.ray_serve_throughput_optimized != self.ray_serve_enable_ha_proxy:
            raise ConfigError(
                "RAY_SERVE_THROUGHPUT_OPTIMIZED and RAY_SERVE_ENABLE_HA_PROXY go together: set both to 1 or neither"
            )
        if not self.murmuration_api_keys and not is_loopback(host):
            raise ConfigError(f"http_options.host {host} can be reached by others: set MURMURATION_API_KEYS")


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

    def limits(self) -> Limits:
        """The same numbers as the batcher takes them."""
        return Limits(max_items=self.max_items, max_in_flight=self.max_in_flight, max_waiting=self.max_waiting)


class IngressConfig(Strict):
    """`user_config` of the ingress; times in seconds."""

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

    @field_validator("stages")
    @classmethod
    def _know_the_stages(cls, stages: dict[str, StageConfig]) -> dict[str, StageConfig]:
        if odd := sorted(stages.keys() ^ {*STAGES, "store"}):
            raise ValueError(f"{odd[0]}: {'missing' if odd[0] not in stages else 'there is no such stage'}")
        return stages

    def limits(self) -> dict[str, Limits]:
        """The bounds of each batcher as it takes them."""
        return {name: stage.limits() for name, stage in self.stages.items()}

    @field_validator("policy")
    @classmethod
    def _know_the_rules(cls, actions: dict[str, Action]) -> dict[str, Action]:
        Policy(actions)
        return actions


# ISO 639-1: what a text that shows no language is in.
DefaultLanguage = Annotated[str, Field(pattern="^[a-z]{2}$")]


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
            for deployment in application.deployments:
                if deployment.name not in USER_CONFIGS:
                    raise ConfigError(f"{source}: unknown deployment {deployment.name}")
                USER_CONFIGS[deployment.name].model_validate(deployment.user_config or {})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ConfigError(f"{source}: {error.title}: {place}: {first['msg']}") from error
    return config


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
