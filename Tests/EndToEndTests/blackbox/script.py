"""What the scripts have in common: options, a folder that goes away, databases."""
import argparse
import contextlib
import datetime
import pathlib
import shutil
import subprocess
import sys
import tempfile

from .postgres import Cluster

_OPTIONS = {
    "server": {"choices": ["fedchatd", "synapse"], "default": "fedchatd", "help": "who is under test, or serves the other side"},
    "database": {"choices": ["sqlite", "postgres"], "default": "sqlite", "help": "where fedchatd keeps its data"},
    "databases": {"choices": ["sqlite", "postgres", "both"], "default": "both", "help": "where fedchatd keeps its data"},
    "only": {"default": "", "help": "run the cases with this in their sentence"},
    "keep": {"action": "store_true", "help": "leave the folder of servers and clients"},
    "table": {"help": "write what was found to this file, as Markdown; DATE becomes the date"},
}


def options(description, *names):
    """A parser of the command line, with those of the options that many scripts have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in names:
        parser.add_argument("--database" if name == "databases" else f"--{name}", **_OPTIONS[name])
    return parser


@contextlib.contextmanager
def folder(prefix, keep=False, out=sys.stdout):
    """A temporary folder, which is gone in the end unless it is kept."""
    path = pathlib.Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield path
    finally:
        if keep:
            print(f"kept: {path}", file=out)
        else:
            shutil.rmtree(path, ignore_errors=True)


class Databases:
    """Of one kind, by name: for PostgreSQL in a cluster that is started for the first and ends with this."""

    def __init__(self, kind):
        self.kind, self.cluster = kind, None

    def create(self, name):
        """The URL of a new database; None for SQLite, which is a file in the server's folder."""
        if self.kind == "sqlite":
            return None
        self.cluster = self.cluster or Cluster()
        return self.cluster.create(name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.cluster:
            self.cluster.stop()


def kinds(database):
    """The kinds of databases that --database names."""
    return ("sqlite", "postgres") if database == "both" else (database,)


def commit():
    """The commit of this checkout, shortened; with a mark when something is changed in it."""
    root = pathlib.Path(__file__).resolve().parents[3]
    done = subprocess.run(["git", "-C", root, "describe", "--always", "--dirty", "--abbrev=9"], capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def dated(path):
    return pathlib.Path(str(path).replace("DATE", str(datetime.date.today())))
