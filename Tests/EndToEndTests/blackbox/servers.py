"""Homeservers under test, each in a folder of its own: fedchatd on either database, and others by their kind."""
import importlib
import json
import os
import pathlib
import subprocess
import sys

from .matrix import Site
from .processes import Process, free_ports


def program():
    """The fedchatd to test: $FEDCHATD, or this project's debug build."""
    given = os.environ.get("FEDCHATD")
    return pathlib.Path(given) if given else pathlib.Path(__file__).resolve().parents[3] / ".build/debug/fedchatd"


class Server:
    """What all kinds of servers have: `kind`, `name`, `site`, `secret`; start, stop, kill, restart."""

    kind = "?"
    secret = "a shared secret for tests"
    start_seconds = 30
    environment = {}        # variables of its process, beside ours

    def __init__(self, folder, authority, public_port=None):
        """`public_port` is the one in its name, where something else listens and passes on."""
        self.folder, self.authority = pathlib.Path(folder), authority
        self.folder.mkdir(parents=True, exist_ok=True)
        self.client_port, self.federation_port = free_ports(2)
        self.public_port = public_port or self.federation_port
        self.name = f"localhost:{self.public_port}"
        self.site = Site(f"http://127.0.0.1:{self.client_port}")
        self.process = None
        self._users = 0

    def command(self):
        raise NotImplementedError

    def answers(self):
        try:
            return self.site.request("GET", "/_matrix/client/versions").status == 200
        except OSError:
            return False

    def start(self):
        self.process = Process(self.command(), self.folder / "log", self.environment)
        self.process.wait_until(self.answers, self.start_seconds, self.kind)
        return self

    def stop(self):
        self.site.forget_connection()
        if self.process:
            return self.process.terminate()

    def kill(self):
        self.site.forget_connection()
        self.process.kill()

    def restart(self):
        self.stop()
        self.start()

    def user(self, name="user", password="correct horse battery", **more):
        """A new user; the name gets a number."""
        self._users += 1
        return self.site.register_by_secret(self.secret, f"{name}{self._users}", password, **more)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process:
            self.site.forget_connection()
            self.process.kill() if not self.process.runs else self.stop()


class Fedchatd(Server):
    kind = "fedchatd"
    start_seconds = 20

    def __init__(self, folder, authority, postgres_url=None, public_port=None, **settings):
        super().__init__(folder, authority, public_port)
        certificate, key = authority.issue(f"fedchatd-{self.federation_port}")
        os.chmod(key, 0o600)
        self.configuration = self.folder / "fedchatd.yaml"
        self.settings = {
            "server_name": self.name,
            "public_base_url": self.site.base_url,
            "database": {"postgres": postgres_url} if postgres_url else {"sqlite": "fedchatd.db"},
            "listeners": [
                {"bind": "127.0.0.1", "port": self.client_port,
                 "resources": ["client", "media", "key", "health", "metrics", "admin"]},
                {"bind": "127.0.0.1", "port": self.federation_port, "resources": ["federation", "key", "media", "health"],
                 "tls": {"certificate": str(certificate), "private_key": str(key)}},
            ],
            "registration": {"open": True, "shared_secret": self.secret, "password_hash_cost": "minimum"},
            "rate_limits": {"enabled": False},
            "rooms": {"encrypt_by_default": False},
            "federation": {"custom_ca_files": [str(authority.certificate)], "allow_private_addresses": True,
                           "public_rooms": True},
            **settings,
        }
        self.write()

    def write(self):
        self.configuration.write_text(json.dumps(self.settings, indent=1))      # JSON is YAML

    def command(self):
        return [program(), "--config", self.configuration]

    def signing_key(self):
        """The line that holds its current key: algorithm, version, seed."""
        return (self.folder / "federation-keys/signing.key").read_text().split()

    def rotate_key(self):
        """Takes a new signing key; it starts again."""
        self.stop()
        done = self.run("keys", "rotate", "--config", self.configuration)
        if done.returncode:
            raise RuntimeError(f"keys rotate: {done.stderr}")
        self.start()

    def run(self, *arguments, input="", seconds=30):
        """Runs a subcommand to its end."""
        return subprocess.run([program(), *map(str, arguments)], input=input, capture_output=True, text=True,
                              timeout=seconds, cwd=self.folder)

    def log_text(self):
        return (self.folder / "log").read_text(errors="replace")


def of_kind(kind, folder, authority, database=None, public_port=None, **settings):
    """A server, not started: fedchatd, or `synapse` with settings of its own, for which those given do not count."""
    if kind == "fedchatd":
        return Fedchatd(folder, authority, database, public_port, **settings)
    peers = str(pathlib.Path(__file__).resolve().parents[2] / "PeerTests")
    if peers not in sys.path:
        sys.path.append(peers)
    return importlib.import_module("synapse_server").Synapse(folder, authority, public_port)
