#!/usr/bin/env python3
"""Media in a store that speaks as S3 does: `moto`, which checks nothing of signatures but speaks the protocol; hostile files;
previews of links from a web server of our own; the memory that large files take.

    s3_media.py [--only WORD] [--gib N] [--store s3|local] [--table] [--keep]

Installs moto into .build-peers/moto, once. `--gib` uploads and downloads a file of so many GiB and tells the server's peak
memory; `--table` prints the hostile files as a table.
"""
import contextlib
import hashlib
import http.client
import http.server
import json
import pathlib
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib

here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent / "EndToEndTests"))

from blackbox import script
from blackbox.certificates import Authority
from blackbox.matrix import quoted
from blackbox.pictures import chunk, header, png
from blackbox.processes import Process, bytes_resident, free_ports
from blackbox.report import Run, expect, expect_equal
from blackbox.servers import Fedchatd

PIECE = hashlib.sha256(b"a piece").digest() * 32768          # 1 MiB


def moto_python():
    """The Python that has moto; installs it where it is not there."""
    done = subprocess.run([here / "install", "moto"], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def gif(width, height, frames):
    """A GIF whose every frame is one clear code: tiny, and as many pixels as it says."""
    frame = b"\x21\xf9\x04\x00\x0a\x00\x00\x00" + b"\x2c" + struct.pack("<HHHH", 0, 0, width, height) + b"\x00\x02\x01\x2c\x00"
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\x00\x00\x00\x00\x00\xff\xff\xff" + frame * frames + b"\x3b"


def moving(frames):
    """A GIF that is whole: a pixel of another color in each frame."""
    def frame(number):
        color = 2 + number % 2
        return (b"\x21\xf9\x04\x00\x0a\x00\x00\x00" + b"\x2c" + struct.pack("<HHHH", number % 64, number % 64, 1, 1)
                + b"\x00\x02\x02" + bytes([0x44 | (color & 1) << 3, 0x01]) + b"\x00")
    return (b"GIF89a" + struct.pack("<HH", 64, 64) + b"\x81\x00\x00" + bytes(range(0, 240, 20)) + b"".join(map(frame, range(frames)))
            + b"\x3b")


class Web(http.server.BaseHTTPRequestHandler):
    """Pages to make previews of."""

    def do_GET(self):
        pages = {
            "/page": ("text/html; charset=utf-8", b'<title>t</title><meta property="og:title" content="A page">'
                      b'<meta property="og:image" content="/pic.png"><p>About it.</p>'),
            "/pic.png": ("image/png", png(20, 10)),
        }
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "/page")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        if self.path not in pages:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        kind, body = pages[self.path]
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class World:
    def __init__(self, folder, store):
        self.folder, self.store = folder, store
        settings = {"media": {"max_upload_bytes": 8 << 30}, "url_previews": {"enabled": True},
                    "outbound": {"allow_private_addresses": True}}
        self.moto = None
        if store == "s3":
            self.port, = free_ports(1)
            python = moto_python()
            self.moto = Process([python, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)], folder / "moto.log",
                                {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "TMPDIR": str(folder)})
            self.moto.wait_until(self.answers, 60, "moto")
            self.s3("PUT", "/files")
            settings["media"] |= {"store": "s3", "s3": {
                "endpoint": f"http://127.0.0.1:{self.port}", "bucket": "files", "access_key_id": "id",
                "secret_access_key": "secret", "path_style": True}}
        self.authority = Authority(folder / "ca")
        self.server = Fedchatd(folder / "server", self.authority, **settings)
        self.server.start()
        self.web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Web)
        threading.Thread(target=self.web.serve_forever, daemon=True).start()

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def s3(self, method, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, headers={"Authorization": "AWS4-HMAC-SHA256 Credential=id/20200101/us-east-1/s3/aws4_request"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")

    def objects(self):
        return self.s3("GET", "/files?list-type=2")[1].count("<Key>")

    def close(self):
        self.web.shutdown()
        self.server.stop()
        if self.moto:
            self.moto.kill()

    def memory(self, field="VmHWM", server=None):
        """A server's memory, MiB: at most (VmHWM) or now (VmRSS)."""
        return bytes_resident((server or self.server).process.id, field) >> 20


def connection(world):
    return http.client.HTTPConnection("127.0.0.1", world.server.client_port, timeout=900)


def upload(world, user, pieces, length, kind="application/octet-stream"):
    with_length = connection(world)
    with_length.request("POST", "/_matrix/media/v3/upload", body=pieces, headers={
        "Authorization": f"Bearer {user.token}", "Content-Type": kind, "Content-Length": str(length)})
    answer = with_length.getresponse()
    body = json.loads(answer.read())
    expect_equal(answer.status, 200, f"{body}")
    return body["content_uri"][len("mxc://"):]


def get(world, user, path, headers=None):
    asked = connection(world)
    asked.request("GET", path, headers={"Authorization": f"Bearer {user.token}", **(headers or {})})
    return asked.getresponse()


def download(world, user, media, headers=None, what="download"):
    return get(world, user, f"/_matrix/client/v1/media/{what}/{media}", headers)


def in_the_store(world):
    user = world.server.user()
    small = upload(world, user, [b"small"], 5, "text/plain")
    expect_equal(download(world, user, small).read(), b"small")
    large = upload(world, user, (PIECE for _ in range(20)), 20 << 20, "video/mp4")
    answer = download(world, user, large)
    expect_equal(answer.getheader("Content-Length"), str(20 << 20))
    expect(answer.read() == PIECE * 20, "the same bytes")
    expect_equal(download(world, user, upload(world, user, [], 0)).read(), b"")
    again = upload(world, user, (PIECE for _ in range(20)), 20 << 20)
    expect(again != large, "another name")
    if world.moto:
        expect_equal(world.objects(), 3, "equal bytes lie once")
        left = [path for path in (world.server.folder / "media").rglob("*") if path.is_file()]
        expect(not left, f"{left} on the node")


def ranges(world):
    user = world.server.user()
    media = upload(world, user, (PIECE for _ in range(12)), 12 << 20, "video/mp4")
    whole = PIECE * 12
    tag = download(world, user, media).getheader("ETag")
    for start, end in ((0, 0), (8388600, 8388620), (12582900, 12582911), (1, 9_000_000)):
        answer = download(world, user, media, {"Range": f"bytes={start}-{end}", "If-Range": tag})
        expect_equal(answer.status, 206)
        expect(answer.read() == whole[start:end + 1], f"{start}-{end}")
    expect_equal(download(world, user, media, {"Range": "bytes=12582912-"}).status, 416)
    expect_equal(download(world, user, media, {"If-None-Match": tag}).status, 304)


def thumbnails(world):
    user = world.server.user()
    media = upload(world, user, [png(640, 480)], len(png(640, 480)), "image/png")
    answer = download(world, user, f"{media}?width=96&height=96&method=crop", what="thumbnail")
    expect_equal(answer.status, 200)
    expect(answer.read().startswith(b"\x89PNG"), "a PNG")


def quarantine(world):
    user = world.server.user()
    media = upload(world, user, [b"bad"], 3)
    done = world.server.run("media", "quarantine", f"mxc://{media}", "--config", world.server.configuration)
    expect_equal((done.returncode, done.stdout), (0, "quarantined: 1\n"), done.stderr)
    expect_equal(download(world, user, media).status, 404)
    copy = upload(world, user, [b"bad"], 3)
    expect_equal(download(world, user, copy).status, 404)
    done = world.server.run("media", "list", "--quarantined", "--config", world.server.configuration)
    expect_equal(len(done.stdout.splitlines()), 2, done.stdout)
    done = world.server.run("media", "unquarantine", f"mxc://{copy}", "--config", world.server.configuration)
    expect_equal(done.returncode, 0, done.stderr)
    expect_equal(download(world, user, media).read(), b"bad")
    done = world.server.run("media", "delete", f"mxc://{media}", "--config", world.server.configuration)
    expect_equal(done.returncode, 0, done.stderr)
    expect_equal(download(world, user, media).status, 404)
    expect_equal(world.server.run("media", "delete", f"mxc://{media}", "--config", world.server.configuration).returncode, 1)


def previews(world):
    user = world.server.user()
    base = f"http://127.0.0.1:{world.web.server_port}"
    for path in ("/page", "/away"):
        answer = get(world, user, f"/_matrix/client/v1/media/preview_url?url={quoted(base + path)}")
        found = json.loads(answer.read())
        expect_equal((answer.status, found.get("og:title"), found.get("og:description")), (200, "A page", "About it."), f"{found}")
        expect_equal((found["og:image:width"], found["og:image:height"]), (20, 10))
        picture = download(world, user, found["og:image"][len("mxc://"):])
        expect_equal(picture.read(), png(20, 10))
    answer = get(world, user, f"/_matrix/media/v3/preview_url?url={quoted(base + '/none')}")
    expect_equal(answer.status, 502)


def no_private_network(world):
    world.server.stop()
    world.server.settings["outbound"] = {"allow_private_addresses": False}
    world.server.write()
    world.server.start()
    user = world.server.user()
    seen = []

    class Witness(Web):
        def do_GET(self):
            seen.append(self.path)
            super().do_GET()

    witness = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Witness)
    threading.Thread(target=witness.serve_forever, daemon=True).start()
    port = witness.server_port
    for host in ("127.0.0.1", "localhost", "[::1]", "0.0.0.0", "[::ffff:127.0.0.1]", "2130706433", "0x7f000001", "169.254.169.254"):
        for url in (f"http://{host}:{port}/page", f"http://{host}/page"):
            answer = get(world, user, f"/_matrix/client/v1/media/preview_url?url={quoted(url)}")
            expect(answer.status in (400, 403, 502), f"{url}: {answer.status}")
    witness.shutdown()
    expect_equal(seen, [])
    world.server.stop()
    world.server.settings["outbound"] = {"allow_private_addresses": True}
    world.server.write()
    world.server.start()


HOSTILE = [
    ("PNG of 50,000 x 50,000, 1 bit", "image/png", lambda: png(50000, 50000, 1, 0), 413),
    ("PNG of 8,192 x 8,192 (64 Mi pixels, the most)", "image/png", lambda: png(8192, 8192), 200),
    ("PNG whose header says 65,535 x 65,535", "image/png",
     lambda: png(1, 1).replace(struct.pack(">II", 1, 1), struct.pack(">II", 65535, 65535), 1), 413),
    ("PNG that unpacks to 1 GiB after its rows", "image/png", lambda: (
        header(16, 16) + chunk(b"IDAT", zlib.compress(b"\0" * (1 << 30), 9)) + chunk(b"IEND", b"")), None),
    ("PNG with 64 MiB of packed text", "image/png", lambda: (
        header(16, 16) + b"".join(chunk(b"zTXt", b"k\0\0" + zlib.compress(b"x" * (64 << 20), 9)) for _ in range(10))
        + chunk(b"IDAT", zlib.compress(b"\0" * 16 * 49)) + chunk(b"IEND", b"")), None),
    ("GIF of 30,000 frames of 2,000 x 2,000", "image/gif", lambda: gif(2000, 2000, 30000), None),
    ("GIF of 200 frames of 64 x 64, asked to move", "image/gif", lambda: moving(200), 200),
    ("GIF of 60,000 x 60,000", "image/gif", lambda: gif(60000, 60000, 1), 413),
    ("SVG with a script", "image/svg+xml", lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', 400),
    ("SVG that is said to be a PNG", "image/png", lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', 400),
    ("HTML", "text/html", lambda: b"<script>alert(1)</script>", 400),
    ("HTML that is said to be a PNG", "image/png", lambda: b"<script>alert(1)</script>", 400),
    ("PDF with a script", "application/pdf", lambda: b"%PDF-1.4 /JavaScript", 400),
]
TABLE = []


def hostile(world):
    user = world.server.user()
    for what, kind, make, expected in HOSTILE:
        data = make()
        media = upload(world, user, [data], len(data), kind)
        before = time.monotonic()
        answer = download(world, user, f"{media}?width=96&height=96&animated=true", what="thumbnail")
        body, seconds = answer.read(), time.monotonic() - before
        code = "" if answer.status == 200 else json.loads(body)["errcode"]
        expect(answer.status in ([expected] if expected else [200, 400, 413]), f"{what}: {answer.status} {body[:200]}")
        expect(seconds < 30, f"{what}: {seconds:.1f} s")
        given = download(world, user, media)
        given.read()
        disposition = given.getheader("Content-Disposition")
        if kind != "image/png" and kind != "image/gif":
            expect_equal(disposition, "attachment", what)
        expect_equal(given.getheader("X-Content-Type-Options"), "nosniff")
        expect(given.getheader("Content-Security-Policy").startswith("sandbox; default-src 'none'"), what)
        TABLE.append((what, len(data), f"{answer.status} {code}".strip(), seconds, disposition, kind))
    expect(world.memory() < 700, f"{world.memory()} MiB")


def large(gib):
    def run(world):
        user = world.server.user()
        before = world.memory("VmRSS")
        pieces, digest = gib * 1024, hashlib.sha256()
        began = time.monotonic()
        media = upload(world, user, (PIECE for _ in range(pieces)), pieces << 20)
        up, after_upload = time.monotonic() - began, world.memory()
        began = time.monotonic()
        answer, count = download(world, user, media), 0
        while part := answer.read(1 << 20):
            digest.update(part)
            count += len(part)
        down, after = time.monotonic() - began, world.memory()
        expected = hashlib.sha256()
        for _ in range(pieces):
            expected.update(PIECE)
        expect_equal((count, digest.hexdigest()), (pieces << 20, expected.hexdigest()))
        print(f"        {gib} GiB, store {world.store}: up {up:.1f} s, down {down:.1f} s; the server's memory before {before} MiB, "
              f"at most {after_upload} MiB after the upload, {after} MiB after the download", flush=True)
        expect(after - before < 200, f"{before} MiB became {after} MiB")
    return run


def remote(gib):
    def run(world):
        user, pieces = world.server.user(), gib * 1024
        media = upload(world, user, (PIECE for _ in range(pieces)), pieces << 20)
        with Fedchatd(world.folder / "other", world.authority, media={"max_upload_bytes": 8 << 30}) as other:
            asker = other.user()
            before, began, count = world.memory("VmRSS", other), time.monotonic(), 0
            asked = http.client.HTTPConnection("127.0.0.1", other.client_port, timeout=900)
            asked.request("GET", f"/_matrix/client/v1/media/download/{media}", headers={"Authorization": f"Bearer {asker.token}"})
            answer = asked.getresponse()
            while part := answer.read(1 << 20):
                expect(count % (1 << 20) or part[:1024] == PIECE[:1024], "the same bytes")
                count += len(part)
            after = world.memory("VmHWM", other)
            expect_equal((answer.status, count), (200, pieces << 20))
            print(f"        {gib} GiB from another server: {time.monotonic() - began:.1f} s; memory of who fetches before {before} MiB, "
                  f"at most {after} MiB; of who gives at most {world.memory()} MiB", flush=True)
            expect(after - before < 200, f"{before} MiB became {after} MiB")
    return run


def main():
    options = script.options(__doc__, "only", "keep")
    options.add_argument("--gib", type=int, default=0, help="the size of the large file; none without")
    options.add_argument("--store", choices=["s3", "local"], default="s3")
    options.add_argument("--table", action="store_true", help="print the hostile files as a table")
    options = options.parse_args()
    cases = [
        ("files lie in the store, equal ones once, none on the node", in_the_store),
        ("parts are read from the store", ranges),
        ("thumbnails are made of what lies in the store", thumbnails),
        ("what is quarantined is 404 under every name, from the command line too", quarantine),
        ("pages are previewed, with their pictures", previews),
        ("no preview reaches the own machine or network", no_private_network),
        ("hostile files harm nobody", hostile),
    ]
    if options.gib:
        cases.insert(0, (f"{options.gib} GiB come from another server in constant memory", remote(options.gib)))
        cases.insert(0, (f"{options.gib} GiB go up and down in constant memory", large(options.gib)))
    run = Run()
    with script.folder("media", options.keep) as folder:
        with contextlib.closing(World(folder, options.store)) as world:
            run.pairs(cases, world, options.only)
        if run.failed:
            print("\n".join(line for line in world.server.log_text().splitlines() if "error" in line or "warning" in line)[-4000:])
    if options.table:
        print("\n| file | bytes | thumbnail | seconds | given as |\n| --- | --- | --- | --- | --- |")
        for what, size, answer, seconds, disposition, kind in TABLE:
            print(f"| {what} | {size:,} | {answer} | {seconds:.1f} | `{kind}`, `{disposition}` |")
    return run.close()


if __name__ == "__main__":
    sys.exit(main())
