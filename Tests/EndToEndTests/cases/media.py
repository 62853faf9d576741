"""Media: what goes up comes down, to those who may, with headers that keep browsers safe."""
import secrets
import struct

from blackbox.matrix import quoted
from blackbox.pictures import picture
from blackbox.report import case, expect, expect_equal


def upload(user, data, kind, name=None):
    answer = user.request("POST", "/_matrix/media/v3/upload" + (f"?filename={quoted(name)}" if name else ""), data,
                          prefix="", headers={"Content-Type": kind})
    expect_equal(answer.status, 200, f"{answer}")
    uri = answer.json["content_uri"]
    expect(uri.startswith(f"mxc://{user.server_name}/"), uri)
    return uri[len("mxc://"):]


def download(user, media, what="download", query=""):
    return user.request("GET", f"/_matrix/client/v1/media/{what}/{media}{query}", prefix="")


@case("a file comes down as it went up, with its type and name, and safe headers")
def round_trip(world):
    user, other = world.server.user(), world.server.user()
    for data, kind, name in ((secrets.token_bytes(300_000), "application/pdf", "plän.pdf"), (b"", "text/plain", None)):
        media = upload(user, data, kind, name)
        got = download(other, media)
        expect_equal(got.status, 200, f"{got}")
        expect(got.body == data, "the same bytes")
        expect(got.headers["Content-Type"].startswith(kind), got.headers["Content-Type"])
        expect("sandbox" in got.headers["Content-Security-Policy"], "Content-Security-Policy")
        expect_equal(got.headers["Cross-Origin-Resource-Policy"], "cross-origin")
        expect(got.headers["Content-Disposition"], "Content-Disposition")
        if name:
            expect("pl%C3%A4n.pdf" in got.headers["Content-Disposition"], got.headers["Content-Disposition"])
    limit = user.call("GET", "/_matrix/client/v1/media/config", prefix="")["m.upload.size"]
    expect(limit >= 1_000_000, f"m.upload.size is {limit}")


@case("a page of HTML is never shown inline")
def inline(world):
    user = world.server.user()
    media = upload(user, b"<script>alert(1)</script>", "text/html", "a.html")
    expect(download(user, media).headers["Content-Disposition"].startswith("attachment"), "attachment")
    media = upload(user, picture(4, 4), "image/png", "a.png")
    expect(download(user, media).headers["Content-Disposition"].startswith("inline"), "inline")


@case("nobody downloads without a token, nor what is not there, nor by a path")
def refused(world):
    user = world.server.user()
    media = upload(user, b"x", "text/plain")
    answer = world.site.request("GET", f"/_matrix/client/v1/media/download/{media}")
    expect_equal((answer.status, answer.errcode), (401, "M_MISSING_TOKEN"))
    answer = world.site.request("GET", f"/_matrix/media/v3/download/{media}")
    if world.server.kind == "fedchatd":
        expect_equal(answer.status, 404, "the frozen endpoint does not serve new media")
    answer = download(user, f"{world.server.name}/nothing")
    expect_equal((answer.status, answer.errcode), (404, "M_NOT_FOUND"))
    for path in ("..%2F..%2Fetc%2Fpasswd", "%2e%2e/%2e%2e/fedchatd.yaml", "..", "a%00b"):
        answer = download(user, f"{world.server.name}/{path}")
        expect(answer.status in (400, 404, 405), f"{path}: {answer}")
    answer = world.site.request("POST", "/_matrix/media/v3/upload", b"x")
    expect_equal(answer.status, 401)


@case("a thumbnail is smaller than its picture and a picture itself")
def thumbnail(world):
    user = world.server.user()
    media = upload(user, picture(640, 480), "image/png")
    small = download(user, media, "thumbnail", "?width=96&height=96&method=scale")
    expect_equal(small.status, 200, f"{small}")
    expect(small.headers["Content-Type"].split(";")[0] in ("image/png", "image/jpeg", "image/webp"), small.headers["Content-Type"])
    if small.body.startswith(b"\x89PNG"):
        width, height = struct.unpack(">II", small.body[16:24])
        expect(96 <= max(width, height) < 640, f"{width} x {height}")
    media = upload(user, b"no picture at all", "image/png")
    answer = download(user, media, "thumbnail", "?width=96&height=96&method=crop")
    expect(answer.status in (400, 404, 415), f"{answer}")


@case("a file is announced first and sent later, once")
def later(world):
    user, other = world.server.user(), world.server.user()
    made = user.call("POST", "/_matrix/media/v1/create", {}, prefix="")
    media = made["content_uri"][len("mxc://"):]
    answer = download(user, media, query="?timeout_ms=100")
    expect_equal((answer.status, answer.errcode), (504, "M_NOT_YET_UPLOADED"))
    path = f"/_matrix/media/v3/upload/{media}"
    expect_equal(other.request("PUT", path, b"theirs", prefix="").status, 403)
    sent = user.request("PUT", path, b"mine", prefix="", headers={"Content-Type": "text/plain"})
    expect_equal(sent.status, 200, f"{sent}")
    again = user.request("PUT", path, b"again", prefix="")
    expect_equal((again.status, again.errcode), (409, "M_CANNOT_OVERWRITE_MEDIA"))
    expect_equal(download(other, media).body, b"mine")
    named = download(other, f"{media}/other%20name.txt")
    expect("other name.txt" in named.headers["Content-Disposition"] or "other%20name.txt" in named.headers["Content-Disposition"],
           named.headers["Content-Disposition"])


@case("a download goes on where it broke off, if it is still the same file")
def parts(world):
    user = world.server.user()
    data = secrets.token_bytes(100_000)
    media = upload(user, data, "video/mp4")
    path = f"/_matrix/client/v1/media/download/{media}"
    part = user.request("GET", path, prefix="", headers={"Range": "bytes=50000-"})
    if world.server.kind == "fedchatd":
        expect_equal(part.status, 206, f"{part}")
        expect(part.body == data[50_000:], "the second half")
        expect_equal(part.headers["Content-Range"], "bytes 50000-99999/100000")
        tag = part.headers["ETag"]
        again = user.request("GET", path, prefix="", headers={"Range": "bytes=0-9", "If-Range": tag})
        expect_equal((again.status, again.body), (206, data[:10]))
        other = user.request("GET", path, prefix="", headers={"Range": "bytes=0-9", "If-Range": '"other"'})
        expect_equal((other.status, other.body == data), (200, True))
        outside = user.request("GET", path, prefix="", headers={"Range": "bytes=100000-"})
        expect_equal((outside.status, outside.headers["Content-Range"]), (416, "bytes */100000"))


@case("an administrator withholds a file from everybody", only="fedchatd")
def withheld(world):
    user = world.server.user()
    admin = world.server.site.register_by_secret(world.server.secret, "media-admin", "correct horse", admin=True)
    media = upload(user, b"to be withheld " + secrets.token_bytes(8), "text/plain")
    path = f"/_fedchat/admin/v1/media/{media}/quarantine"
    expect_equal(user.request("PUT", path, {}, prefix="").errcode, "M_FORBIDDEN")
    expect_equal(admin.call("PUT", path, {}, prefix="")["count"], 1)
    for what in ("download", "thumbnail"):
        answer = download(user, media, what, "?width=32&height=32")
        expect_equal((answer.status, answer.errcode), (404, "M_NOT_FOUND"))
    answer = user.request("GET", f"/_matrix/media/v3/download/{media}/a.txt", prefix="")
    expect_equal((answer.status, answer.errcode), (404, "M_NOT_FOUND"))
    expect_equal(admin.call("DELETE", path, prefix="")["count"], 1)
    expect_equal(download(user, media).status, 200)


@case("links are previewed only where the operator wants it", only="fedchatd")
def previews(world):
    user = world.server.user()
    for path in ("/_matrix/client/v1/media/preview_url", "/_matrix/media/v3/preview_url"):
        answer = user.request("GET", path + "?url=https%3A%2F%2Fmatrix.org", prefix="")
        expect_equal((answer.status, answer.errcode), (404, "M_UNRECOGNIZED"))
