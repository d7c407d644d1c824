"""What ``--broker`` says: one URL, or one for the orders and one for the state. Pure: opens nothing."""

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from contract.errors import BrokerError

REDIS = ("redis", "rediss", "unix")
RABBITMQ = ("amqp", "amqps")
ENCRYPTED = ("rediss", "amqps")
_PORTS = {"redis": 6379, "rediss": 6379, "unix": 0, "amqp": 5672, "amqps": 5671}

TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
"""Keys of a URL that name files: the authorities to trust, our certificate, its key."""
_LOGIN = ("username", "password")
_VERIFYING = {"ssl_cert_reqs": "required", "ssl_check_hostname": "true"}

# A password with a space in it is no second URL.
_BETWEEN = re.compile(r"\s+(?=[A-Za-z][A-Za-z0-9+.-]*://)")
# Not by parsing: a URL that cannot be parsed may hold a password too.
_USER_PASSWORD = re.compile(r"^((?:[^/@]*://)?[^:@/]*:(?!//)).*@", re.DOTALL)
_LOOSE_PASSWORD = re.compile(r"^([a-z+]+://[^:@/\[]*:)(?!\d*(?:[/?]|$))[^@]*$", re.DOTALL)
_QUERY_PASSWORD = re.compile(r"(password=)[^&]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One URL, taken apart."""

    scheme: str
    host: str
    """Empty for a socket of this machine."""
    port: int
    user: str | None
    password: str | None = field(repr=False)
    place: str
    """Database of Redis, path of its socket, or virtual host of RabbitMQ."""
    database: int
    files: dict[str, str]
    """What TLS_FILES name."""
    shown: str
    """The URL for people: without its password."""

    @property
    def is_encrypted(self) -> bool:
        """Whether it is TLS, whose certificates are always verified."""
        return self.scheme in ENCRYPTED

    @property
    def is_in_the_clear(self) -> bool:
        """Whether what goes there can be read on a network."""
        return not self.is_encrypted and self.scheme != "unix" and not _is_loopback(self.host)


@dataclass(frozen=True, slots=True)
class Broker:
    """Where orders go, and where registrations, leases and completion records are: often the same."""

    orders: Endpoint
    state: Endpoint

    @property
    def by_rabbitmq(self) -> bool:
        """Whether orders take another way than everything else."""
        return self.orders.scheme in RABBITMQ

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Each once."""
        return (self.orders, self.state) if self.by_rabbitmq else (self.state,)


def read_broker(text: str) -> Broker:
    """Take a broker's URL, or its two, apart. Raises BrokerError, which holds no password."""
    urls = _BETWEEN.split(text.strip())
    ends = [_endpoint(url) for url in urls]
    by_kind = {kind: [end for end in ends if end.scheme in kind] for kind in (REDIS, RABBITMQ)}
    for kind, name in ((REDIS, "Redis"), (RABBITMQ, "RabbitMQ")):
        if len(by_kind[kind]) > 1:
            raise BrokerError(
                f"{without_password(text)}: {len(by_kind[kind])} URLs of {name}; a broker is one Redis, "
                "or one RabbitMQ for the orders and one Redis for the state"
            )
    if not by_kind[REDIS]:
        raise BrokerError(
            f"{without_password(text)}: RabbitMQ carries orders and nothing else; add the Redis that "
            "keeps registrations, leases and results, with a space between: "
            "'amqps://HOST rediss://HOST:6379/0'"
        )
    (state,) = by_kind[REDIS]
    return Broker((by_kind[RABBITMQ] or [state])[0], state)


def without_password(text: str) -> str:
    """The URL, or the two, with passwords, if any, left out."""
    return " ".join(_hide(url) for url in _BETWEEN.split(text))


def client_url(end: Endpoint) -> str:
    """The URL as Celery's library takes it: TLS and its files are said in settings of their own."""
    login = ""
    if end.user is not None or end.password is not None:
        secret = "" if end.password is None else f":{quote(end.password, safe='')}"
        login = f"{quote(end.user or '', safe='')}{secret}@"
    if end.scheme == "unix":
        return f"redis+socket://{login}{quote(end.place)}?virtual_host={end.database}"
    host = f"[{end.host}]" if ":" in end.host else end.host
    # 'amqp' may become another client, where one is installed.
    scheme = "pyamqp" if end.scheme == "amqp" else end.scheme
    place = str(end.database) if end.scheme in REDIS else quote(end.place, safe="")
    return f"{scheme}://{login}{host}:{end.port}/{place}"


def _hide(url: str) -> str:
    hidden = _USER_PASSWORD.sub(r"\1…@", url)
    return _QUERY_PASSWORD.sub(r"\1…", _LOOSE_PASSWORD.sub(r"\1…", hidden))


def _endpoint(url: str) -> Endpoint:
    shown = without_password(url)
    try:
        parts = urlsplit(url)
        port = parts.port
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError as error:  # its text may hold a piece of the password
        raise _no_url(shown) from error
    if parts.scheme not in _PORTS or not url.startswith(f"{parts.scheme}://") or parts.fragment:
        raise _no_url(shown)
    if "@" in parts.path + parts.query:  # a password was cut short by what stands before it
        raise _no_url(shown)
    if re.search(r"\s", url):
        raise BrokerError(f"{shown}: a space inside; in a password it is written as %20")
    _check_options(parts.scheme, options, shown)
    if parts.scheme == "unix":
        if not parts.path.strip("/"):
            raise BrokerError(f"{shown}: no path of a socket; one looks like unix:///run/redis.sock")
    elif not parts.hostname:
        raise BrokerError(f"{shown}: no host; one looks like {parts.scheme}://HOST:{_port(parts)}")
    return Endpoint(
        scheme=parts.scheme,
        host="" if parts.scheme == "unix" else unquote(parts.hostname or ""),
        port=_PORTS[parts.scheme] if port is None else port,
        user=options.get("username", _decoded(parts.username)) or None,
        password=options.get("password", _decoded(parts.password)),
        place=_place(parts),
        database=_database(parts, options, shown),
        files={name: options[name] for name in TLS_FILES if name in options},
        shown=shown,
    )


def _check_options(scheme: str, options: dict[str, str], shown: str) -> None:
    for name, wanted in _VERIFYING.items():
        if options.get(name, wanted).lower() != wanted:
            raise BrokerError(
                f"{shown}: {name}={options[name]} would take anybody for the broker; certificates are "
                "always verified: leave it out, and name the authority with ssl_ca_certs=/PATH/ca.pem"
            )
    allowed = (*_LOGIN, *(("db",) if scheme in REDIS else ()))
    if scheme in ENCRYPTED:
        allowed += (*TLS_FILES, *_VERIFYING)
    for name in options:
        if name.startswith("ssl_") and scheme not in ENCRYPTED:
            raise BrokerError(
                f"{shown}: {name} needs TLS: {'amqps' if 'amqp' in scheme else 'rediss'}://"
            )
        if name not in allowed:
            raise BrokerError(f"{shown}: unknown option '{name}'; there are {', '.join(allowed)}")
    if "ssl_keyfile" in options and "ssl_certfile" not in options:
        raise BrokerError(f"{shown}: ssl_keyfile without the certificate that it is for: ssl_certfile")


def _place(parts: SplitResult) -> str:
    path = unquote(parts.path)
    if parts.scheme == "unix":
        return f"/{path.lstrip('/')}"
    return path.removeprefix("/") or "/"


def _database(parts: SplitResult, options: dict[str, str], shown: str) -> int:
    said = options.get("db") or ("" if parts.scheme == "unix" else parts.path.strip("/"))
    if parts.scheme in RABBITMQ or not said:
        return 0
    if not re.fullmatch(r"[0-9]{1,4}", said):
        raise _no_url(shown)
    return int(said)


def _port(parts: SplitResult) -> int:
    return _PORTS[parts.scheme]


def _decoded(text: str | None) -> str | None:
    return None if text is None else unquote(text)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() in ("localhost", "localhost.localdomain", "ip6-localhost")


def _no_url(shown: str) -> BrokerError:
    return BrokerError(
        f"not a broker's URL: {shown}; one looks like rediss://HOST:6379/0, redis://…, unix://… or "
        "amqps://…, and a password in it has '/', '#', '?', '@' and ' ' written as %2F, %23, %3F, %40 "
        "and %20"
    )
