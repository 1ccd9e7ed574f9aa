"""LLaMA-Factory's own Ray workers, two of them on this machine; see test_lazy.py.

    ray_run.py ARGUMENTS

`USE_RAY=1 llamafactory-cli train` cannot start on machines without accelerators: LLaMA-Factory
0.9.5 asks Ray for ten times the CPUs that there are (a bundle of 10 for each). Its worker class is
the same here, with the processes and environment that it would get; only the bundles are smaller.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any


def main(arguments: dict[str, Any]) -> None:
    import ray
    from llamafactory.extras.misc import find_available_port
    from llamafactory.train.tuner import Worker

    ray.init(num_cpus=2, include_dashboard=False, configure_logging=False)
    shared = dict(os.environ) | {
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(find_available_port()),
        "TORCHELASTIC_USE_AGENT_STORE": "False",
        "USE_RAY": "1",
    }
    workers = [
        ray.remote(Worker)
        .options(num_cpus=1, runtime_env={"env_vars": shared | {"RANK": str(rank)}})
        .remote()
        for rank in range(2)
    ]
    config = {"args": arguments, "callbacks": []}
    ray.get([worker._training_function.remote(config=config) for worker in workers])
    ray.shutdown()


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
