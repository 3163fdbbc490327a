"""The page to write, without models: its forms and refusals, the plan, tests, and the contract of the stream."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import httpx
import orjson
import pytest
from fastapi.responses import StreamingResponse
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deployments.http.gate import Gate
from deployments.studio.drafting import card_of, cards_of, verdict_of
from deployments.studio.said import advice_in_words, note_in_words
from pipelines.policy import Policy
from pipelines.records import Affect, Draft, Sensitivity
from pipelines.results import Candidate, Generated
from pipelines.text.tweets import EMOJI, TOP_LEVEL_DOMAINS
from tests.fake_models import FakeModels

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}'
TOMORROW = (datetime.now(UTC) + timedelta(days=1)).replace(hour=10, minute=0).strftime("%Y-%m-%dT%H:%M")
MINE, BETTER = "we open on monday", "We open on Monday."


async def send(client: httpx.AsyncClient, path: str, language: str = "en", **form: Any) -> httpx.Response:
    return await client.post(path, data=form, headers={"accept-language": language})


async def test_an_empty_draft_is_refused_beside_the_box_in_both_languages(client: httpx.AsyncClient) -> None:
    answer = await send(client, "/studio/write", draft=" \n ")
    assert (answer.status_code, answer.headers["hx-retarget"]) == (422, "#draft-error")
    assert "Write something first" in answer.text
    assert "Escribe algo antes" in (await send(client, "/studio/write", "es", draft="")).text


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"draft": "a" * 4001}, "longer than 4,000 characters"),
        ({"draft": "bell \a"}, "a control character"),
        ({"draft": "fine", "n": "many"}, "n_templates"),
        ({"draft": "fine", "tone": "rude"}, "tone"),
    ],
)
async def test_what_the_api_refuses_is_said_and_is_no_failure(
    client: httpx.AsyncClient, form: dict[str, str], said: str
) -> None:
    answer = await send(client, "/studio/write", **form)
    assert answer.status_code == 422
    assert said in answer.text


@pytest.mark.parametrize(
    ("draft", "said"), [("a" * 5000, "longer than 4,000 characters"), ("bell \a", "a control character")]
)
async def test_what_is_refused_while_it_is_typed_is_said_and_not_that_rules_were_out_of_reach(
    client: httpx.AsyncClient, draft: str, said: str
) -> None:
    page = (await send(client, "/studio/write/findings", draft=draft)).text
    assert said in page
    assert "could not be checked" not in page


async def test_where_harm_is_not_read_no_page_says_that_no_rule_is_touched(
    client: httpx.AsyncClient, gate: Gate
) -> None:
    serve(gate, None)
    page = (await send(client, "/studio/write/findings", draft="obrim el dilluns")).text
    assert "Not checked in this language: sensitivity, offence." in page
    assert "No rule" not in page
    spanish = (await send(client, "/studio/write/findings", "es", draft="obrim el dilluns")).text
    assert "En este idioma no se revisa: sensibilidad, ofensa." in spanish


@pytest.mark.parametrize(
    ("known", "best", "verdict"),
    [
        ({"viral_score": None, "p_postable": 0.8, "delta": None}, "candidate", "reads_best"),
        ({"viral_score": 50.0, "p_postable": 0.29, "delta": 3.0}, "candidate", "few_would_post"),
        ({"viral_score": None, "p_postable": 0.01, "delta": None}, "candidate", "few_would_post"),
        ({"viral_score": 50.0, "p_postable": 0.8, "delta": -3.9}, "candidate", "lower_score"),
        ({"viral_score": 50.0, "p_postable": 0.8, "delta": 0.1}, "candidate", "first"),
        ({"viral_score": 50.0, "p_postable": None, "delta": None}, "candidate", "first"),
        ({"viral_score": 50.0, "p_postable": 0.8, "delta": 0.1}, "yours", "no_difference"),
        ({"viral_score": 50.0, "p_postable": 0.8, "delta": -0.1}, "yours", "yours"),
        ({"viral_score": 50.0, "p_postable": 0.8, "delta": 1.0}, None, "none"),
    ],
)
def test_a_verdict_says_no_more_than_is_known(known: dict[str, Any], best: str | None, verdict: str) -> None:
    first = orjson.loads(orjson.dumps(candidate(BETTER))) | known
    assert verdict_of(best, cards_of([first], best, MINE, None, 280)) == verdict
    assert verdict_of("yours", cards_of([], "yours", MINE, None, 280)) == "yours"


def test_a_text_whose_words_stayed_was_not_put_right() -> None:
    one = orjson.loads(orjson.dumps(candidate("We open.\n\nCome on Monday.", "edit")))
    assert card_of(one, "We open. Come on Monday.", 280).source == "edit_lines"
    assert card_of(one, "We open. Come on monday.", 280).source == "edit"
    parts = ["We open.\n\n1/2", "Come on Monday.\n\n2/2"]
    thread = one | {"text": "\n\n".join(parts), "parts": parts}
    assert card_of(thread, "We open. Come on Monday.", 280).source == "edit_thread"


@pytest.mark.parametrize(
    ("note", "english", "spanish"),
    [
        (
            "No score: only English posts were measured, and the text reads as `ca`.",
            "the text reads as Catalan.",
            "este texto está en catalán.",
        ),
        ("1 de 5 propuestas: perdía algo", "1 of 5 versions: perdía algo", "1 de 5 versiones: perdía algo"),
        (
            "0 of 5 candidates: give a sentence to work with: what happens, where and when.",
            "0 of 5 versions: give a sentence",
            "0 de 5 versiones: da una frase",
        ),
        ("0 of 3 candidates: hate, see `findings`.", "reads as: hate.", "parece: odio."),
        ("No se propone nada: el texto desprecia a un grupo. Mira los avisos.", "reads as: hate.", "parece: odio."),
        (
            "0 of 5 candidates: they are written in English and Spanish; the text reads as `ca`. `language` decides.",
            "reads as Catalan.",
            "estar en catalán.",
        ),
        ("A `note` of tomorrow.", "A note of tomorrow.", "A note of tomorrow."),
    ],
)
def test_a_note_is_said_in_the_language_of_the_reader(note: str, english: str, spanish: str) -> None:
    assert english in note_in_words(note, "en")
    assert spanish in note_in_words(note, "es")


def test_advice_is_given_in_the_language_of_the_reader() -> None:
    for english, spanish in (
        ("Mend spelling, capitals and punctuation.", "Corrige ortografía, mayúsculas y puntuación."),
        ("Say until when it can be bought.", "Di hasta cuándo se puede comprar."),
    ):
        assert {advice_in_words(each, "en") for each in (english, spanish)} == {english}
        assert {advice_in_words(each, "es") for each in (english, spanish)} == {spanish}
    assert advice_in_words("{{7*7}}", "es") == "{{7*7}}"


async def test_the_page_is_in_the_language_of_the_browser_whoever_was_there_before(client: httpx.AsyncClient) -> None:
    spanish = await client.get("/", headers={"accept-language": "es"})
    english = await client.get("/", headers={"accept-language": "en"})
    assert "Mejorarlo" in spanish.text
    assert "Improve it" in english.text
    assert "darte a conocer" not in english.text
    assert 'data-limit="280"' in english.text
    assert 'data-account="default"' in english.text


async def test_the_limit_is_the_one_of_the_account(client: httpx.AsyncClient) -> None:
    await client.put("/account", json={"length_limit": 4000})
    assert 'data-limit="4000"' in (await client.get("/")).text


async def test_a_draft_that_comes_along_is_text(client: httpx.AsyncClient) -> None:
    page = (await client.get("/", params={"draft": "</textarea>" + HOSTILE})).text
    assert "<script>alert" not in page
    assert "&lt;/textarea&gt;&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;" in page


async def test_the_page_counts_with_the_servers_own_domains_and_emoji(client: httpx.AsyncClient) -> None:
    address = re.search(r'data-counting="([^"]+)"', (await client.get("/")).text)
    assert address is not None
    answer = await client.get(address[1])
    assert "immutable" in answer.headers["cache-control"]
    told = answer.json()
    assert set(told["domains"].split()) == TOP_LEVEL_DOMAINS
    assert set(told["emoji"].split()) == EMOJI
    assert (told["url_length"], told["emoji_length"]) == (23, 2)
    unpacked = await client.get(address[1], headers={"accept-encoding": "identity"})
    assert unpacked.json() == told


async def test_a_post_is_planned_at_its_moment_and_a_taken_moment_is_said(client: httpx.AsyncClient) -> None:
    await client.put("/account", json={"time_zone": "Europe/Madrid"})
    form = {"text": HOSTILE, "at": TOMORROW, "span": "then"}
    planned = await send(client, "/studio/write/plan", **form)
    assert planned.status_code == 200
    assert "10:00" in planned.text
    (slot,) = (await client.get("/plan")).json()["slots"]
    assert (slot["text"], slot["local"][:16]) == (HOSTILE, TOMORROW)
    again = await send(client, "/studio/write/plan", "es", **form)
    assert "Sin planificar" in again.text
    assert "lo ya planeado" in again.text


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"at": ""}, "Say a day and a time."),
        ({"at": "2020-01-01T10:00"}, "This moment is over"),
        ({"at": TOMORROW, "text": "a" * 281}, "281 characters"),
        ({"at": TOMORROW, "text": ""}, "Write something first."),
    ],
)
async def test_what_cannot_be_planned_is_said(client: httpx.AsyncClient, form: dict[str, str], said: str) -> None:
    answer = await send(client, "/studio/write/plan", **({"text": "We open."} | form))
    assert answer.status_code == 422
    assert said in answer.text


async def test_a_test_needs_two_texts_and_a_name(client: httpx.AsyncClient) -> None:
    one = await send(client, "/studio/write/test", name="x", pick=["A\n\nWe open."])
    assert "Tick “Test this”" in one.text
    unnamed = await send(client, "/studio/write/test", name=" ", pick=["A\n\nWe open.", "B\n\nWe close."])
    assert "Give the test a name." in unnamed.text
    assert {one.status_code, unnamed.status_code} == {422}


async def test_organic_posts_cannot_be_split_and_may_take_turns(client: httpx.AsyncClient) -> None:
    form = {"name": HOSTILE, "channel": "organic", "pick": ["A\n\n" + HOSTILE, "B\nen_lines\nWe open.\nCome."]}
    refused = await send(client, "/studio/write/test", design="split", **form)
    assert refused.status_code == 422
    assert "take turns" in refused.text
    assert "se turnen" in (await send(client, "/studio/write/test", "es", design="split", **form)).text
    started = await send(client, "/studio/write/test", design="switchback", **form)
    (experiment,) = (await client.get("/ab-test")).json()["experiments"]
    assert f'href="/studio/experiments/{experiment["id"]}"' in started.text
    assert "<script>" not in started.text
    assert [variant["content"] for variant in experiment["variants"]] == [HOSTILE, "We open.\nCome."]
    assert "You write 40 posts" in started.text
    slots = experiment["plan"]["slots"]
    assert (slots["from_hour"], slots["to_hour"]) == (8, 22)


async def test_a_text_above_the_limit_is_no_variant_of_posts_on_x(client: httpx.AsyncClient) -> None:
    form = {"name": "x", "design": "switchback", "pick": ["A\n\nWe open.", "B\n\n" + "a" * 281]}
    refused = await send(client, "/studio/write/test", channel="organic", **form)
    assert refused.status_code == 422
    assert "longer than X lets you post" in refused.text
    assert (await send(client, "/studio/write/test", channel="owned", **form)).status_code == 200


async def test_the_own_text_is_the_control_and_each_variant_has_a_name_of_its_own(client: httpx.AsyncClient) -> None:
    picks = ["Language model\n\nWe open.", "Language model\n\nCome on Monday.", f"My own text\n\n{MINE}"]
    assert (await send(client, "/studio/write/test", name="x", own=MINE, pick=picks)).status_code == 200
    (experiment,) = (await client.get("/ab-test")).json()["experiments"]
    assert [(variant["name"], variant["content"]) for variant in experiment["variants"]] == [
        ("My own text", MINE),
        ("Language model", "We open."),
        ("Language model 2", "Come on Monday."),
    ]


async def test_a_variant_knows_the_template_that_wrote_it(client: httpx.AsyncClient, gate: Gate) -> None:
    template = (await client.get("/templates", params={"limit": 1})).json()["templates"]
    if not template:
        content = {"content": "{topic}.", "type": "announcement", "language": "en", "objective": "awareness"}
        made = await client.post(
            "/templates", json=content | {"name": "mine", "tone": "friendly", "intent": "announce"}
        )
        template = [made.json()]
    picks = [f"A\n{template[0]['name']}\nWe open.", "B\nunknown\nWe close."]
    assert (await send(client, "/studio/write/test", name="x", pick=picks)).status_code == 200
    (experiment,) = (await client.get("/ab-test")).json()["experiments"]
    assert [variant["template_id"] for variant in experiment["variants"]] == [template[0]["id"], None]


class Predicting(FakeModels):
    async def predict_each(self, drafts: Sequence[Draft]) -> list[Any]:
        return list(await self.predict(drafts))


def candidate(text: str, source: Any = "lm") -> Candidate:
    return Candidate(id=text, text=text, source=source, weighted_length=len(text), p_postable=0.004, delta=1.5)


GENERATED = Generated(
    candidates=(candidate(BETTER), candidate(HOSTILE)),
    best="candidate",
    findings=(),
    model_versions={},
    degraded=("generator.lm",),
    notes=(),
)


def event(name: str, content: Any) -> bytes:
    return f"event: {name}\ndata: {orjson.dumps(content).decode()}\n\n".encode()


def serve(gate: Gate, stream: Any, models: FakeModels | None = None, generated: Generated = GENERATED) -> None:
    """Answer /generate/stream by `stream`, /generate by `generated`, and read and predict with fakes."""
    gate.app.router.routes.insert(0, Route("/generate/stream", stream, methods=["POST"]))  # type: ignore[attr-defined]
    answers = gate.app.state.front.answers  # type: ignore[attr-defined]

    async def generate(*_: Any) -> Generated:
        return generated

    known = models or Predicting()

    async def until(*_: Any) -> FakeModels:
        return known

    answers.generate, answers.until_deadline_for, answers.until_deadline = generate, until, lambda: known
    answers.engines = SimpleNamespace(policy=Policy())


async def events_of(client: httpx.AsyncClient, **form: str) -> list[tuple[str, str]]:
    answer = await client.post("/studio/write/stream", data={"draft": MINE, "engine": "full", "history": "none"} | form)
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in answer.text.removesuffix("\n\n").split("\n\n"):
        name, *lines = block.split("\n")
        assert all(line.startswith("data: ") for line in lines)
        found.append((name.removeprefix("event: "), "\n".join(line.removeprefix("data: ") for line in lines)))
    return found


async def test_each_candidate_of_the_language_model_comes_as_html_and_at_last_all_of_them(
    client: httpx.AsyncClient, gate: Gate
) -> None:
    async def stream(request: Request) -> Response:
        asked = orjson.loads(await request.body())
        assert (asked["query"], asked["engine"], asked["history"]) == (MINE, "auto", "none")

        async def parts() -> AsyncIterator[bytes]:
            yield b": a heartbeat\n\n"
            yield event("candidate", candidate("Put right.", "edit"))
            # In two halves, through the middle of a letter.
            whole = event("candidate", candidate("Abrimos mañana."))
            cut = whole.index("ñ".encode()) + 1
            yield whole[:cut]
            yield whole[cut:]
            yield event("done", GENERATED)

        return StreamingResponse(parts(), media_type="text/event-stream")

    serve(gate, stream)
    (first, card), (last, ranked) = await events_of(client)
    assert (first, last) == ("candidate", "done")
    assert "Abrimos mañana." in card
    assert "In fewer than 1 of 100 cases" in card
    assert ranked.index(BETTER) < ranked.index("Your own text")
    assert "<script>" not in ranked
    assert "The language model did not answer in time" in ranked
    assert '<ins><span class="sr">[added:</span>We' in ranked


async def test_a_server_that_knows_no_stream_is_asked_for_the_whole(client: httpx.AsyncClient, gate: Gate) -> None:
    async def unknown(_: Request) -> Response:
        return Response('{"detail": "Not Found"}', 404, media_type="application/problem+json")

    serve(gate, unknown)
    ((name, ranked),) = await events_of(client)
    assert name == "done"
    assert BETTER in ranked


async def test_a_problem_is_said_and_so_is_one_in_the_middle_of_the_stream(
    client: httpx.AsyncClient, gate: Gate
) -> None:
    async def refused(_: Request) -> Response:
        return Response('{"detail": "Too <b>many</b>."}', 503, media_type="application/problem+json")

    serve(gate, refused)
    assert await events_of(client) == [("problem", '<p class="error">Too &lt;b&gt;many&lt;/b&gt;.</p>')]

    async def broken(_: Request) -> Response:
        return StreamingResponse(iter([event("problem", {"detail": "Gone."})]), media_type="text/event-stream")

    serve(gate, broken)
    assert await events_of(client) == [("problem", '<p class="error">Gone.</p>')]


class Sober(Predicting):
    async def read(self, _text: str, language: str | None) -> Affect:
        return replace(await super().read(_text, language), sensitivity=Sensitivity("sober", {"sober": 0.9}))


async def test_grave_news_is_not_offered_for_a_test(client: httpx.AsyncClient, gate: Gate) -> None:
    async def unknown(_: Request) -> Response:
        return Response('{"detail": "Not Found"}', 404, media_type="application/problem+json")

    serve(gate, unknown)
    ((_, offered),) = await events_of(client)
    assert 'id="test"' in offered
    serve(gate, unknown, Sober())
    ((_, sober),) = await events_of(client)
    assert BETTER in sober
    assert 'id="test"' not in sober
    assert 'name="pick"' not in sober
    assert "No A/B test is offered" in sober


async def test_a_language_model_that_added_nothing_is_said_to(client: httpx.AsyncClient, gate: Gate) -> None:
    async def unknown(_: Request) -> Response:
        return Response('{"detail": "Not Found"}', 404, media_type="application/problem+json")

    serve(gate, unknown, generated=replace(GENERATED, candidates=(candidate(BETTER, "edit"),), degraded=()))
    ((_, english),) = await events_of(client)
    assert "The language model added nothing: what it wrote" in english
    ((_, spanish),) = await events_of(client, language="es")
    assert "it writes English only" in spanish
