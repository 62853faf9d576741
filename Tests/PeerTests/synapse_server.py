"""Starts one Synapse on SQLite, on loopback, federating over TLS under a given certificate authority."""
import base64
import json
import os
import pathlib
import secrets
import subprocess
import sys
import time

here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent / "EndToEndTests"))

from blackbox.servers import Server


def python():
    """The Python that has Synapse: $SYNAPSE_PYTHON, or the one that ./install makes, or the one that runs this."""
    installed = here.parent.parent / ".build-peers/venv/bin/python"
    return os.environ.get("SYNAPSE_PYTHON") or (installed if installed.exists() else sys.executable)


class Synapse(Server):
    kind = "synapse"
    start_seconds = 90

    def __init__(self, folder, authority, public_port=None, **more):
        super().__init__(folder, authority, public_port)
        certificate, key = authority.issue(f"synapse-{self.federation_port}")
        self.environment = {"SSL_CERT_FILE": str(authority.certificate)}        # for requests that are not to homeservers
        without_limit = {"per_second": 1_000_000, "burst_count": 1_000_000}
        settings = {
            "server_name": self.name,
            "public_baseurl": self.site.base_url + "/",
            "pid_file": str(self.folder / "pid"),
            "report_stats": False,
            "signing_key_path": str(self.folder / "signing.key"),
            "media_store_path": str(self.folder / "media"),
            "log_config": str(self.folder / "log.yaml"),
            "listeners": [
                {"port": self.client_port, "type": "http", "tls": False, "bind_addresses": ["127.0.0.1"],
                 "resources": [{"names": ["client"], "compress": False}]},
                {"port": self.federation_port, "type": "http", "tls": True, "bind_addresses": ["127.0.0.1"],
                 "resources": [{"names": ["federation", "keys", "media"], "compress": False}]},
            ],
            "tls_certificate_path": str(certificate),
            "tls_private_key_path": str(key),
            "federation_custom_ca_list": [str(authority.certificate)],
            "trusted_key_servers": [],
            "suppress_key_server_warning": True,
            "ip_range_blacklist": [],
            "federation_ip_range_blacklist": [],
            "database": {"name": "sqlite3", "args": {"database": str(self.folder / "homeserver.db")}},
            "registration_shared_secret": self.secret,
            "macaroon_secret_key": secrets.token_hex(16),
            "form_secret": secrets.token_hex(16),
            "enable_registration": True,
            "enable_registration_without_verification": True,
            "bcrypt_rounds": 4,
            "rc_message": without_limit,
            "rc_registration": without_limit,
            "rc_login": {"address": without_limit, "account": without_limit, "failed_attempts": without_limit},
            "rc_joins": {"local": without_limit, "remote": without_limit},
            "rc_joins_per_room": without_limit,
            "rc_invites": {"per_room": without_limit, "per_user": without_limit, "per_issuer": without_limit},
            "rc_room_creation": without_limit,
            "rc_media_create": without_limit,
            "rc_key_requests": without_limit,
            "rc_federation": {"window_size": 1000, "sleep_limit": 1_000_000, "sleep_delay": 1,
                              "reject_limit": 1_000_000, "concurrent": 100},
            "federation": {"max_short_retry_delay": "1s", "max_long_retry_delay": "2s", "destination_min_retry_interval": 100,
                           "destination_retry_multiplier": 1, "destination_max_retry_interval": 100},
            "room_list_publication_rules": [{"action": "allow"}],
            "allow_public_rooms_over_federation": True,
            "max_upload_size": "50M",
            "caches": {"sync_response_cache_duration": "0s"},
            "soft_file_limit": 0,
            **more,
        }
        self.settings, self.configuration = settings, self.folder / "homeserver.yaml"
        self.write()
        (self.folder / "log.yaml").write_text(json.dumps({
            "version": 1, "disable_existing_loggers": False,
            "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
            "handlers": {"file": {"class": "logging.FileHandler", "formatter": "plain",
                                  "filename": str(self.folder / "homeserver.log")}},
            "root": {"level": os.environ.get("SYNAPSE_LOG", "INFO"), "handlers": ["file"]},
        }))
        if not (self.folder / "signing.key").exists():
            subprocess.run([str(python()), "-m", "synapse.app.homeserver", "-c", str(self.configuration), "--generate-keys"],
                           check=True, stdin=subprocess.DEVNULL, capture_output=True)

    def write(self):
        self.configuration.write_text(json.dumps(self.settings, indent=1))      # JSON is YAML

    def signing_key(self):
        """The line that holds its current key: algorithm, version, seed."""
        return (self.folder / "signing.key").read_text().split()

    def rotate_key(self):
        """Takes a new signing key; it starts again."""
        from nacl.signing import SigningKey         # comes with Synapse: not everybody who starts one has it

        self.stop()
        _, version, seed = self.signing_key()
        public = base64.b64encode(bytes(SigningKey(base64.b64decode(seed + "=")).verify_key)).decode().rstrip("=")
        self.settings.setdefault("old_signing_keys", {})[f"ed25519:{version}"] = {
            "key": public, "expired_ts": int(time.time() * 1000)}
        self.write()
        seed = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        (self.folder / "signing.key").write_text(f"ed25519 r{secrets.token_hex(3)} {seed}\n")
        self.start()

    def command(self):
        return [python(), "-m", "synapse.app.homeserver", "-c", self.configuration]
