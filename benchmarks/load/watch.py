"""What a server says of itself under load: Triton's statistics and its workers', its metrics, its processes' CPU."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Mapping

import msgspec
import tritonclient.grpc
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

PARTS = ("queue", "compute_input", "compute_infer", "compute_output")
# Source: queueing.metrics, which only Triton's own processes can import. The parser takes `_total` off.
_COUNTERS = {
    "medserve_worker_requests": ("requests", 1),
    "medserve_worker_items": ("items", 1),
    "medserve_worker_queue_seconds": ("queue", 1_000_000_000),
    "medserve_worker_work_seconds": ("compute_infer", 1_000_000_000),
}
_BATCHES = "medserve_worker_batches"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One model of the server's during a run, all per request.

    Args:
        name: of a network, a first step, the report.
        requests, items, executions: answered, what was in them, and runs that it took.
        queue_ms, input_ms, infer_ms, output_ms: means. Of python models the first and third come from the server's
            metrics; where nobody reads these, all that is known of them is that their requests were handed over.
        batches: size → runs.
    """

    name: str
    requests: int
    items: int
    executions: int
    queue_ms: float
    input_ms: float
    infer_ms: float
    output_ms: float
    batches: dict[str, int]


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """What the server did during a run.

    Args:
        steps: of those that were asked.
        cpu_s: by process, where the server runs beside the load generator.
        cpu_share: Triton's own nv_cpu_utilization at the end, 0..1; None where this Triton does not tell.
        memory_mb: at the end; None where it runs elsewhere.
    """

    steps: list[Step]
    cpu_s: dict[str, float]
    cpu_share: float | None
    memory_mb: float | None


class Watch:
    """Reads what a server counts, before and after.

    Args:
        netloc: host:port of its gRPC.
        metrics: URL of its metrics; "": none.
        cpu_s: of its processes; see `Server.cpu_s`.
        memory_mb: of its processes.
        tls: with certificates that this machine trusts.
    """

    def __init__(
        self,
        netloc: str,
        metrics: str = "",
        cpu_s: Callable[[], Mapping[str, float]] = dict,
        memory_mb: Callable[[], float | None] = lambda: None,
        *,
        tls: bool = False,
    ) -> None:
        self._client = tritonclient.grpc.InferenceServerClient(netloc, ssl=tls)
        self._metrics, self.cpu_s, self.memory_mb = metrics, cpu_s, memory_mb
        self._before: dict[str, dict[str, int]] = {}
        self._cpu_before: Mapping[str, float] = {}

    def begin(self) -> None:
        """From here on."""
        self._before, self._cpu_before = self._counted(), self.cpu_s()

    def end(self) -> Served:
        """Since `begin`."""
        after, cpu = self._counted(), self.cpu_s()
        return Served(
            steps=[
                step for name in after if (step := _step(name, self._before.get(name, {}), after[name])) is not None
            ],
            cpu_s={name: round(value - self._cpu_before.get(name, 0.0), 3) for name, value in cpu.items()},
            cpu_share=self._utilisation(),
            memory_mb=self.memory_mb(),
        )

    def close(self) -> None:
        """The connection."""
        self._client.close()

    def _counted(self) -> dict[str, dict[str, int]]:
        found = {}
        for stats in self._client.get_inference_statistics().model_stats:
            counted = {
                "requests": stats.inference_stats.success.count,
                "items": stats.inference_count,
                "executions": stats.execution_count,
            }
            for part in PARTS:
                counted[part] = getattr(stats.inference_stats, part).ns
            counted |= {f"batch {each.batch_size}": each.compute_infer.count for each in stats.batch_stats}
            found[stats.name] = counted
        for name, worker in _workers(self._families()).items():
            # What Triton measures of these is that it handed their requests over.
            handed_over = sum(found[name][part] for part in PARTS)
            found[name] = worker | {"compute_input": handed_over, "compute_output": 0}
        return found

    def _utilisation(self) -> float | None:
        family = self._families().get("nv_cpu_utilization")
        return None if family is None else float(family.samples[0].value)

    def _families(self) -> dict[str, Metric]:
        if not self._metrics:
            return {}
        try:
            with urllib.request.urlopen(self._metrics, timeout=5) as answer:  # noqa: S310  the user's own URL
                text = answer.read().decode()
        except (urllib.error.URLError, OSError):
            return {}
        return {family.name: family for family in text_string_to_metric_families(text)}


def _workers(families: Mapping[str, Metric]) -> dict[str, dict[str, int]]:
    """What python models' own workers counted, by model: see queueing.metrics."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int, dict.fromkeys(("executions", *PARTS), 0)))
    for name, (counted, scale) in _COUNTERS.items():
        for sample in families[name].samples if name in families else ():
            found[sample.labels["model"]][counted] += round(sample.value * scale)
    for sample in families[_BATCHES].samples if _BATCHES in families else ():
        own = found[sample.labels["model"]]
        own["executions"] += int(sample.value)
        own[f"batch {sample.labels['size']}"] += int(sample.value)
    return {model: dict(counted) for model, counted in found.items()}


def _step(name: str, before: Mapping[str, int], after: Mapping[str, int]) -> Step | None:
    grown = {key: value - before.get(key, 0) for key, value in after.items()}
    if not grown.get("executions"):  # an ensemble, or nobody asked
        return None
    queue, given, infer, output = (grown[part] / 1e6 / max(1, grown["requests"]) for part in PARTS)
    return Step(
        name=name,
        requests=grown["requests"],
        items=grown["items"],
        executions=grown["executions"],
        queue_ms=queue,
        input_ms=given,
        infer_ms=infer,
        output_ms=output,
        batches={
            key.removeprefix("batch "): count for key, count in grown.items() if key.startswith("batch ") and count
        },
    )
