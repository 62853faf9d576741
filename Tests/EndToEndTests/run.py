#!/usr/bin/env python3
"""Black-box tests of a real server process on loopback. Python's standard library, openssl and PostgreSQL only.

    run.py [--server fedchatd|synapse] [--database sqlite|postgres] [--validate] [--only WORD] [--keep]

`--validate` also checks each request and answer against spec/openapi, and needs what `Tests/PeerTests/install openapi` has.
$FEDCHATD names the program (default: the debug build). `--server synapse` tries the cases themselves on a server that is
known ($SYNAPSE_PYTHON names the Python that has it).
"""
import argparse
import importlib
import pathlib
import shutil
import sys
import tempfile

here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here))

from blackbox.certificates import Authority
from blackbox.matrix import Site
from blackbox.postgres import Cluster
from blackbox.report import Run, registered
from blackbox.servers import Fedchatd

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
    "legacy",
    "together",
    "media",
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

    def __init__(self, folder, authority, server, cluster):
        self.folder, self.authority, self.server, self.cluster = folder, authority, server, cluster
        self.count = 0

    @property
    def site(self):
        return self.server.site

    def another(self, **settings):
        """One more fedchatd, not started, on the same kind of database."""
        self.count += 1
        name = f"other{self.count}"
        return Fedchatd(self.folder / name, self.authority, self.cluster.create(name) if self.cluster else None, **settings)


def openapi_witness():
    """Sees all requests from now on."""
    Site.witness = importlib.import_module("blackbox.openapi").Witness()
    return Site.witness


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--server", choices=["fedchatd", "synapse"], default="fedchatd")
    options.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    options.add_argument("--only", help="run the cases with this in their sentence or file name")
    options.add_argument("--validate", action="store_true", help="check requests and answers against spec/openapi")
    options.add_argument("--table", help="with --validate: write which operation which cases prove, as Markdown")
    options.add_argument("--keep", action="store_true", help="leave the servers' folder")
    options = options.parse_args()
    for module in MODULES:
        if (here / "cases" / f"{module}.py").exists():
            importlib.import_module(f"cases.{module}")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="endtoend"))
    witness = openapi_witness() if options.validate else None
    authority, cluster, run = Authority(folder / "ca"), None, Run(before=witness and witness.enter)
    try:
        if options.server == "synapse":
            sys.path.append(str(here.parent / "PeerTests"))
            server = importlib.import_module("synapse_server").Synapse(folder / "server", authority)
        else:
            cluster = Cluster() if options.database == "postgres" else None
            server = Fedchatd(folder / "server", authority, cluster.create("server") if cluster else None)
        with server:
            run.cases(registered(), World(folder, authority, server, cluster), options.only)
    finally:
        if cluster:
            cluster.stop()
        if options.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    if witness:
        reporting = importlib.import_module("blackbox.openapi_report")
        Site.witness = None
        reporting.report(witness, run)
        if options.table:
            reporting.write_table(witness, options.table, f"{options.server}, {options.database}")
    return run.close()


if __name__ == "__main__":
    sys.exit(main())
