"""The broker as this host sees it: reachable, encrypted, and set so that it keeps what it is given."""

import ipaddress
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import redis

from contract.broker import connect, without_password
from contract.errors import BrokerError
from orchestrator.cli.findings import Finding

_CLEAR = ("redis", "amqp")
"""Schemes that encrypt nothing."""


def of_broker(url: str) -> Iterator[Finding]:
    """Whether it answers and takes our password; whether others can read along; whether it forgets."""
    try:
        client = connect(url)
    except BrokerError as error:
        yield Finding("broker", False, str(error))
        return
    yield _answer(client, url)
    yield from (_in_the_clear(one) for one in url.split() if urlsplit(one).scheme in _CLEAR)
    yield from _memory(client)


def _answer(client: "redis.Redis[bytes]", url: str) -> Finding:
    try:
        version: Any = client.info("server")["redis_version"]
    except redis.ResponseError:  # a user of its own that may do only what Tonnage needs
        return Finding("broker", True, f"{without_password(url)} answers")
    except redis.RedisError as error:
        return Finding("broker", False, f"{without_password(url)}: {error}")
    return Finding("broker", True, f"{without_password(url)}, Redis {version}")


def _in_the_clear(url: str) -> Finding:
    shown = without_password(url)
    if _is_here(urlsplit(url).hostname or ""):
        return Finding("encryption", True, f"{shown} is on this machine")
    advice = "make certificates with deploy/broker.sh, and use rediss:// or amqps://"
    return Finding(
        "encryption", False, f"{shown}: passwords and orders cross the network in the clear", advice
    )


def _is_here(host: str) -> bool:
    """Whether a name or address means this machine's loopback."""
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in found)


def _memory(client: "redis.Redis[bytes]") -> Iterator[Finding]:
    try:
        said: Any = client.info("memory")
    except redis.RedisError:
        return  # not for this user to see
    policy = said.get("maxmemory_policy", "noeviction")
    if said.get("maxmemory") and policy != "noeviction":
        text = (
            f"a full broker throws keys away ({policy}): registrations, messages and parts would be lost"
        )
        yield Finding("eviction", False, text, "set 'maxmemory-policy noeviction' in its configuration")
    else:
        yield Finding("eviction", True, "a full broker refuses to take more, and loses nothing")
