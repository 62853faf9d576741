#!/usr/bin/env python3
"""fedchatd and Synapse measured in turns, in one run, by fedchat-bench.

    side_by_side.py [--bench PATH] [--alone] [--pairs] [--write FILE] [-- ARGUMENTS OF fedchat-bench servers]

    side_by_side.py -- --only syncs,pages,members,search --rooms 500 --many-rooms 2000 --members 5000 --searched 100000
    side_by_side.py --pairs -- --only federation

$FEDCHATD and --bench name release builds; without them those of the debug build, whose figures say nothing. Both servers keep
their data in SQLite in a temporary folder, with no rate limits. --alone leaves Synapse out; --pairs has two servers of each kind, which federate; --write keeps the table.
"""
import contextlib
import json
import pathlib
import subprocess
import sys

from synapse_server import Synapse      # puts blackbox on the path

from blackbox import script
from blackbox.certificates import Authority
from blackbox.servers import Fedchatd

ROOT = pathlib.Path(__file__).resolve().parents[2]


def described(server, database, peer):
    """A server as fedchat-bench wants it told."""
    told = {"name": server.kind, "url": server.site.base_url, "secret": server.secret, "pid": server.process.id,
            "data": str(server.folder / database)}
    if peer:
        told["peer"] = {"url": peer.site.base_url, "secret": peer.secret, "pid": peer.process.id}
    return told


def main():
    options = script.options(__doc__)
    options.add_argument("--bench", default=ROOT / ".build/debug/fedchat-bench", help="the program that measures")
    options.add_argument("--alone", action="store_true", help="without Synapse")
    options.add_argument("--pairs", action="store_true", help="two servers of each kind, which federate")
    options.add_argument("--write", help="a file that gets the table")
    options.add_argument("arguments", nargs="*", help="for fedchat-bench servers")
    options = options.parse_args()
    with script.folder("sidebyside") as folder, contextlib.ExitStack() as stack:
        authority = Authority(folder / "ca")
        kinds = [(Fedchatd, "fedchatd.db")]
        if not options.alone:
            kinds.append((Synapse, "homeserver.db"))
        servers = []
        for kind, database in kinds:
            server, *peers = [stack.enter_context(kind(folder / f"{kind.kind}{number}", authority))
                              for number in range(2 if options.pairs else 1)]
            servers.append(described(server, database, *peers or [None]))
        told = folder / "servers.json"
        told.write_text(json.dumps(servers))
        done = subprocess.run([str(options.bench), "servers", str(told), *options.arguments], stdout=subprocess.PIPE, text=True)
        print(done.stdout, end="")
        if options.write and done.returncode == 0:
            pathlib.Path(options.write).write_text(done.stdout)
        return done.returncode


if __name__ == "__main__":
    sys.exit(main())
