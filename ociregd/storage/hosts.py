"""
Where the hosts of a database are, and how it is noticed that one has gone.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from ipaddress import ip_address

from ociregd.interfaces import InThread

#: The parameters that have a value for each host, or one for all.
PLACES = ("host", "hostaddr", "port")

#: A network may fall silent without a word, and a firewall forget who says nothing for long. Left
#: to the system, an idle connection would be tried after two hours only.
KEEPALIVES = {"keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3"}


def heeding_silence(seconds: float) -> dict[str, str]:
    """
    Connection parameters, for which the network may take so long to bring something to the server.
    """
    return {**KEEPALIVES, "tcp_user_timeout": str(int(seconds * 1000))}


async def resolved(parameters: Mapping[str, str], in_thread: InThread) -> dict[str, str]:
    """
    Connection parameters with the addresses of their hosts: left to itself, the client library
    would look them up in the reactor thread.

    Each address of a host is tried in turn, as the library would.
    """
    hosts = parameters.get("host", "").split(",")
    if "hostaddr" in parameters or "service" in parameters or not any(map(is_name, hosts)):
        return dict(parameters)
    ports = parameters.get("port", "").split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    expanded = []
    for host, port in zip(hosts, ports, strict=True):
        addresses = [""]
        if is_name(host):
            found = await in_thread(socket.getaddrinfo, host, None, 0, socket.SOCK_STREAM)
            addresses = list(dict.fromkeys(entry[4][0] for entry in found))
        expanded += [(host, address, port) for address in addresses]
    columns = (",".join(column) for column in zip(*expanded, strict=True))
    return {**parameters, **dict(zip(PLACES, columns, strict=True))}


def beginning_with(first: int, parameters: Mapping[str, str]) -> dict[str, str]:
    """Connection parameters whose hosts are tried in turn from that one on."""
    turned = dict(parameters)
    for name in PLACES:
        if name in parameters:
            values = parameters[name].split(",")
            start = first % len(values)
            turned[name] = ",".join([*values[start:], *values[:start]])
    return turned


def is_name(host: str) -> bool:
    """Whether a host has to be looked up: it is neither an address nor a directory of sockets."""
    if not host or host.startswith(("/", "@")):
        return False
    try:
        ip_address(host)
    except ValueError:
        return True
    return False
