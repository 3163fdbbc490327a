"""What `make deploy` says where the cluster does not answer; where it does: tests/serve/test_upgrades.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from requests.exceptions import ConnectionError as NotReached

from supervisor import deploying
from supervisor.deploying import APPLICATION, RolloutFailed, RolloutUnknown, deploy


class Dashboard:
    """What Ray's client for Serve answers and raises, call by call; the last is repeated."""

    def __init__(self, told: list[dict[str, Any] | Exception], taken: list[Exception | None]) -> None:
        self.told, self.taken = told, taken
        self.configured: list[Any] = []

    def get_serve_details(self) -> dict[str, Any]:
        told = self.told.pop(0) if len(self.told) > 1 else self.told[0]
        if isinstance(told, Exception):
            raise told
        return told

    def deploy_applications(self, config: dict[str, Any]) -> None:
        if error := self.taken.pop(0) if self.taken else None:
            raise error
        self.configured.append(config["applications"])


def told(status: str) -> dict[str, Any]:
    application = {"deployed_app_config": "old", "status": status, "message": "no room", "deployments": {}}
    return {"applications": {APPLICATION: application}}


NOBODY: dict[str, Any] = {"applications": {}}
GONE = NotReached("refused")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploying, "POLL_S", 0.001)
    monkeypatch.setattr(deploying, "SILENT_S", 0.05)


def rolled_out(dashboard: Dashboard) -> Callable[[], None]:
    return lambda: deploy(dashboard, {"applications": ["new"]}, 5)  # type: ignore[arg-type]


@pytest.mark.parametrize("silence", [GONE, RuntimeError("503"), NOBODY])
def test_a_moment_of_silence_is_waited_for(silence: Any) -> None:
    dashboard = Dashboard([told("RUNNING"), silence, told("DEPLOYING"), silence, told("RUNNING")], [])
    rolled_out(dashboard)()
    assert dashboard.configured == [["new"]]


@pytest.mark.parametrize("silence", [GONE, RuntimeError("503"), NOBODY])
def test_a_cluster_that_went_away_is_not_said_to_serve_the_old_configuration(silence: Any) -> None:
    dashboard = Dashboard([told("RUNNING"), told("DEPLOYING"), silence], [])
    with pytest.raises(RolloutUnknown):
        rolled_out(dashboard)()


def test_one_that_went_away_while_it_took_the_new_one_may_have_taken_it() -> None:
    with pytest.raises(RolloutUnknown):
        rolled_out(Dashboard([told("RUNNING")], [GONE]))()


def test_what_ray_refuses_was_not_tried() -> None:
    with pytest.raises(RuntimeError, match="bad request"):
        rolled_out(Dashboard([told("RUNNING")], [RuntimeError("bad request")]))()


def test_a_failed_rollout_puts_the_old_configuration_back_and_says_why() -> None:
    dashboard = Dashboard([told("RUNNING"), told("DEPLOY_FAILED")], [])
    with pytest.raises(RolloutFailed, match="no room"):
        rolled_out(dashboard)()
    assert dashboard.configured == [["new"], ["old"]]


def test_an_old_configuration_that_cannot_be_put_back_is_told_with_the_reason_of_the_failure() -> None:
    dashboard = Dashboard([told("RUNNING"), told("DEPLOY_FAILED")], [None, GONE])
    with pytest.raises(RolloutUnknown, match=r"no room\n.*refused"):
        rolled_out(dashboard)()
