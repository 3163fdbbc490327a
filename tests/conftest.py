"""How many texts and requests fuzz tests make: few in every run, many by `make fuzz-api`; no clock on any example."""

import pytest
from hypothesis import settings

# Hypothesis fails an example that takes 200 ms: on a busy machine that says nothing of the code.
settings.register_profile("no clock", deadline=None)
settings.load_profile("no clock")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fuzz", type=int, default=300, help="texts that each fuzz test makes")
    parser.addoption("--fuzz-requests", type=int, default=400, help="requests made up from the API's description")
    parser.addoption("--writer", action="store_true", help="the whole product in one process gets its language model")
