#!/usr/bin/env python3
"""A hostile homeserver against a server under test: forged, broken, huge, repeated and unauthorized events.

    hostile_federation.py [--server fedchatd|synapse] [--database sqlite|postgres] [--only WORD] [--keep]
"""
import sys

import puppet      # puts blackbox on the path

from blackbox import script
from blackbox.certificates import Authority
from blackbox.report import Run
from blackbox.servers import of_kind

from hostile import World, answers, events, forks, requests

CASES = [*events.CASES, *forks.CASES, *requests.CASES, *answers.CASES]


def main():
    options, run = script.options(__doc__, "server", "database", "only", "keep").parse_args(), Run()
    with script.folder("hostile", options.keep) as folder, script.Databases(options.database) as databases:
        authority = Authority(folder / "ca")
        with of_kind(options.server, folder / "server", authority, databases.create("server"),
                     policy_server={"enabled": True, "refused_words": [requests.REFUSED]}) as server:
            world = World(server, puppet.Puppet(authority))
            run.pairs(CASES, world, options.only)
            world.puppet.close()
    return run.close()


if __name__ == "__main__":
    sys.exit(main())
