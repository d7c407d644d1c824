"""The broker as this host sees it: reachable, encrypted, and set so that it keeps what it is given."""

from collections.abc import Iterator
from typing import Any

import redis

from contract.broker import IN_THE_CLEAR, connect, reach, without_password
from contract.broker_urls import Endpoint, read_broker
from contract.errors import BrokerError
from orchestrator.cli.findings import Finding


def of_broker(url: str) -> Iterator[Finding]:
    """Whether it answers and takes our password; whether others can read along; whether it forgets."""
    try:
        client = connect(url)
        reach(url)
    except BrokerError as error:
        yield Finding("broker", False, str(error))
        return
    yield _answer(client, url)
    yield from (_encryption(end) for end in read_broker(url).endpoints)
    yield from _memory(client)


def _answer(client: "redis.Redis[bytes]", url: str) -> Finding:
    try:
        version: Any = client.info("server")["redis_version"]
    except redis.ResponseError:  # a user of its own that may do only what Tonnage needs
        return Finding("broker", True, f"{without_password(url)} answers")
    except redis.RedisError as error:
        return Finding("broker", False, f"{without_password(url)}: {error}")
    return Finding("broker", True, f"{without_password(url)}, Redis {version}")


def _encryption(end: Endpoint) -> Finding:
    if end.is_in_the_clear:
        advice = "make certificates with deploy/broker.sh"
        return Finding("encryption", False, f"{end.shown}: {IN_THE_CLEAR}", advice)
    return Finding("encryption", True, f"{end.shown}: nobody can read along")


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
