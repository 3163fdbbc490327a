"""How many texts and requests fuzz tests make: few in every run, many by `make fuzz-api`; no clock on any example.

What Hypothesis makes up is the same in every run, and other with every run that is asked for more by `--fuzz`.
"""

import pytest
from hypothesis import settings

FEW = 300
# Hypothesis fails an example that takes 200 ms: on a busy machine that says nothing of the code.
settings.register_profile("other each time", deadline=None)
settings.register_profile("the same each time", deadline=None, derandomize=True, database=None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fuzz", type=int, default=FEW, help="texts that each fuzz test makes; where said, other ones")
    parser.addoption("--fuzz-requests", type=int, default=400, help="requests made up from the API's description")
    parser.addoption("--writer", action="store_true", help="the whole product in one process gets its language model")


def pytest_configure(config: pytest.Config) -> None:
    """Before any test is collected: each takes the settings that hold then."""
    settings.load_profile("the same each time" if config.getoption("--fuzz") == FEW else "other each time")
