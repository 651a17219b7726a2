# mypy: ignore-errors
"""Ray Serve: one deployment whose requests are batched."""

import signal

import ray
from ray import serve
from starlette.requests import Request

from benchmarks.peers.ray.loopback import stay_on_loopback
from benchmarks.peers.task import HOST, Task
from benchmarks.peers.work import open_work

BATCH = 8
QUIET = {"enable_access_log": False}


class Service:
    def __init__(self) -> None:
        stay_on_loopback()
        self._work = open_work()

    @serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=0.01)
    async def predict(self, files: list[bytes]) -> list[list[float]]:
        return self._work.predict([self._work.prepare(file) for file in files])

    async def __call__(self, request: Request) -> list[float]:
        return await self.predict(await request.body())


if __name__ == "__main__":
    task = Task.read()
    ray.init(include_dashboard=False, _node_ip_address=HOST)
    serve.start(http_options={"host": HOST, "port": task.port}, logging_config=QUIET)
    deployment = serve.deployment(
        Service,
        num_replicas=task.workers,
        max_ongoing_requests=16 * BATCH,
        ray_actor_options={"num_cpus": task.threads},
        logging_config=QUIET,
    )
    serve.run(deployment.bind())
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    serve.shutdown()
