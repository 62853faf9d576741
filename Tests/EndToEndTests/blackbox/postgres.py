"""A throw-away PostgreSQL cluster, made by script/postgres-for-tests."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

SCRIPT = pathlib.Path(__file__).resolve().parents[3] / "script/postgres-for-tests"


class Cluster:
    """Ends with this process at the latest. A crash of a server under test is no crash of PostgreSQL, so fsync is off."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="cluster"))
        self._script("start", str(os.getpid()))
        self.urls = {}

    def _script(self, command, *arguments):
        done = subprocess.run([SCRIPT, command, self.folder, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"postgres-for-tests {command}: {done.stderr}")
        return done.stdout.strip()

    def create(self, database):
        """Makes an empty database; returns its libpq URL."""
        self.urls[database] = self._script("create", database)
        return self.urls[database]

    def dump(self, database):
        """All of a database, and once more those values that are bytes, which a dump has in hexadecimal."""
        text = subprocess.run(["pg_dump", self.urls[database]], check=True, stdin=subprocess.DEVNULL, capture_output=True).stdout
        return text + b"\n".join(bytes.fromhex(found.decode()) for found in re.findall(rb"\\\\x((?:[0-9a-f]{2})+)", text))

    def stop(self):
        self._script("stop")
        shutil.rmtree(self.folder, ignore_errors=True)
