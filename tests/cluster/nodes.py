"""Two Ray nodes of one CPU each on this machine: prints their address, and ends with its input."""

from __future__ import annotations

import os
import socket
import sys
import time
from typing import Any

os.environ |= {"RAY_raylet_start_wait_time_s": "60", "RAY_USAGE_STATS_ENABLED": "0"}

from ray.cluster_utils import Cluster

# Ray's agents have 15 s, fixed, to say on which ports they listen (ray-project/ray#65983): what can be told
# beforehand is, and on a busy machine the cluster is started again.
PORTS = ("metrics_agent_port", "metrics_export_port", "runtime_env_agent_port")
ATTEMPTS = 4
NODE = {"num_cpus": 1, "object_store_memory": 80_000_000}


def started() -> Any:
    for attempt in range(1, ATTEMPTS + 1):
        cluster = Cluster()
        try:
            cluster.add_node(**NODE, **free_ports(), include_dashboard=False)
            cluster.add_node(**NODE, **free_ports())
            cluster.wait_for_nodes()
            return cluster
        except Exception as error:
            print(f"attempt {attempt}: {error}", file=sys.stderr)
            cluster.shutdown()
            time.sleep(1)
    sys.exit("no Ray cluster could be started on this machine")


def free_ports() -> dict[str, int]:
    opened = [socket.create_server(("", 0)) for _ in PORTS]
    found = {name: place.getsockname()[1] for name, place in zip(PORTS, opened, strict=True)}
    for place in opened:
        place.close()
    return found


if __name__ == "__main__":
    nodes = started()
    print(f"\naddress {nodes.address}", flush=True)
    sys.stdin.read()
    nodes.shutdown()
