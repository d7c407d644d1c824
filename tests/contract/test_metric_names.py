"""Names of metrics: Prometheus' conventions, and labels that stay few."""

import pytest

from contract.metric_names import COORDINATOR_METRICS, WORKER_METRICS, MetricName

ALL = (*WORKER_METRICS, *COORDINATOR_METRICS)
WITHOUT_BOUND = {"trial", "trial_id", "run", "attempt", "nonce", "instance", "image", "host", "campaign"}


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.name)
def test_conventions_are_kept(metric: MetricName) -> None:
    assert metric.name.startswith("tonnage_")
    assert (metric.kind == "counter") == metric.name.endswith("_total")
    assert (metric.kind == "histogram") == bool(metric.buckets)
    assert not metric.name.endswith(("_ms", "_ns", "_mib", "_minutes"))
    assert not WITHOUT_BOUND & set(metric.labels)
    assert not metric.meaning.endswith(".")
    assert "|" not in metric.meaning


def test_names_are_declared_once() -> None:
    assert len({metric.name for metric in ALL}) == len(ALL)
