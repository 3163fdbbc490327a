"""The figures of docs/scale.md: their arithmetic, and the simulations behind them in their short form."""

from __future__ import annotations

import pytest

from tests.readme import PAGES
from tests.simulations import capacity
from tests.simulations.capacity import ASSUMED, Costs, cite, limits, million_usd, size
from tests.simulations.scale import FOLDER, SECTIONS, run

SHORT = 0.05
# In a twentieth of the time no queue grows long enough to tell.
UNTOLD = {
    "at 80 % a lost region of two is not",
    "an ingress with too few calls out keeps the writer's requests waiting",
}
SLOW = {"A thousand replicas", "Which replica"}


@pytest.fixture(scope="module")
def costs() -> Costs:
    return Costs.read()


@pytest.mark.parametrize("name", [name for name in SECTIONS if name not in SLOW])
def test_claims_hold_in_the_short_form(costs: Costs, name: str) -> None:
    lines, claims = run(name, costs, SHORT)
    assert lines
    assert [claim.text for claim in claims if not claim.holds and claim.text not in UNTOLD] == []


def test_a_wrong_figure_breaks_a_claim(costs: Costs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Costs, "graph_ms", 25.0)
    _, claims = run("The simulation beside the product", costs, SHORT)
    assert not all(claim.holds for claim in claims)


def test_replicas_grow_with_the_load_and_shrink_with_what_they_may_do(costs: Costs) -> None:
    small, large = (size(costs, rate, used=0.6) for rate in (1_000, 10_000))
    assert 9 < large.ingress / small.ingress <= 10
    assert size(costs, 1_000, used=0.3).total() > 1.7 * small.total()
    assert "language_model" not in small.stages
    assert size(costs, 1_000, used=0.6, lm_share=0.05).stages["language_model"] > small.total()


def test_a_million_requests_cost_what_their_parts_do(costs: Costs) -> None:
    plain, written = million_usd(costs), million_usd(costs, lm=True)
    assert written.items() >= plain.items()
    # A second of a vCPU at .05 USD an hour and 60 %: 23 USD for a million of them.
    seconds = sum(costs.call_ms("language_model")) / 1000
    assert written["the writer"] == pytest.approx(seconds * 1e6 * 0.05 / 3600 / 0.6)


def test_the_first_limit_is_the_lowest(costs: Costs) -> None:
    rates = [rate for _, rate, _ in limits(costs)]
    assert rates == sorted(rates)
    assert rates[0] > 0


def test_the_page_names_assumptions_that_there_are_and_figures_that_were_written() -> None:
    page, written = PAGES["docs/scale.md"], (FOLDER / "SCALE.md").read_text()
    numbers = {cite(name) for name in ASSUMED}
    assert {
        word.strip("().,;:")
        for word in page.split()
        if word.strip("().,;:")[:1] == "A" and word.strip("().,;:")[1:].isdigit()
    } <= numbers
    shown = [line for line in page.splitlines() if line.startswith("| ")]
    assert len(shown) > 20
    assert [line for line in shown if line not in written] == []


def test_the_written_figures_are_those_of_the_costs_that_are_committed(costs: Costs) -> None:
    written = (FOLDER / "SCALE.md").read_text()
    for name in (
        "A request in CPU",
        "A million requests",
        "Rows, bytes, entries",
        "What breaks first",
        "A region, lost",
    ):
        lines, _ = run(name, costs)
        assert "\n".join(lines).strip() in written
    assert "\n".join(capacity.assumptions()).strip() in written
    assert "\n".join(capacity.measured(costs)).strip() in written
    assert "| NO |" not in written
