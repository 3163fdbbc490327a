"""The bodies of HTTP calls: what is accepted, what is answered, and how both stand in /openapi.json."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, Generic, TypeVar
from uuid import UUID

from annotated_types import Ge, Le, MaxLen, MinLen
from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from deployments.http.problems import Problem, field_errors, found, invalid, refuse_compressed
from pipelines.records import (
    MAX_BATCH_ITEMS,
    STRICT,
    Analysis,
    Degraded,
    Draft,
    DraftToOptimize,
    Engine,
    Format,
    Language,
    LengthLimit,
    Moment,
    Objective,
    Pair,
    Query,
    Text,
    Tone,
    WithHistory,
)
from pipelines.results import Answer, Comparison, Prediction

Body = TypeVar("Body")
REF = "#/components/schemas/{model}"


@dataclass(frozen=True, slots=True)
class AnalyzeRequest:
    """Texts to analyze; each gets a result of its own."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    texts: Annotated[tuple[Text, ...], MinLen(1), MaxLen(MAX_BATCH_ITEMS)]


@dataclass(frozen=True, slots=True)
class PredictRequest:
    """Drafts to score, each against its own author's record."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    drafts: Annotated[tuple[Draft, ...], MinLen(1), MaxLen(MAX_BATCH_ITEMS)]


@dataclass(frozen=True, slots=True)
class CompareRequest:
    """Pairs of wordings to choose from."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    pairs: Annotated[tuple[Pair, ...], MinLen(1), MaxLen(MAX_BATCH_ITEMS)]


@dataclass(frozen=True, kw_only=True)
class GenerateRequest(WithHistory):
    """What to write tweets about, and how many; the rest as in a query."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    query: Text
    n: Annotated[int, Ge(1), Le(20)] = 5
    engine: Engine = "auto"
    format: Format = "post"
    language: Language | None = None
    objectives: Annotated[tuple[Objective, ...], MaxLen(6)] = ()
    tone: Tone = "neutral"
    seed: Annotated[int, Ge(0), Le(2**32 - 1)] | None = None
    posted_at: Moment | None = None
    latency_budget_ms: Annotated[int, Ge(50), Le(60_000)] | None = None
    length_limit: LengthLimit | None = None

    def as_query(self) -> Query:
        """The same as a query."""
        fields = {field.name: getattr(self, field.name) for field in dataclass_fields(self) if field.name != "n"}
        return Query(n_templates=self.n, **fields)


@dataclass(frozen=True, slots=True)
class ItemError:
    """Why one item of a batch has no result."""

    index: int
    field: str
    message: str


@dataclass(frozen=True, kw_only=True)
class QueryResponse(Answer):
    """The answer to a query; `persisted` is true once the row is committed, `degraded` names what is missing."""

    id: UUID
    persisted: bool
    timings_ms: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyzeResponse:
    """One result a text, in order; null where the text itself was refused (see `errors`)."""

    results: tuple[Analysis | None, ...]
    errors: tuple[ItemError, ...]
    model_versions: dict[str, str]
    degraded: tuple[Degraded, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictResponse:
    """One result a draft, in order; null where the draft was refused (see `errors`) or the model did not answer."""

    results: tuple[Prediction | None, ...]
    errors: tuple[ItemError, ...]
    model_version: str | None
    weights_version: str | None
    degraded: tuple[Degraded, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareResponse:
    """One result a pair, in order; null where the pair was refused (see `errors`) or the model did not answer."""

    results: tuple[Comparison | None, ...]
    errors: tuple[ItemError, ...]
    model_version: str | None
    degraded: tuple[Degraded, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemDetails:
    """RFC 9457; `errors` names each field at fault."""

    type: str
    title: str
    status: int
    detail: str
    errors: tuple[dict[str, str], ...] = ()
    request_id: str | None = None


PROBLEMS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ProblemDetails, "description": "Bad input, named by field."},
    "5XX": {"model": ProblemDetails, "description": "Not now; see Retry-After."},
}


class JsonBody(Generic[Body]):
    """One kind of request body: reads it, and describes it for /openapi.json."""

    def __init__(
        self,
        kind: type[Body],
        example: dict[str, Any],
        *,
        items: str | None = None,
        may_be_empty: bool = False,
        required: bool = True,
    ) -> None:
        self.adapter: TypeAdapter[Body] = TypeAdapter(kind)
        self.name = kind.__name__
        self.example = example
        self.items = items
        self.may_be_empty = may_be_empty
        self.required = required

    @property
    def openapi(self) -> dict[str, Any]:
        """The `requestBody` of a route."""
        schema = {"$ref": REF.format(model=self.name)}
        return {
            "requestBody": {
                "required": self.required,
                "content": {"application/json": {"schema": schema, "example": self.example}},
            }
        }

    async def read(self, request: Request) -> Body:
        """Return the validated body.

        Raises:
            Problem: 415 for another media type or a body that is compressed, 422 that names the fields.
        """
        body, _ = await self.read_items(request)
        return body

    async def read_items(self, request: Request) -> tuple[Body, list[ItemError]]:
        """Like read, but refused items of the list named `items` are left out and returned as errors beside the body.

        Raises:
            Problem: as read; also 422 when every item is refused, unless the list may be empty.
        """
        # A page elsewhere cannot send application/json to this server without asking first (CORS).
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send the body as application/json.")
        refuse_compressed(request)
        return self._validated(await request.body())

    def _validated(self, raw: bytes) -> tuple[Body, list[ItemError]]:
        try:
            return self.adapter.validate_json(raw), []
        except ValidationError as error:
            if (readable := without_lone_surrogates(raw)) != raw:
                return self._validated(readable)
            return self._without_bad_items(raw, error)

    def _without_bad_items(self, raw: bytes, error: ValidationError) -> tuple[Body, list[ItemError]]:
        places = [entry["loc"] for entry in found(error)]
        if not self.items or any(len(place) < 2 or place[0] != self.items for place in places):
            raise invalid(error) from error
        bad = {place[1] for place in places}
        tree = from_json(raw)
        kept = [item for index, item in enumerate(tree[self.items]) if index not in bad]
        if not kept and not self.may_be_empty:
            raise invalid(error) from error
        errors = [
            ItemError(int(place[1]), entry["field"], entry["message"])
            for place, entry in zip(places, field_errors(error), strict=True)
        ]
        return self.adapter.validate_json(to_json({**tree, self.items: kept})), errors


def without_lone_surrogates(raw: bytes) -> bytes:
    """Return a JSON body with a null character for each lone surrogate, escaped or in bytes.

    No parser takes them, so one would cost the whole body; a null costs the field that it stands in.
    """
    return SURROGATE.sub(lambda match: NULL if match["lone"] else match[0], raw)


NULL = rb"\u0000"
# Whole escapes, and of what is none of them no more than the lone ones: behind an escaped backslash `ud83d` is text.
SURROGATE = re.compile(
    rb"\\u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|\\[^u]"
    rb"|(?P<lone>\\u[dD][89a-fA-F][\da-fA-F]{2}|\xed[\xa0-\xbf][\x80-\xbf])"
)
EXAMPLE_QUERY = {
    "query": "We launch our new eco-friendly running shoes next week. Pre-orders open on Monday!",
    "industry": "sportswear",
    "audience": "amateur runners",
    "objectives": ["sales", "engagement"],
    "n_templates": 5,
    "engine": "templates",
}
EXAMPLE_TEXTS = {"texts": ["I love these shoes!", "Estos zapatos son horribles."]}
EXAMPLE_DRAFTS = {
    "drafts": [
        {
            "text": "Our new running shoes are here.",
            "posted_at": "2026-11-23T17:00:00Z",
            "history": [
                {"text": "We are hiring.", "created_at": "2026-11-01T09:00:00Z", "likes": 12, "retweets": 3},
            ],
        }
    ]
}
EXAMPLE_PAIRS = {
    "pairs": [
        {
            "a": "Our new running shoes are here. Lighter than an apple: https://example.com/shoes",
            "b": "New shoes!!! https://example.com/shoes #running #shoes #new",
            "context": "same_link",
        }
    ]
}
EXAMPLE_BRIEF = {
    "query": "our new eco-friendly running shoes",
    "n": 3,
    "objectives": ["engagement"],
    "tone": "friendly",
    "seed": 7,
}
EXAMPLE_DRAFT = {
    "draft": "WE ARE VERY HAPPY TO MAKE AN ANNOUNCEMENT!!! Our new running shoes are here. #shoes #running #new",
    "objectives": ["engagement"],
}
QUERY_BODY = JsonBody(Query, EXAMPLE_QUERY)
ANALYZE_BODY = JsonBody(AnalyzeRequest, EXAMPLE_TEXTS, items="texts")
PREDICT_BODY = JsonBody(PredictRequest, EXAMPLE_DRAFTS, items="drafts")
COMPARE_BODY = JsonBody(CompareRequest, EXAMPLE_PAIRS, items="pairs")
GENERATE_BODY = JsonBody(GenerateRequest, EXAMPLE_BRIEF)
OPTIMIZE_BODY = JsonBody(DraftToOptimize, EXAMPLE_DRAFT)
MODEL_BODIES = (QUERY_BODY, ANALYZE_BODY, PREDICT_BODY, COMPARE_BODY, GENERATE_BODY, OPTIMIZE_BODY)


# What a refusal means, wherever one is: as problem details of RFC 9457. What only some calls answer is `_refusals`.
REFUSALS = {
    401: "No valid key.",
    403: "A form of a page elsewhere, or a key that may not do this.",
    404: "No such thing of this account.",
    408: "Nothing of the body came for a while, or it came too slowly.",
    409: "Its state, version or name stands against it.",
    413: "The body is too large.",
    415: "Another media type, or a body that is compressed.",
    422: "A field is at fault; `errors` names each.",
    429: "Too many calls with this key or of its account; Retry-After says when to come back.",
    500: "A fault of ours; the log has it under the `request_id`.",
    503: "Too many requests at once, or something that the call needs is away; Retry-After says when to come back.",
}
ONLY_OF = {404: "parameters", 408: "requestBody", 409: "parameters", 413: "requestBody", 415: "requestBody"}
KEYS = {"bearer": {"type": "http", "scheme": "bearer"}, "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}


def describe(api: FastAPI, bodies: Iterable[JsonBody[Any]]) -> dict[str, Any]:
    """The OpenAPI document: FastAPI's, with the bodies, which are read without it, and every refusal by its status."""
    document = get_openapi(title=api.title, version=api.version, description=api.description, routes=api.routes)
    schemas = document["components"]["schemas"]
    for body in bodies:
        schema = body.adapter.json_schema(ref_template=REF)
        for name, definition in schema.pop("$defs", {}).items():
            schemas.setdefault(name, definition)
        schemas[body.name] = schema
    problem = {"application/problem+json": {"schema": {"$ref": REF.format(model=ProblemDetails.__name__)}}}
    document["components"] |= {
        "responses": {str(status): {"description": said, "content": problem} for status, said in REFUSALS.items()},
        "securitySchemes": KEYS,
    }
    document["security"] = [{name: []} for name in KEYS]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            told = {status: said for status, said in operation["responses"].items() if status[0] in "23"}
            operation["responses"] = told | _refusals(path, operation)
    return document


def _refusals(path: str, operation: dict[str, Any]) -> dict[str, Any]:
    """The refusals of a call: what names nothing is not unknown, and what takes no body cannot send a wrong one."""
    has = {"requestBody": "requestBody" in operation, "parameters": "{" in path}
    # What is made anew may stand in the way of something, as what is changed may.
    has["parameters"] |= path in {"/keys", "/templates", "/audience/refresh"}
    return {
        str(status): {"$ref": f"#/components/responses/{status}"}
        for status in REFUSALS
        if has.get(ONLY_OF.get(status, ""), True)
    }
