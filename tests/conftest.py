"""How many texts the fuzz tests make: few in every run, many by `make fuzz`."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fuzz", type=int, default=300, help="texts that each fuzz test makes")
