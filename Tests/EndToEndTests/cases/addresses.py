"""Invites to addresses, through an identity server."""
import base64
import hashlib
import http.server
import json
import ssl
import threading

from blackbox.matrix import quoted
from blackbox.report import case, expect, expect_equal

TOKEN = "a token of the identity server"


class IdentityServer:
    """Knows whose address one is, and keeps invites to others."""

    def __init__(self, authority, address, owner):
        self.stored = stored = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self, body, status=200):
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self):
                self.answer({"lookup_pepper": "salt", "algorithms": ["sha256"]})

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.headers["Authorization"] != f"Bearer {TOKEN}":
                    self.answer({"errcode": "M_UNAUTHORIZED", "error": "no"}, 401)
                elif self.path.endswith("/lookup"):
                    digest = hashlib.sha256(f"{address} email salt".encode()).digest()
                    name = base64.urlsafe_b64encode(digest).decode().rstrip("=")
                    self.answer({"mappings": {name: owner} if name in body["addresses"] else {}})
                else:
                    stored.append(body)
                    self.answer({"token": "kept", "display_name": "f...@e...", "public_keys": [
                        {"public_key": "bG9uZw", "key_validity_url": "https://id.example.org/valid"}]})

            def log_message(self, *arguments):
                pass

        certificate, key = authority.issue("identity")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.name = f"localhost:{self.server.server_address[1]}"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@case("who has an address is invited by it, and an invite to an address that nobody has is kept", only="fedchatd")
def addresses(world):
    with world.another(outbound={"allow_private_addresses": True, "verify_tls": False}) as server:
        alice, bob = server.user(), server.user()
        identity = IdentityServer(world.authority, "bob@example.org", bob.id)
        try:
            room = alice.create_room(name="Tea")

            def invite(address, token=TOKEN):
                return alice.request("POST", f"/rooms/{quoted(room)}/invite", {
                    "id_server": identity.name, "id_access_token": token, "medium": "email", "address": address})

            expect_equal(invite("bob@example.org", "another token").status, 403)
            expect_equal(invite("bob@example.org").status, 200)
            expect(room in bob.sync()["rooms"]["invite"], "bob is invited")
            expect_equal(identity.stored, [])
            expect_equal(invite("fay@example.org").status, 200)
            expect_equal([(each["address"], each["room_id"], each["sender"]) for each in identity.stored],
                         [("fay@example.org", room, alice.id)])
            kept = alice.state(room, "m.room.third_party_invite", "kept")
            expect_equal((kept["display_name"], kept["public_key"]), ("f...@e...", "bG9uZw"))
        finally:
            identity.stop()
