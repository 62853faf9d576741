"""Bytes that nobody means well with: a clear answer or a closed door, bounded memory, and the server still there."""
import http.client
import json
import socket
import ssl
import threading
import time

from blackbox.matrix import CLIENT, quoted
from blackbox.processes import bytes_resident
from blackbox.report import case, expect, expect_equal


def raw(world, data, seconds=10, shut=False):
    """Sends bytes, reads until the server closes or is silent; returns what it said."""
    with socket.create_connection((world.site.host, world.site.port), timeout=seconds) as link:
        try:
            link.sendall(data)
            if shut:
                link.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        answer = b""
        try:
            while True:
                part = link.recv(65536)
                if not part:
                    return answer
                answer += part
                if b"\r\n\r\n" in answer and b"content-length" not in answer.lower().split(b"\r\n\r\n")[0]:
                    return answer
                head, _, body = answer.partition(b"\r\n\r\n")
                for line in head.lower().split(b"\r\n"):
                    if line.startswith(b"content-length:") and len(body) >= int(line.split(b":")[1]):
                        return answer
        except (socket.timeout, ConnectionError):
            return answer


def status(answer):
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else None


def still_there(world):
    expect_equal(world.site.request("GET", "/_matrix/client/versions").status, 200, "the server answers")


@case("deeply nested JSON is refused")
def deep(world):
    user = world.server.user()
    room = user.create_room()
    for depth in (2_000, 30_000):
        for opening, closing in ((b'{"a":', b"}"), (b"[", b"]")):
            body = b'{"a":' + opening * depth + b"1" + closing * depth + b"}"
            answer = user.request("PUT", f"/rooms/{quoted(room)}/send/org.example.deep/d{depth}{closing.decode()}", body)
            expect(400 <= answer.status < 500, f"depth {depth}: {answer}")
    unclosed = user.request("POST", "/createRoom", b"[" * 60_000)
    expect_equal((unclosed.status, unclosed.errcode), (400, "M_NOT_JSON"))
    still_there(world)


@case("text that is not UTF-8, and lone surrogates, are refused")
def encodings(world):
    user = world.server.user()
    room = user.create_room()
    bad = [b'{"body":"\xc0\xaf"}', b'{"body":"\xed\xa0\x80"}', b'{"body":"\xf5\x80\x80\x80"}', b'\xef\xbb\xbf{"body":"\x80"}',
           b'{"body":"\x01"}', b'{"body":"\\x41"}', b'{"\xff":1}']
    if world.server.kind == "fedchatd":
        bad += [b'{"body":"\\ud800"}', b'{"body":"\\udc00\\ud800"}']
    for number, body in enumerate(bad):
        answer = user.request("PUT", f"/rooms/{quoted(room)}/send/org.example.u/{number}", body)
        expect(answer.status == 400, f"{body!r}: {answer}")
    fine = user.send(room, {"msgtype": "m.text", "body": "nul \0, escape \x1b, right-to-left \u202e, astral \U0001f418"})
    expect_equal(user.call("GET", f"/rooms/{quoted(room)}/event/{quoted(fine)}")["content"]["body"],
                 "nul \0, escape \x1b, right-to-left \u202e, astral \U0001f418")
    still_there(world)


@case("requests that are no HTTP end with 400 or a closed connection")
def garbage(world):
    host = f"Host: {world.site.host}\r\n".encode()
    for data in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200, b"GET\r\n\r\n", b"\0" * 1000,
                 b"GET /_matrix/client/versions HTTP/9.9\r\n" + host + b"\r\n",
                 b"G\0T / HTTP/1.1\r\n" + host + b"\r\n",
                 b"GET /_matrix/client/versions HTTP/1.1\r\n" + host + b"Bad Header: x\r\n\r\n",
                 b"POST " + CLIENT.encode() + b"/login HTTP/1.1\r\n" + host + b"Content-Length: -5\r\n\r\n{}",
                 b"POST " + CLIENT.encode() + b"/login HTTP/1.1\r\n" + host + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}",
                 b"POST " + CLIENT.encode() + b"/login HTTP/1.1\r\n" + host + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n"):
        answer = raw(world, data, 5, shut=True)
        found = status(answer)
        expect(found is None or 400 <= found < 600, f"{data[:60]!r}: {answer[:200]!r}")
    still_there(world)


@case("a request that carries both a length and chunks is not answered twice", only="fedchatd")
def smuggling(world):
    hidden = b"GET /_matrix/client/versions HTTP/1.1\r\nHost: x\r\n\r\n"
    data = (b"POST " + CLIENT.encode() + b"/login HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"0\r\n\r\n" + hidden)
    with socket.create_connection((world.site.host, world.site.port), timeout=5) as link:
        link.sendall(data)
        link.shutdown(socket.SHUT_WR)
        answer = b""
        while part := link.recv(65536):
            answer += part
    expect(answer.count(b"HTTP/1.1 ") <= 1, f"{answer[:400]!r}")


@case("headers without end or measure are refused")
def headers(world):
    start = b"GET /_matrix/client/versions HTTP/1.1\r\nHost: x\r\n"
    for data in (start + b"X-Long: " + b"a" * 2_000_000 + b"\r\n\r\n", start + b"X-Many: 1\r\n" * 100_000 + b"\r\n",
                 b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"):
        answer = raw(world, data, 20)
        found = status(answer)
        expect(found is None or 400 <= found < 500, f"{data[:40]!r}: {answer[:200]!r}")
    still_there(world)


@case("a body larger than any may be is refused before it is read")
def large(world):
    user = world.server.user()
    before = bytes_resident(world.server.process.id)
    head = (f"POST {CLIENT}/createRoom HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {user.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: 4000000000\r\n\r\n").encode()
    link = socket.create_connection((world.site.host, world.site.port), timeout=10)
    sent, answer = 0, b""
    try:
        link.sendall(head)
        for _ in range(2000):
            link.sendall(b" " * 100_000)
            sent += 100_000
    except OSError:
        pass
    try:
        link.settimeout(5)
        answer = link.recv(65536)
    except OSError:
        pass
    link.close()
    expect(status(answer) in (None, 413), f"{answer[:200]!r}")
    if world.server.kind == "fedchatd":
        grown = bytes_resident(world.server.process.id) - before
        expect(grown < 100_000_000, f"{grown} bytes more after a body of {sent}")
    still_there(world)


@case("two hundred clients that never finish their request keep nobody else out")
def slow(world):
    links = []
    try:
        for number in range(200):
            link = socket.create_connection((world.site.host, world.site.port), timeout=5)
            link.sendall(b"POST " + CLIENT.encode() + b"/login HTTP/1.1\r\nHost: x\r\n"
                         + (b"Content-Length: 100\r\n\r\n{" if number % 2 else b"X-Slow: "))
            links.append(link)
        start = time.monotonic()
        for _ in range(20):
            still_there(world)
        expect(time.monotonic() - start < 5, "others are answered at once")
    finally:
        for link in links:
            link.close()
    still_there(world)


@case("connections that break in the middle of a body or of an answer do no harm")
def broken(world):
    user = world.server.user()
    room = user.create_room()
    for number in range(50):
        link = socket.create_connection((world.site.host, world.site.port), timeout=5)
        link.sendall(f"PUT {CLIENT}/rooms/{quoted(room)}/send/m.room.message/b{number} HTTP/1.1\r\nHost: x\r\n"
                     f"Authorization: Bearer {user.token}\r\nContent-Length: 50\r\n\r\n{{\"body\":".encode())
        link.close()
        link = socket.create_connection((world.site.host, world.site.port), timeout=5)
        link.sendall(f"GET {CLIENT}/sync?timeout=20000 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {user.token}\r\n\r\n".encode())
        link.close()
    expect_equal(user.bodies(room), [])
    still_there(world)


def tls(world):
    return ssl.create_default_context(cafile=str(world.authority.certificate))


@case("TLS that breaks off, or is none, does no harm")
def truncated_tls(world):
    address = ("127.0.0.1", world.server.federation_port)
    for data in (b"", b"\x16\x03\x01", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 40, b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 5000):
        with socket.create_connection(address, timeout=5) as link:
            link.sendall(data)
    with socket.create_connection(address, timeout=5) as plain:
        secure = tls(world).wrap_socket(plain, server_hostname="localhost")
        secure.sendall(b"GET /_matrix/key/v2/server HTTP/1.1\r\nHost:")
        plain = secure.detach()
    link = http.client.HTTPSConnection("localhost", world.server.federation_port, timeout=10, context=tls(world))
    link.request("GET", "/_matrix/key/v2/server")
    answer = link.getresponse()
    expect_equal(answer.status, 200)
    expect_equal(json.loads(answer.read())["server_name"], world.server.name)
    link.close()


def federation(world, method, path, body=None, authorization=None):
    link = http.client.HTTPSConnection("localhost", world.server.federation_port, timeout=20, context=tls(world))
    fields = {"Content-Type": "application/json"}
    if authorization:
        fields["Authorization"] = authorization
    try:
        link.request(method, path, body, fields)
        answer = link.getresponse()
        return answer.status, answer.read()
    except (ConnectionError, http.client.RemoteDisconnected):
        return None, b""
    finally:
        link.close()


@case("federation without a signature, with a wrong one or for another server is refused")
def unsigned(world):
    path = "/_matrix/federation/v1/send/1"
    body = json.dumps({"origin": "localhost:1", "origin_server_ts": 1, "pdus": []})
    for authorization in (
            None, "X-Matrix", "X-Matrix origin=", "Bearer x", "X-Matrix " + "a=b," * 10_000,
            f'X-Matrix origin="localhost:1",destination="{world.server.name}",key="ed25519:1",sig="{"A" * 86}"',
            f'X-Matrix origin="{world.server.name}",destination="{world.server.name}",key="ed25519:1",sig="{"A" * 86}"',
            'X-Matrix origin="localhost:1",destination="elsewhere.example.org",key="ed25519:1",sig="AAAA"',
            'X-Matrix origin="\\"\\\\",key="ed25519:",sig="!!!!"'):
        found, answer = federation(world, "PUT", path, body, authorization)
        # An origin that cannot be reached for its keys may also be a bad gateway to some servers.
        expect(found in (400, 401, 403, 431, 502) or (found is None and len(authorization or "") > 8192), f"{authorization!r:.80}: {found} {answer[:200]!r}")
    if world.server.kind == "fedchatd":
        found, answer = federation(world, "PUT", path, body, None)
        expect_equal((found, json.loads(answer)["errcode"]), (401, "M_UNAUTHORIZED"))
    for path in ("/_matrix/federation/v1/none", "/_matrix/federation/v9/send/1"):
        found, answer = federation(world, "PUT", path, body)
        expect_equal((found, json.loads(answer)["errcode"]), (404, "M_UNRECOGNIZED"))


@case("a storm of wrong requests leaves memory bounded and the server quick")
def storm(world):
    user = world.server.user()
    before = bytes_resident(world.server.process.id)
    mistakes = [("POST", "/login", b"{"), ("GET", "/sync?since=x", None), ("PUT", "/rooms/!x/send/a/b", b"[" * 5000),
                ("GET", "/rooms/%ff/messages?dir=q&limit=-1", None), ("POST", "/keys/query", b'{"device_keys":7}'),
                ("POST", "/user/x/filter", b'{"room":{"timeline":{"limit":-99999999999999999999}}}'),
                ("GET", "/rooms/!a:b/context/$x?limit=99999999999999999999", None),
                ("PUT", f"/user/{quoted(user.id)}/account_data/{'t' * 5000}", b"{}")]
    wrong = []

    def go():
        for _ in range(10):
            for method, path, body in mistakes:
                answer = user.request(method, path, body)
                if answer.status >= 500:
                    wrong.append((method, path, repr(answer)))

    threads = [threading.Thread(target=go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if world.server.kind == "fedchatd":
        expect_equal(wrong[:3], [], "answers that blame the server")
        grown = bytes_resident(world.server.process.id) - before
        expect(grown < 100_000_000, f"{grown} bytes more")
    still_there(world)
