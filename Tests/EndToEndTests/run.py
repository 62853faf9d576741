#!/usr/bin/env python3
"""Black-box tests of a real server process on loopback. Python's standard library, openssl and PostgreSQL only.

    run.py [--server fedchatd|synapse] [--database sqlite|postgres] [--validate] [--only WORD] [--keep]

`--validate` also checks each request and answer against spec/openapi, and needs what `Tests/PeerTests/install openapi` has.
$FEDCHATD names the program (default: the debug build). `--server synapse` tries the cases themselves on a server that is
known ($SYNAPSE_PYTHON names the Python that has it).
"""
import importlib
import sys

from blackbox import script
from blackbox.certificates import Authority
from blackbox.matrix import Site
from blackbox.report import Run, registered
from blackbox.servers import Fedchatd, of_kind

MODULES = [
    "accounts",
    "rooms",
    "search",
    "delayed",
    "syncing",
    "sliding",
    "keys",
    "backup",
    "finding",
    "addresses",
    "legacy",
    "together",
    "media",
    "previews",
    "errors",
    "hostile",
    "operating",
    "exhaustion",
    "persistence",
    "doctor",
    "pushing",
    "retention",
]


class World:
    """What a case gets: the running server, and means to make more."""

    def __init__(self, folder, authority, server, databases):
        self.folder, self.authority, self.server, self.databases = folder, authority, server, databases
        self.count = 0

    @property
    def site(self):
        return self.server.site

    def another(self, **settings):
        """One more fedchatd, not started, on the same kind of database."""
        self.count += 1
        name = f"other{self.count}"
        return Fedchatd(self.folder / name, self.authority, self.databases.create(name), **settings)


def openapi_witness():
    """Sees all requests from now on."""
    Site.witness = importlib.import_module("blackbox.openapi").Witness()
    return Site.witness


def main():
    options = script.options(__doc__, "server", "database", "keep")
    options.add_argument("--only", help="run the cases with this in their sentence or file name")
    options.add_argument("--validate", action="store_true", help="check requests and answers against spec/openapi")
    options.add_argument("--table", help="with --validate: write which operation which cases prove, as Markdown")
    options = options.parse_args()
    for module in MODULES:
        importlib.import_module(f"cases.{module}")
    witness = openapi_witness() if options.validate else None
    run = Run(before=witness and witness.enter)
    with script.folder("endtoend", options.keep) as folder, script.Databases(options.database) as databases:
        authority = Authority(folder / "ca")
        with of_kind(options.server, folder / "server", authority, databases.create("server")) as server:
            run.cases(registered(), World(folder, authority, server, databases), options.only)
    if witness:
        reporting = importlib.import_module("blackbox.openapi_report")
        Site.witness = None
        reporting.report(witness, run)
        if options.table:
            reporting.write_table(witness, options.table, f"{options.server}, {options.database}")
    return run.close()


if __name__ == "__main__":
    sys.exit(main())
