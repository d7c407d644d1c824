"""A service that lists objects in S3's way, and does nothing else: for more of them than others bear.

    python tests/bench/listing_service.py KEYS

KEYS is a file with an object's key per line, in order. Its port is said on one line, every request on
stderr.
"""

import sys
from bisect import bisect_left
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import takewhile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

PAGE = 1000
SIZE_BYTES = 6000
"""Of each object, as told."""


def page(keys: list[str], prefix: str, token: str) -> str:
    """One answer to ListObjectsV2; ``token`` is the place to go on from."""
    begin = int(token or bisect_left(keys, prefix))
    found = list(takewhile(lambda key: key.startswith(prefix), keys[begin : begin + PAGE]))
    after = begin + len(found)
    more = len(found) == PAGE and after < len(keys) and keys[after].startswith(prefix)
    contents = "".join(
        f"<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
        f"<ETag>x</ETag><Size>{SIZE_BYTES}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        for key in found
    )
    token = f"<NextContinuationToken>{after}</NextContinuationToken>" if more else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>any</Name>'
        f"<Prefix>{prefix}</Prefix><MaxKeys>{PAGE}</MaxKeys><KeyCount>{len(found)}</KeyCount>"
        f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{contents}</ListBucketResult>"
    )


def main() -> None:
    """Serve until told to stop."""
    keys = Path(sys.argv[1]).read_text().split()

    class Listing(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            body = page(keys, asked.get("prefix", [""])[0], asked.get("continuation-token", [""])[0])
            self.send_response(200)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Listing)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
