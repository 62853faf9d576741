"""A homeserver made of strings: it has a name, a key and TLS, joins rooms of all versions, and says whatever a test wants it
to say. Where no version is given, it is one of 11 and 12, whose events look alike. Needs PyNaCl and canonicaljson, which come with Synapse."""
import base64
import hashlib
import http.client
import json
import re
import secrets
import socket
import ssl
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import synapse_server      # puts blackbox on the path

from blackbox.matrix import quoted
from blackbox.processes import free_ports
from blackbox.report import expect

from canonicaljson import encode_canonical_json
from nacl.signing import SigningKey

KEPT_KEYS = {"type", "room_id", "sender", "state_key", "content", "hashes", "signatures", "depth", "prev_events", "auth_events",
             "origin_server_ts", "event_id"}
KEPT_CONTENT = {
    "m.room.create": None,      # all of it
    "m.room.member": {"membership", "join_authorised_via_users_server"},
    "m.room.join_rules": {"join_rule", "allow"},
    "m.room.power_levels": {"ban", "events", "events_default", "invite", "kick", "redact", "state_default", "users", "users_default"},
    "m.room.history_visibility": {"history_visibility"},
    "m.room.redaction": {"redacts"},
}


def unpadded(data, url_safe=False):
    return (base64.urlsafe_b64encode if url_safe else base64.b64encode)(data).decode().rstrip("=")


def redacted(event, version="12"):
    """Spec: https://spec.matrix.org/v1.19/rooms/v11/#redactions, and those of the versions before"""
    number = int(version)
    if number < 11:
        return redacted_before_11(event, number)
    kept = {key: value for key, value in event.items() if key in KEPT_KEYS}
    keys = KEPT_CONTENT.get(event["type"], set())
    if keys is not None:
        kept["content"] = {key: value for key, value in event["content"].items() if key in keys}
        invite = event["content"].get("third_party_invite")
        if event["type"] == "m.room.member" and isinstance(invite, dict) and "signed" in invite:
            kept["content"]["third_party_invite"] = {"signed": invite["signed"]}
    return kept


def redacted_before_11(event, number):
    kept = {key: value for key, value in event.items() if key in KEPT_KEYS | {"prev_state", "membership", "origin"}}
    keys = {
        **KEPT_CONTENT,
        "m.room.create": {"creator"},
        "m.room.member": {"membership"} | ({"join_authorised_via_users_server"} if number >= 9 else set()),
        "m.room.join_rules": {"join_rule"} | ({"allow"} if number >= 8 else set()),
        "m.room.power_levels": KEPT_CONTENT["m.room.power_levels"] - {"invite"},
        "m.room.redaction": set(),
        "m.room.aliases": {"aliases"} if number < 6 else set(),
    }.get(event["type"], set())
    kept["content"] = {key: value for key, value in event["content"].items() if key in keys}
    return kept


def event_id(event, version="12"):
    """The id that the event has, or that follows from what it says."""
    if int(version) < 3:
        return event["event_id"]
    plain = {key: value for key, value in redacted(event, version).items() if key not in ("signatures", "unsigned")}
    return "$" + unpadded(hashlib.sha256(encode_canonical_json(plain)).digest(), url_safe=int(version) > 3)


def references(ids, version="12"):
    """Event ids as an event names others. In versions 1 and 2 each has a hash beside it, which nobody reads."""
    return [[each, {}] for each in ids] if int(version) < 3 else list(ids)


def signed_request(server, method, path, body, origin, destination, key_id, sign, trust):
    """A request with an X-Matrix header, whose signature `sign` makes; returns the status, and JSON or what else came.
    Spec: https://spec.matrix.org/v1.19/server-server-api/#request-authentication"""
    content = {"method": method, "uri": path, "origin": origin, "destination": destination}
    if body is not None:
        content["content"] = body
    return plain_request(server, method, path, body, trust, {
        "Authorization": f'X-Matrix origin="{origin}",destination="{destination}",key="{key_id}",sig="{sign(content)}"'})


def plain_request(server, method, path, body, trust, fields=None):
    """A request to where a server federates, with these header fields; returns the status, and JSON or what else came."""
    link = http.client.HTTPSConnection("localhost", server.federation_port, timeout=60, context=trust)
    try:
        link.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json", **(fields or {})})
        answer = link.getresponse()
        data = answer.read()
        try:
            return answer.status, json.loads(data)
        except ValueError:
            return answer.status, data
    finally:
        link.close()


class Puppet:
    def __init__(self, authority, name=None, bind="127.0.0.1", port=None, hosts=()):
        """`hosts` are the names in its certificate, besides localhost and the loopback addresses."""
        self.port = port or free_ports(1)[0]
        self.name = name or f"localhost:{self.port}"
        self.key, self.key_id = SigningKey.generate(), "ed25519:puppet"
        self.events = {}                   # id: event, served to those who ask
        self.received = []                 # PDUs that others sent
        self.ephemeral = []                # EDUs that others sent
        self.asked = []                    # (method, path, Host) of every request
        self.answers = {}                  # regular expression of a path: function(match, body) -> (status, bytes or JSON)
        self._transactions = 0
        certificate, key = authority.issue(f"puppet-{self.port}-{len(bind)}", hosts)
        self.trust = ssl.create_default_context(cafile=str(authority.certificate))
        puppet = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                puppet.asked.append((self.command, self.path, self.headers.get("Host")))
                status, found, *fields = puppet.answer(self.path, body)
                data = found if isinstance(found, bytes) else json.dumps(found).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                for name, value in fields:
                    self.send_header(name, value)
                self.end_headers()
                try:
                    self.wfile.write(data)
                except OSError:
                    pass                   # the other side has heard enough

            do_GET = do_PUT = do_POST = answer

            def log_message(self, *_):
                pass

        class Listener(ThreadingHTTPServer):
            daemon_threads = True
            address_family = socket.AF_INET6 if ":" in bind else socket.AF_INET

            def handle_error(self, *_):
                pass

        self.listener = Listener((bind, self.port), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.listener.socket = context.wrap_socket(self.listener.socket, server_side=True, do_handshake_on_connect=False)
        self.thread = threading.Thread(target=self.listener.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.listener.shutdown()
        self.listener.server_close()

    # What it answers.

    def answer(self, path, body):
        """Status, body as bytes or JSON, then pairs of further header fields."""
        for pattern, function in self.answers.items():
            if match := re.match(pattern, path):
                return function(match, body)
        if path.startswith("/_matrix/key/v2/server"):
            return 200, self.signed({
                "server_name": self.name, "valid_until_ts": int(time.time() * 1000) + 3_600_000, "old_verify_keys": {},
                "verify_keys": {self.key_id: {"key": unpadded(bytes(self.key.verify_key))}}})
        if match := re.match(r"/_matrix/federation/v1/event/([^/?]+)", path):
            event = self.events.get(urllib.parse.unquote(match[1]))
            return (200, {"origin": self.name, "origin_server_ts": 1, "pdus": [event]}) if event else (404, {"errcode": "M_NOT_FOUND"})
        if path.startswith("/_matrix/federation/v1/get_missing_events/"):
            asked, found, todo = json.loads(body), [], []
            for latest in asked["latest_events"]:
                todo += self.events.get(latest, {}).get("prev_events", [])
            while todo and len(found) < asked.get("limit", 10):
                each = todo.pop(0)
                if each in self.events and each not in asked["earliest_events"]:
                    found.insert(0, self.events[each])
                    todo += self.events[each]["prev_events"]
            return 200, {"events": found}
        if path.startswith("/_matrix/federation/v1/send/"):
            transaction = json.loads(body)
            self.received += transaction.get("pdus", [])
            self.ephemeral += transaction.get("edus", [])
            return 200, {"pdus": {}}
        if path.startswith("/_matrix/federation/v1/user/devices/"):
            return 200, {"user_id": f"@puppet:{self.name}", "stream_id": 1, "devices": []}
        return 404, {"errcode": "M_UNRECOGNIZED", "error": "A puppet does not know this."}

    # What it signs.

    def signed(self, value):
        plain = {key: each for key, each in value.items() if key not in ("signatures", "unsigned")}
        signature = unpadded(self.key.sign(encode_canonical_json(plain)).signature)
        return {**value, "signatures": {**value.get("signatures", {}), self.name: {self.key_id: signature}}}

    def sealed(self, event, sign_as=None, version="12"):
        """The event with its content hash and our signature, and a new id where ids are not hashes; kept, to be served."""
        if int(version) < 3:
            event = {**event, "event_id": f"${secrets.token_hex(9)}:{self.name}"}
        plain = {key: value for key, value in event.items() if key not in ("signatures", "unsigned", "hashes")}
        event = {**plain, "hashes": {"sha256": unpadded(hashlib.sha256(encode_canonical_json(plain)).digest())}}
        signature = self.signed(redacted(event, version))["signatures"]
        event["signatures"] = {sign_as or self.name: signature[self.name]}
        self.events[event_id(event, version)] = event
        return event

    # What it asks.

    def request(self, server, method, path, body=None, destination=None, origin=None, tamper=False):
        """A signed request to a server; returns status and JSON."""
        def sign(content):
            signature = self.signed(content)["signatures"][self.name][self.key_id]
            return ("B" if signature[0] == "A" else "A") + signature[1:] if tamper else signature

        return signed_request(server, method, path, body, origin or self.name, destination or server.name, self.key_id, sign, self.trust)

    def send(self, server, pdus=(), edus=(), transaction=None):
        self._transactions += 1
        return self.request(server, "PUT", f"/_matrix/federation/v1/send/{transaction or f'p{self._transactions}'}", {
            "origin": self.name, "origin_server_ts": int(time.time() * 1000), "pdus": list(pdus), "edus": list(edus)})

    def join(self, server, room, name="puppet"):
        """A user of ours joins a room of the server."""
        user = f"@{name}:{self.name}"
        versions = "&".join(f"ver={number}" for number in range(1, 13))
        status, made = self.request(server, "GET", f"/_matrix/federation/v1/make_join/{quoted(room)}/{quoted(user)}?{versions}")
        expect(status == 200, f"make_join: {status} {made}")
        template, version = made["event"], made.get("room_version", "1")
        template.update(origin_server_ts=int(time.time() * 1000), sender=user, state_key=user)
        event = self.sealed(template, version=version)
        path = f"/_matrix/federation/v2/send_join/{quoted(room)}/{quoted(event_id(event, version))}"
        status, joined = self.request(server, "PUT", path, event)
        expect(status == 200, f"send_join: {status} {joined}")
        return PuppetRoom(self, server, room, version, user, event, joined["state"])


class PuppetRoom:
    """A room as the puppet sees it: the state it joined with, and the last event it knows."""

    def __init__(self, puppet, server, room, version, user, join, state):
        self.puppet, self.server, self.id, self.version, self.user = puppet, server, room, version, user
        self.state = {(event["type"], event["state_key"]): event for event in state}
        self.state[("m.room.member", user)] = join
        self.last, self.depth = event_id(join, version), join["depth"]

    def auth(self, *keys):
        wanted = [("m.room.power_levels", ""), ("m.room.member", self.user), *keys]
        if self.version != "12":
            wanted.insert(0, ("m.room.create", ""))
        return [event_id(self.state[key]) for key in dict.fromkeys(wanted) if key in self.state]

    def plain(self, event_type="m.room.message", content=None, prev=None, **more):
        """An event that is right so far, unsigned."""
        return {"type": event_type, "room_id": self.id, "sender": self.user, "depth": self.depth + 1,
                "content": content if content is not None else {"msgtype": "m.text", "body": "?"},
                "origin_server_ts": int(time.time() * 1000), "prev_events": prev or [self.last], "auth_events": self.auth(), **more}

    def event(self, event_type="m.room.message", content=None, prev=None, **more):
        return self.puppet.sealed(self.plain(event_type, content, prev, **more))

    def text(self, body, **more):
        return self.event(content={"msgtype": "m.text", "body": body}, **more)

    def say(self, event, advance=True):
        """Sends the event, and goes on from it."""
        answer = self.puppet.send(self.server, [event])
        if advance:
            self.last, self.depth = event_id(event), event["depth"]
        return answer
