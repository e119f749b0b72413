"""A receiver in a process of its own.

It reads one line of JSON (address, key, epoch), connects, and takes no batch before it is given another line. Then it
takes everything and writes one line of JSON: the digest of each batch, and what ended the stream.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys

from trader.runtime.channel import ChannelError, Receiver
from trader.runtime.frames import encode


def main() -> None:
    told = json.loads(sys.stdin.readline())
    address = told["address"] if isinstance(told["address"], str) else tuple(told["address"])
    digests: list[str] = []
    ended = "end"
    try:
        receiver = Receiver(address, bytes.fromhex(told["key"]), told["epoch"])
        sys.stdin.readline()
        with contextlib.closing(receiver):
            for batch in receiver.batches(60.0):
                digests.append(hashlib.sha256(encode(batch)).hexdigest())  # noqa: PERF401 - kept when the stream breaks
    except ChannelError as error:
        ended = str(error)
    sys.stdout.write(json.dumps({"digests": digests, "ended": ended}) + "\n")


if __name__ == "__main__":
    main()
