"""Verified TLS to a broker: the files that its URL names, tried before they are used."""

import ssl
from typing import Any

from contract.broker_urls import Endpoint
from contract.errors import BrokerError


def tls_options(end: Endpoint) -> dict[str, Any]:
    """Files and verification of an encrypted connection, as redis-py and kombu call them.

    Raises BrokerError for a file that cannot be used: later it would look like a broker that is away.
    """
    trusted, ours = end.files.get("ssl_ca_certs"), end.files.get("ssl_certfile")
    context, path = ssl.create_default_context(), ""
    try:
        if trusted:
            path = trusted
            context.load_verify_locations(trusted)
        if ours:
            path = f"{ours} with {end.files.get('ssl_keyfile', ours)}"
            context.load_cert_chain(ours, end.files.get("ssl_keyfile"))
    except OSError as error:  # ssl.SSLError is one
        why = "no certificate in it" if isinstance(error, ssl.SSLError) else error.strerror
        raise BrokerError(f"broker {end.shown}: certificate file {path}: {why}") from error
    return {"ssl_cert_reqs": ssl.CERT_REQUIRED, **end.files}
