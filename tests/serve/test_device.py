"""Which device a replica takes, from what Ray really assigned to it."""

import subprocess
import sys
from pathlib import Path

import pytest

from deployments.replica import resolve
from tests.serve.conftest import ROOT

SCRIPT = """
import sys, ray
from deployments.replica import resolve
ray.init(address="local", num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False, _temp_dir=sys.argv[1])

@ray.remote
class Replica:
    def device(self, configured):
        try:
            return resolve(configured)
        except ValueError as error:
            return str(error)

without, share = Replica.options(num_gpus=0).remote(), Replica.options(num_gpus=0.25).remote()
for replica in (without, share):
    for configured in ("auto", "cpu", "cuda"):
        print(ray.get(replica.device.remote(configured)))
ray.shutdown()
"""


@pytest.mark.timeout(120)
def test_a_replica_takes_the_gpu_that_ray_assigned_and_no_other(short_folder: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(short_folder / "gpu")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    *plain, refused, auto, cpu, cuda = result.stdout.splitlines()
    assert plain == ["cpu", "cpu"]
    assert "num_gpus" in refused
    assert (auto, cpu, cuda) == ("cuda", "cpu", "cuda")


def test_a_replica_that_is_told_to_use_the_cpu_does_not_ask() -> None:
    assert resolve("cpu") == "cpu"
