"""A throw-away PostgreSQL cluster on a socket in a temporary folder; no service, no TCP port."""
import glob
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile


class Cluster:
    def __init__(self, user="postgres"):
        self.bin = self._find()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pg"))      # a socket's path must be short
        self.as_user = []
        if os.geteuid() == 0:                                          # initdb refuses to run as root
            entry = pwd.getpwnam(user)
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)
            self.as_user = ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]
        self.data = self.folder / "data"
        self._run("initdb", "-D", self.data, "-U", "fedchat", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        self._run("pg_ctl", "-D", self.data, "-w", "-t", "60", "-l", self.folder / "log", "-o",
                  f"-k {self.folder} -c listen_addresses='' -c max_connections=100", "start")

    @staticmethod
    def _find():
        found = shutil.which("initdb")
        if found:
            return pathlib.Path(os.path.realpath(found)).parent
        versions = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=lambda path: int(path.split("/")[4]))
        if not versions:
            raise RuntimeError("PostgreSQL's initdb is not installed")
        return pathlib.Path(versions[-1]).parent

    def _run(self, program, *arguments):
        done = subprocess.run(
            [*self.as_user, str(self.bin / program), *map(str, arguments)], cwd="/", stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={"HOME": str(self.folder), "PATH": os.environ["PATH"]})
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stdout}")
        return done.stdout

    def create(self, database):
        """Makes an empty database; returns its libpq URL."""
        self._run("psql", "-h", self.folder, "-U", "fedchat", "-d", "template1", "-qc",
                  f'CREATE DATABASE "{database}" TEMPLATE template0 ENCODING UTF8 LC_COLLATE C LC_CTYPE C')
        return f"postgresql://fedchat@/{database}?host={self.folder}"

    def dump(self, database):
        """All of a database as text."""
        return self._run("pg_dump", "-h", self.folder, "-U", "fedchat", database)

    def stop(self):
        try:
            self._run("pg_ctl", "-D", self.data, "-w", "-m", "immediate", "stop")
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
