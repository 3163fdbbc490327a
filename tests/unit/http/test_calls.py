"""What the store says, as the routes answer it."""

from __future__ import annotations

import pytest

from deployments.http.calls import stored
from deployments.http.problems import Problem
from store.errors import RowRefused, StoreUnavailable


async def refuses() -> None:
    raise RowRefused("23514", "content_templates_template_type_check")


async def does_not_answer() -> None:
    raise StoreUnavailable


async def test_a_value_that_the_database_alone_refuses_is_no_fault_of_ours_and_no_constraint_is_told() -> None:
    with pytest.raises(Problem) as refused:
        await stored(refuses())
    assert refused.value.status == 422
    assert refused.value.errors == [{"field": "request", "message": "holds a value that the database does not take"}]


async def test_a_route_says_what_a_refusal_means_where_it_knows() -> None:
    with pytest.raises(Problem) as known:
        await stored(refuses(), lambda error: Problem(409, str(error.constraint)))
    assert (known.value.status, known.value.detail) == (409, "content_templates_template_type_check")


async def test_a_database_that_does_not_answer_is_503() -> None:
    with pytest.raises(Problem) as unavailable:
        await stored(does_not_answer())
    assert unavailable.value.status == 503
