"""What the comparisons rest on: that answers are compared, that batches go in step, that slopes are slopes."""

import asyncio
from collections import Counter

import pytest

from tests.benchmarks.peers.pipeline import InStep
from tests.benchmarks.peers.run import table
from tests.benchmarks.profile_request import named, took
from tests.benchmarks.soak import broken, slope
from tests.benchmarks.systems import bodies, core, difference


def test_another_number_text_or_field_anywhere_in_an_answer_is_a_difference():
    answer = {"score": 61.2, "templates": [{"text": "a", "delta": 0.5}]}
    assert difference(answer, {"score": 61.2, "templates": [{"text": "a", "delta": 0.5000000001}]}) is None
    assert difference(answer, {"score": 61.3, "templates": [{"text": "a", "delta": 0.5}]}) == ".score: 61.2 is not 61.3"
    assert ".templates[0].text" in difference(answer, {"score": 61.2, "templates": [{"text": "b", "delta": 0.5}]})
    assert difference(answer, {"score": 61.2}) == ": ['templates']"
    assert difference(answer, {"score": 61.2, "templates": []}) is not None
    assert difference({"score": None}, {"score": 0}) is not None


def test_an_answer_in_a_list_of_one_is_compared_as_the_answer():
    assert core(b'[{"id": "1", "persisted": true, "degraded": []}]') == {"degraded": []}


async def test_requests_of_a_batch_share_one_call_a_step_and_each_gets_its_own_results():
    calls: Counter[str] = Counter()

    def counted(name: str, factor: int):
        def call(items: list[int]) -> list[int]:
            calls[name] += 1
            return [factor * item for item in items]

        return call

    models = InStep({"first": counted("first", 2), "second": counted("second", 3), "other": counted("other", 5)}, None)

    async def request(number: int) -> tuple[int, ...]:
        (one,) = await models("first", [number])
        second, other = await asyncio.gather(models("second", [one, one + 1]), models("other", [one]))
        return (*second, *other)

    answers = await asyncio.gather(*(request(number) for number in range(8)))
    assert answers == [(6 * n, 6 * n + 3, 10 * n) for n in range(8)]
    assert calls == {"first": 1, "second": 1, "other": 1}


def test_memory_that_grows_by_a_hundredth_in_the_run_has_that_slope_and_warm_up_does_not_count():
    times = [float(second) for second in range(0, 1000, 5)]
    held = [500.0 if at < 200 else 100.0 * (1 + 0.01 * (at - 200) / (995 - 200)) for at in times]
    assert slope(times, held)["percent_in_the_run"] == pytest.approx(1, abs=0.01)


def test_the_steps_of_a_profile_sum_to_what_the_caller_waited():
    found = {
        "request": [["r", 1.0, 1.001, 1.050, 1.051]],
        "asked": [
            ["r", "query_analyzer", 1, 1.002, 1.010],
            ["r", "sentiment", 1, 1.011, 1.025],
            ["r", "generator", 1, 1.011, 1.018],
            ["r", "viral_predictor", 3, 1.027, 1.035],
            ["r", "store", 1, 1.038, 1.048],
        ],
        "call": [
            ["query_analyzer", 1, 1.003, 1.009],
            ["sentiment", 1, 1.012, 1.024],
            ["generator", 1, 1.012, 1.017],
            ["viral_predictor", 3, 1.028, 1.034],
            ["store", 1, 1.039, 1.047],
        ],
        "replica": [
            ["query_analyzer", 1, 1.005, 1.006, 1.007, 1.008],
            ["sentiment", 1, 1.014, 1.015, 1.022, 1.023],
            ["generator", 1, 1.013, 1.014, 1.015, 1.016],
            ["viral_predictor", 3, 1.030, 1.031, 1.032, 1.033],
        ],
    }
    spent = took({"r": (0.995, 1.055)}, found)
    whole = spent.pop("in all, as the caller sees it")
    own = ("HTTP", "reading", "our code", "answer after")
    on_the_way = sum(ms for name, ms in spent.items() if name.startswith(own) or name.endswith("waited for: in all"))
    assert whole == pytest.approx(60)
    assert on_the_way == pytest.approx(whole)
    assert spent["generator, beside: in all"] == pytest.approx(7)
    assert spent["sentiment, waited for: model"] == pytest.approx(7)
    assert spent["sentiment, waited for: hop there (routing, pickling, gRPC)"] == pytest.approx(2)


def test_a_process_is_named_by_what_it_does():
    assert named("ray::ServeReplica:murmuration:sentiment.handle_request") == "replica sentiment"
    assert named("/x/haproxy -db -f /tmp/haproxy.cfg") == "HAProxy"


def test_a_system_without_an_answer_that_counts_stands_in_the_table_as_such():
    none = {"errors": 9}
    empty = {"1": none, "64": none, "update": [], "kill": []}
    assert "| X | no answers that count |" in "\n".join(table({"X": empty}))


def test_queries_are_distinct():
    made = bodies()
    assert next(made) != next(made)


def soaked(**changes: object) -> dict[str, object]:
    """A soak that holds what it promises, but for the changes."""
    found: dict[str, object] = {
        "rise": 0.5,
        "success": 100.0,
        "idle": 4.0,
        "queue": {"middle_third": 8.0, "last_third": 8.5, "most": 20.0},
    } | changes
    return {
        "answers": {"success_percent": found["success"]},
        "idle": {"percent_of_a_core": found["idle"]},
        "memory": {"memory_of_all": {"percent_in_the_run": found["rise"]}, "queues": {"in flight": found["queue"]}},
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rise": 1.1}, "memory rose by 1.1 %"),
        ({"success": 99.8}, "99.8 % answered whole"),
        ({"idle": 5.1}, "5.1 % of a core"),
        ({"queue": {"middle_third": 8.0, "last_third": 30.0, "most": 60.0}}, "growing: in flight"),
    ],
)
def test_a_soak_says_which_promise_was_broken(change: dict[str, object], said: str) -> None:
    assert broken(soaked()) == []
    (words,) = broken(soaked(**change))
    assert words.startswith(said)
