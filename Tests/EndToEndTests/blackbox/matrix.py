"""A small Matrix client over plain HTTP: requests, answers, users."""
import hashlib
import hmac
import http.client
import itertools
import json
import threading
import time
import urllib.parse

from .report import expect

CLIENT = "/_matrix/client/v3"


def quoted(text):
    return urllib.parse.quote(text, safe="")


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def errcode(self):
        try:
            return self.json.get("errcode")
        except (ValueError, AttributeError):
            return None

    def __repr__(self):
        return f"{self.status} {self.body[:400]!r}"


class Site:
    """One server's client API by its base URL. Connections are kept per thread."""

    # Called with every request and its answer, if it is set: method, path, headers, body, answer.
    witness = None

    def __init__(self, base_url, timeout=40):
        parts = urllib.parse.urlsplit(base_url)
        self.base_url, self.host, self.port, self.timeout = base_url, parts.hostname, parts.port, timeout
        self._kept = threading.local()

    def request(self, method, path, body=None, token=None, headers=None):
        """`body` is bytes as they are, or a value sent as JSON. A connection the server closed is tried once more
        only if nothing was answered on it."""
        fields = {}
        if isinstance(body, (bytes, bytearray)):
            data = bytes(body)
        elif body is None:
            data = b"" if method in ("POST", "PUT") else None
        else:
            data, fields["Content-Type"] = json.dumps(body).encode(), "application/json"
        if token:
            fields["Authorization"] = f"Bearer {token}"
        fields.update(headers or {})
        for attempt in (1, 2):
            connection = getattr(self._kept, "connection", None)
            fresh = connection is None
            if fresh:
                connection = self._kept.connection = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
            try:
                connection.request(method, path, data, fields)
                response = connection.getresponse()
                answer = Answer(response.status, response.headers, response.read())
                if response.will_close:
                    self.forget_connection()
                if Site.witness:
                    Site.witness(method, path, fields, data, answer)
                return answer
            except (http.client.HTTPException, OSError):
                self.forget_connection()
                if fresh or attempt == 2:
                    raise

    def forget_connection(self):
        connection = getattr(self._kept, "connection", None)
        if connection is not None:
            connection.close()
            self._kept.connection = None

    def call(self, method, path, body=None, token=None, prefix=CLIENT):
        """The JSON of a 200 answer; anything else fails."""
        answer = self.request(method, prefix + path, body, token)
        expect(answer.status == 200, f"{method} {path}: {answer}")
        return answer.json

    def register_by_secret(self, secret, name, password, admin=False):
        """The shared-secret registration that existing tools use."""
        nonce = self.call("GET", "/register", prefix="/_synapse/admin/v1")["nonce"]
        text = "\0".join([nonce, name, password, "admin" if admin else "notadmin"])
        mac = hmac.new(secret.encode(), text.encode(), hashlib.sha1).hexdigest()
        made = self.call("POST", "/register", {
            "nonce": nonce, "username": name, "password": password, "admin": admin, "mac": mac,
        }, prefix="/_synapse/admin/v1")
        return User(self, made, password)

    def login(self, name, password, **more):
        made = self.call("POST", "/login", {
            "type": "m.login.password", "identifier": {"type": "m.id.user", "user": name}, "password": password, **more})
        return User(self, made, password)


_transactions = itertools.count(1)


class User:
    """One device of one user."""

    def __init__(self, site, login, password):
        self.site, self.password = site, password
        self.id, self.token, self.device = login["user_id"], login["access_token"], login["device_id"]
        self.refresh_token = login.get("refresh_token")

    @property
    def localpart(self):
        return self.id[1:].split(":", 1)[0]

    @property
    def server_name(self):
        return self.id.split(":", 1)[1]

    def request(self, method, path, body=None, prefix=CLIENT, headers=None):
        return self.site.request(method, prefix + path, body, self.token, headers)

    def call(self, method, path, body=None, prefix=CLIENT):
        return self.site.call(method, path, body, self.token, prefix)

    def create_room(self, **body):
        return self.call("POST", "/createRoom", {"preset": "private_chat", **body})["room_id"]

    def invite(self, room, user):
        return self.call("POST", f"/rooms/{quoted(room)}/invite", {"user_id": user.id})

    def join(self, room, via=()):
        query = "&".join(f"via={quoted(name)}&server_name={quoted(name)}" for name in via)
        return self.call("POST", f"/join/{quoted(room)}{'?' + query if query else ''}", {})["room_id"]

    def leave(self, room):
        return self.call("POST", f"/rooms/{quoted(room)}/leave", {})

    def send(self, room, text, transaction=None):
        content = text if isinstance(text, dict) else {"msgtype": "m.text", "body": text}
        transaction = transaction or f"t{time.time_ns()}.{next(_transactions)}"
        return self.call("PUT", f"/rooms/{quoted(room)}/send/m.room.message/{quoted(transaction)}", content)["event_id"]

    def set_state(self, room, event_type, content, state_key=""):
        path = f"/rooms/{quoted(room)}/state/{quoted(event_type)}/{quoted(state_key)}"
        return self.call("PUT", path, content)["event_id"]

    def state(self, room, event_type, state_key=""):
        return self.call("GET", f"/rooms/{quoted(room)}/state/{quoted(event_type)}/{quoted(state_key)}")

    def sync(self, since=None, timeout=0, filter=None, **more):
        query = {"timeout": str(timeout), **more}
        if since:
            query["since"] = since
        if filter is not None:
            query["filter"] = filter if isinstance(filter, str) else json.dumps(filter)
        return self.call("GET", "/sync?" + urllib.parse.urlencode(query))

    def sync_until(self, holds, since=None, seconds=20, **more):
        """Syncs until `holds(answer)` is true for some answer; returns that answer."""
        deadline = time.monotonic() + seconds
        while True:
            answer = self.sync(since, timeout=1000, **more)
            if holds(answer):
                return answer
            since = answer["next_batch"]
            expect(time.monotonic() < deadline, f"{self.id} never saw it in {seconds} s; last: {json.dumps(answer)[:600]}")

    def messages(self, room, direction="b", limit=100, start=None, **more):
        query = {"dir": direction, "limit": str(limit), **more}
        if start:
            query["from"] = start
        return self.call("GET", f"/rooms/{quoted(room)}/messages?" + urllib.parse.urlencode(query))

    def all_events(self, room):
        """The room's timeline as this user sees it, oldest first, page by page."""
        found, start = [], None
        while True:
            page = self.messages(room, "b", 100, start)
            found += page["chunk"]
            start = page.get("end")
            if not start or not page["chunk"]:
                return found[::-1]

    def bodies(self, room):
        return [event["content"].get("body") for event in self.all_events(room) if event["type"] == "m.room.message"]


def timeline(answer, room):
    return answer.get("rooms", {}).get("join", {}).get(room, {}).get("timeline", {}).get("events", [])
