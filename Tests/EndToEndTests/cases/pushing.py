"""Push notifications: a gateway and a mail server on this machine, and what they are told."""
import base64
import http.server
import json
import re
import socket
import socketserver
import threading

from blackbox.matrix import Site, quoted
from blackbox.report import case, eventually, expect, expect_equal


class Gateway:
    """A push gateway. `told` has the notifications it took; `status` is what it answers."""

    def __init__(self):
        self.told, self.status, self.rejected, self.asked, self.wrong = [], 200, [], 0, []
        gateway = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                sent = self.rfile.read(int(self.headers["Content-Length"]))
                gateway.asked += 1
                # By the specification's own description, where a run has it at hand.
                operations = Site.witness.api.find("POST", self.path)[0] if Site.witness else []
                for operation in operations:
                    gateway.wrong += operation.body_complaints(sent, self.headers["Content-Type"])
                if gateway.status == 200:
                    gateway.told.append(json.loads(sent)["notification"])
                answer = json.dumps({"rejected": gateway.rejected}).encode()
                self.send_response(gateway.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}/_matrix/push/v1/notify"

    def bodies(self):
        return [one["content"].get("body") for one in self.told if "event_id" in one and "content" in one]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class MailServer:
    """As much of SMTP as it takes to be given a mail. `mails` has pairs of recipient and text."""

    def __init__(self):
        self.mails = []
        mails = self.mails

        class Handler(socketserver.StreamRequestHandler):
            timeout = 20

            def say(self, line):
                self.wfile.write(line.encode() + b"\r\n")

            def handle(self):
                recipient, self.user = None, None
                self.say("220 mail.test")
                while line := self.rfile.readline(2000).decode().strip():
                    verb = line.split()[0].upper()
                    if verb == "EHLO":
                        self.say("250-mail.test")
                        self.say("250 AUTH PLAIN")
                    elif verb == "AUTH":
                        words = line.split()
                        if len(words) == 2:
                            self.say("334 ")
                            words.append(self.rfile.readline(2000).decode().strip())
                        self.user = base64.b64decode(words[2]).split(b"\0")[1:]
                        self.say("235 ok" if self.user == [b"chat", b"geheim"] else "535 no")
                    elif verb == "RCPT":
                        recipient = re.search("<(.*)>", line)[1]
                        self.say("250 ok")
                    elif verb == "DATA":
                        self.say("354 go on")
                        text = b""
                        while (part := self.rfile.readline(2000)) not in (b".\r\n", b""):
                            text += part
                        mails.append((recipient, text.decode()))
                        self.say("250 taken")
                    elif verb == "QUIT":
                        self.say("221 bye")
                        return
                    else:
                        self.say("250 ok")

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address, daemon_threads = True, True

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def port(self):
        return self.server.server_address[1]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def set_pusher(user, url, key="key", **data):
    user.call("POST", "/pushers/set", {
        "kind": "http", "app_id": "org.app", "pushkey": key, "app_display_name": "App", "device_display_name": "Phone",
        "lang": "en", "data": {"url": url, **data}})


def decoded(mail):
    """A mail's text part."""
    part = mail.split("Content-Transfer-Encoding: base64\r\n\r\n")[1]
    return base64.b64decode(part.split("--")[0]).decode()


@case("a push gateway on a private address or without TLS is not reached, unless the operator allows it", only="fedchatd")
def private(world):
    user = world.server.user()
    gateway = Gateway()
    try:
        answer = user.request("POST", "/pushers/set", {
            "kind": "http", "app_id": "org.app", "pushkey": "key", "app_display_name": "App",
            "device_display_name": "Phone", "lang": "en", "data": {"url": gateway.url}})
        expect_equal((answer.status, answer.errcode), (400, "M_INVALID_PARAM"))
        expect_equal(user.call("GET", "/pushers"), {"pushers": []})
    finally:
        gateway.stop()


@case("messages are pushed in order, also those that a kill interrupted; counts go down when they are read", only="fedchatd")
def pushed(world):
    other = world.another(outbound={"allow_private_addresses": True})
    other.start()
    gateway = Gateway()
    try:
        alice, bob = other.user(), other.user()
        room = alice.create_room(name="Tea", preset="public_chat")
        bob.join(room)
        set_pusher(bob, gateway.url, **{"org.custom": 1})
        alice.send(room, "one")
        eventually(lambda: gateway.bodies() == ["one"], "the first is told")
        told = gateway.told[0]
        expect_equal((told["room_name"], told["counts"], told["prio"]), ("Tea", {"unread": 1}, "high"))
        expect_equal(told["devices"][0]["data"], {"org.custom": 1})
        # The gateway is down, and the server killed while it waits.
        gateway.status = 500
        asked = gateway.asked
        for text in ("two", "three"):
            last = alice.send(room, text)
        eventually(lambda: gateway.asked > asked, "the second is tried")
        other.kill()
        gateway.status = 200
        other.start()
        eventually(lambda: len(gateway.bodies()) >= 3, f"the others are told: {gateway.bodies()}", seconds=30)
        expect_equal(gateway.bodies(), ["one", "two", "three"])
        listed = bob.call("GET", "/notifications?limit=2")
        expect_equal([one["event"]["content"]["body"] for one in listed["notifications"]], ["three", "two"])
        rest = bob.call("GET", f"/notifications?limit=2&from={listed['next_token']}")
        expect_equal([one["event"]["content"]["body"] for one in rest["notifications"]], ["one"])
        bob.call("POST", f"/rooms/{quoted(room)}/receipt/m.read/{quoted(last)}", {})
        eventually(lambda: gateway.told[-1].get("counts") == {"unread": 0}, "the count goes down")
        expect("event_id" not in gateway.told[-1], f"{gateway.told[-1]}")
        gateway.rejected = ["key"]
        alice.send(room, "four")
        eventually(lambda: bob.call("GET", "/pushers") == {"pushers": []}, "a rejected pushkey is removed")
        expect_equal(gateway.wrong, [], "by the OpenAPI document of the push gateway")
    finally:
        gateway.stop()
        other.stop()


@case("what is not read is told by mail, after consent, until the reader wants no more", only="fedchatd")
def mailed(world):
    mail = MailServer()
    password = world.folder / "mail-password"
    password.write_text("geheim\n")
    other = world.another(
        email={"smtp_host": "127.0.0.1", "smtp_port": mail.port, "from": "Chat <chat@mail.test>", "username": "chat",
               "password_file": str(password), "tls": "none"},
        timeouts={"mail_delay_ms": 1500})
    other.start()
    try:
        done = other.run("doctor", "--config", other.configuration, seconds=90)
        expect("ok      mail" in done.stdout, done.stdout)
        alice, bob = other.user(), other.user()
        room = alice.create_room(name="Küche", preset="public_chat")
        bob.join(room)
        bob.call("POST", "/pushers/set", {
            "kind": "email", "app_id": "m.email", "pushkey": "bob@mail.test", "app_display_name": "Mail",
            "device_display_name": "bob@mail.test", "lang": "en", "data": {}})
        eventually(lambda: len(mail.mails) == 1, "consent is asked for")
        base = other.settings["public_base_url"]

        def follow(text):
            link = re.search(re.escape(base) + r"(\S+)", text)[1]
            expect_equal(other.site.request("POST", link).status, 200, link)

        follow(decoded(mail.mails[0][1]))
        alice.send(room, "Wo bist Du?")
        alice.send(room, ".\r\n.hidden dots")
        eventually(lambda: len(mail.mails) == 2, "a mail comes", seconds=20)
        recipient, text = mail.mails[1]
        expect_equal(recipient, "bob@mail.test")
        expect("Wo bist Du?" in decoded(text) and "Küche (2)" in decoded(text), decoded(text))
        follow(decoded(text))
        expect_equal(bob.call("GET", "/pushers"), {"pushers": []})
    finally:
        other.stop()
        mail.stop()
