"""Two Ray nodes of one CPU each on this machine: prints their address, and ends with its input."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

os.environ |= {
    "RAY_raylet_start_wait_time_s": "120",
    "RAY_agent_register_timeout_ms": "120000",
    "RAY_USAGE_STATS_ENABLED": "0",
}

import ray
from ray._raylet import persist_port
from ray.cluster_utils import Cluster

ATTEMPTS = 3
NODE_ID = "RAY_OVERRIDE_NODE_ID_FOR_TESTING"
AGENT_PORTS = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port")
NONE = -1  # what the agent itself says, without the packages of Ray's dashboard


def started() -> Any:
    for attempt in range(1, ATTEMPTS + 1):
        cluster = Cluster()
        try:
            add(cluster, include_dashboard=False)
            add(cluster)
            cluster.wait_for_nodes()
            return cluster
        except Exception as error:
            print(f"attempt {attempt}: {error}", file=sys.stderr)
            cluster.shutdown()
            time.sleep(1)
    sys.exit("no Ray cluster could be started on this machine")


def add(cluster: Any, **options: Any) -> None:
    """Add a node, and say for its agent that it listens nowhere.

    Ray waits for that for 15 s, fixed, then its node dies (ray-project/ray#65983), and on a busy machine the
    agent takes longer to begin.
    """
    os.environ[NODE_ID] = ray.NodeID.from_random().hex()
    threading.Thread(target=speak_for_the_agent, args=(os.environ[NODE_ID],), daemon=True).start()
    with socket.create_server(("", 0)) as opened:
        port = opened.getsockname()[1]
    cluster.add_node(num_cpus=1, object_store_memory=80_000_000, runtime_env_agent_port=port, **options)


def speak_for_the_agent(node_id: str) -> None:
    while not (sessions := list(Path("/tmp/ray").glob(f"session_*_{os.getpid()}"))):
        time.sleep(0.05)
    newest = max(sessions, key=lambda path: path.stat().st_mtime)
    for name in AGENT_PORTS:
        persist_port(str(newest), node_id, name, NONE)


if __name__ == "__main__":
    nodes = started()
    print(f"\naddress {nodes.address}", flush=True)
    sys.stdin.read()
    nodes.shutdown()
