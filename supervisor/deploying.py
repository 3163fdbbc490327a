"""What `make deploy` runs: gives the product that runs here another configuration or release, while it serves.

The configuration is checked as at the start, the migrations are applied, and Serve replaces what changed: each replica
after its successor answers. Where a successor does not come up, or finds no room in time, the old ones serve on and the
old configuration is put back. A cluster that Ray's end starts anew reads the file of `make serve` again.
`http_options` and `proxy_location` are taken up by the next start alone.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import time
from pathlib import Path
from typing import Any

import requests
from ray._private.authentication.authentication_token_setup import maybe_enable_token_auth_if_token_available
from ray.dashboard.modules.serve.sdk import ServeSubmissionClient
from ray.exceptions import AuthenticationError
from ray.serve._private.common import DeploymentStatus
from ray.serve.schema import ApplicationStatus
from requests.exceptions import RequestException

from deployments.settings import ConfigError, read_serve_config, read_settings
from store.errors import StoreError
from store.migrate import prepare
from supervisor.cluster import APPLICATION
from supervisor.embedded import find_url
from supervisor.running import find

ROOT = Path(__file__).resolve().parents[1]
POLL_S = 0.5
WAIT_S = 600.0
# How long the dashboard may say nothing, as while Serve's controller starts again.
SILENT_S = 20.0
logger = logging.getLogger("murmuration")


class Client(ServeSubmissionClient):
    """Serve's client, which by itself waits for ever for a dashboard that takes a call and says nothing."""

    def _do_request(self, *arguments: Any, **options: Any) -> requests.Response:
        return super()._do_request(*arguments, timeout=SILENT_S, **options)


class RolloutFailed(Exception):
    """The new configuration is not served; the message is Serve's."""


class RolloutUnknown(Exception):
    """The cluster went away while it replaced what it serves."""


def main() -> int:
    """Deploy; returns 1 where the old configuration serves on, 2 where nothing was tried, 3 where nobody knows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=ROOT / "serve_config.yaml")
    parser.add_argument("--data", type=Path, default=ROOT / ".murmuration", help="the folder that `make serve` keeps")
    parser.add_argument("--wait", type=float, default=WAIT_S, help="seconds until it is given up; default: %(default)g")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        config = read_serve_config(arguments.config).model_dump(mode="json", exclude_unset=True)
        # What `ray` does for its own commands: the token that the cluster wrote down.
        maybe_enable_token_auth_if_token_available()
        serve = Client(find(arguments.data).dashboard)
        address = read_settings().database_url
        asyncio.run(prepare(address.get_secret_value() if address else find_url(arguments.data)))
        deploy(serve, config, arguments.wait)
    except RolloutFailed as error:
        logger.error("error: %s\nthe old configuration serves on", error)  # noqa: TRY400  # the user's to mend
        return 1
    except RolloutUnknown as error:
        logger.error("error: %s\nthe output of `make serve` says what serves now", error)  # noqa: TRY400  # as above
        return 3
    except (ConfigError, StoreError, AuthenticationError, ConnectionError, RequestException, RuntimeError) as error:
        logger.error("error: %s", error)  # noqa: TRY400  # the user's to mend
        return 2
    logger.info("served")
    return 0


def deploy(serve: ServeSubmissionClient, config: dict[str, Any], wait_s: float) -> None:
    """Replace what the cluster serves, and return when all of it is.

    Raises:
        RuntimeError: Ray refused the configuration, or nothing of ours is served.
        RolloutFailed: it did not come up within `wait_s`, and what was served before is configured again.
        RolloutUnknown: the cluster went away meanwhile.
    """
    before = _application(serve)["deployed_app_config"]
    try:
        serve.deploy_applications(config)
        _wait(serve, wait_s)
    except RequestException as error:
        raise RolloutUnknown(str(error)) from error
    except RolloutFailed as failed:
        try:
            serve.deploy_applications({**config, "applications": [before]})
        except (RequestException, RuntimeError) as error:
            raise RolloutUnknown(f"{failed}\nand the old configuration was not taken: {error}") from error
        raise


def _application(serve: ServeSubmissionClient) -> dict[str, Any]:
    applications: dict[str, Any] = serve.get_serve_details()["applications"]
    if APPLICATION not in applications:
        # As while Serve's controller starts again.
        raise RuntimeError(f"Serve knows of no application {APPLICATION}")
    found: dict[str, Any] = applications[APPLICATION]
    return found


def _wait(serve: ServeSubmissionClient, wait_s: float) -> None:
    shown, answered, ends = "", time.monotonic(), time.monotonic() + wait_s
    while True:
        try:
            application = _application(serve)
        except (RequestException, RuntimeError) as error:
            if time.monotonic() - answered > SILENT_S:
                raise RolloutUnknown(str(error)) from error
            time.sleep(POLL_S)
            continue
        answered = time.monotonic()
        deployments = application["deployments"]
        line = "  ".join(f"{name}: {deployment['status'].lower()}" for name, deployment in deployments.items())
        if line != shown:
            logger.info("models  %s", line)
            shown = line
        match application["status"]:
            case ApplicationStatus.RUNNING:
                return
            case ApplicationStatus.DEPLOY_FAILED:
                # Of a traceback the error alone: the logs of the replica have the rest.
                told = [
                    f"{name}: {deployment['message'].strip().splitlines()[-1]}"
                    for name, deployment in deployments.items()
                    if deployment["message"].strip() and deployment["status"] == DeploymentStatus.DEPLOY_FAILED
                ]
                raise RolloutFailed("\n".join([application["message"], *told]))
        if time.monotonic() > ends:
            raise RolloutFailed(f"not served within {wait_s:g} s: {shown}\nis there room for a successor of each?")
        time.sleep(POLL_S)


if __name__ == "__main__":
    sys.exit(main())
