"""Listening sockets, and the settings of uvicorn for them."""

from __future__ import annotations

import socket

from jobs.serve.app import make_app
from jobs.serve.connections import Connections, GuardedConfig
from jobs.serve.service import Service
from pipelines.errors import ConfigError

SHUTDOWN_S = 3
"""Seconds for the requests under way when the server ends."""
_MOST_OF_HEAD = 32 * 1024
_BACKLOG = 2048


def listen(host: str, port: int, key: str) -> socket.socket:
    """Return a socket that listens; port 0 takes any free one.

    Raises:
        ConfigError: the address cannot be used; names the configuration's `key` of the port.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        reason = f"{host}:{port}: {error.strerror}; choose another {key}"
        raise ConfigError(f"{key}: {reason}") from error
    # This object names its protocol, TCP, so that asyncio sends each part of an answer at once.
    # Otherwise the second one waits 40 ms for the client's acknowledgement of the first.
    return socket.socket(fileno=listener.detach())


def uvicorn_config(service: Service, connections: Connections) -> GuardedConfig:
    """Return the settings of uvicorn for a server."""
    service.metrics.connections.set_function(lambda: len(connections))
    proxies = service.config.serve.trusted_proxies
    return GuardedConfig(
        make_app(service),
        connections,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        backlog=_BACKLOG,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        h11_max_incomplete_event_size=_MOST_OF_HEAD,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
