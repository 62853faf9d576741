"""What a client is told when it asks for the wrong thing."""
from blackbox.matrix import CLIENT, quoted
from blackbox.report import case, expect, expect_equal


@case("an unknown path and a wrong method are told apart, both as M_UNRECOGNIZED")
def unrecognized(world):
    for path in ("/_matrix/client/v3/no/such/thing", "/_matrix/client/v99/sync", "/_matrix/nothing", "/_matrix/key/v2/nothing"):
        answer = world.site.request("GET", path)
        expect_equal((answer.status, answer.errcode), (404, "M_UNRECOGNIZED"), path)
    for method, path in (("DELETE", "/_matrix/client/versions"), ("PUT", CLIENT + "/login"), ("GET", CLIENT + "/createRoom"),
                         ("POST", CLIENT + "/account/whoami"), ("PATCH", CLIENT + "/login")):
        answer = world.site.request(method, path)
        expect_equal((answer.status, answer.errcode), (405, "M_UNRECOGNIZED"), f"{method} {path}")


@case("each error is JSON with errcode and error, and each answer may be read from any origin")
def shape(world):
    user = world.server.user()
    for answer in (world.site.request("GET", CLIENT + "/account/whoami"), world.site.request("GET", "/_matrix/client/v3/none"),
                   user.request("POST", "/createRoom", b"{"), user.request("GET", "/rooms/!none:example.org/state")):
        expect(answer.status >= 400, f"{answer}")
        expect(isinstance(answer.json["errcode"], str) and isinstance(answer.json["error"], str), f"{answer}")
        expect(answer.headers["Content-Type"].startswith("application/json"), answer.headers["Content-Type"])
        expect_equal(answer.headers["Access-Control-Allow-Origin"], "*")


@case("a preflight request is answered for every path, and does nothing else")
def preflight(world):
    for path in ("/_matrix/client/versions", CLIENT + "/login", CLIENT + "/sync", "/_matrix/media/v3/upload"):
        answer = world.site.request("OPTIONS", path, headers={
            "Origin": "https://app.example.org", "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "authorization, content-type"})
        expect(answer.status in (200, 204), f"{answer}")
        expect_equal(answer.headers["Access-Control-Allow-Origin"], "*")
        for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
            expect(method in answer.headers["Access-Control-Allow-Methods"], method)
        for name in ("x-requested-with", "content-type", "authorization"):
            expect(name in answer.headers["Access-Control-Allow-Headers"].lower(), name)


@case("what is not JSON, and JSON of the wrong shape, are told apart")
def bodies(world):
    user = world.server.user()
    room = user.create_room()
    send = f"/rooms/{quoted(room)}/send/m.room.message/"
    for number, body in enumerate((b"{", b"", b"not json", b'{"a":}', b'{"a":1} trailing', b"\xff\xfe{}", b'{"a":"\xc3"}', b"{'a':1}")):
        answer = user.request("PUT", f"{send}n{number}", body)
        expect_equal((answer.status, answer.errcode), (400, "M_NOT_JSON"), f"{body!r}")
    for number, body in enumerate((b"[]", b'"text"', b"null", b"7")):
        answer = user.request("PUT", f"{send}b{number}", body)
        expect_equal((answer.status, answer.errcode), (400, "M_BAD_JSON"), f"{body!r}")
    for body, codes in (({"name": 7}, {"M_BAD_JSON", "M_INVALID_PARAM"}), ({"invite": "someone"}, {"M_BAD_JSON", "M_INVALID_PARAM"}),
                        ({"preset": "no_such_preset"}, {"M_BAD_JSON", "M_INVALID_PARAM"})):
        if world.server.kind == "fedchatd":
            answer = user.request("POST", "/createRoom", body)
            expect(answer.status == 400 and answer.errcode in codes, f"{body}: {answer}")
    answer = user.request("POST", f"/rooms/{quoted(room)}/invite", {})
    expect(answer.status == 400 and answer.errcode in ("M_BAD_JSON", "M_MISSING_PARAM"), f"{answer}")


@case("numbers that signed JSON cannot hold are refused in events")
def numbers(world):
    user = world.server.user()
    room = user.create_room()
    for number, body in enumerate((b'{"a":1.5}', b'{"a":9007199254740992}', b'{"a":1e3}', b'{"a":[[{"b":-9007199254740992}]]}')):
        if number == 2 and world.server.kind != "fedchatd":
            continue
        answer = user.request("PUT", f"/rooms/{quoted(room)}/send/org.example.n/{number}", body)
        expect_equal((answer.status, answer.errcode), (400, "M_BAD_JSON"), f"{body!r}")
    fine = user.request("PUT", f"/rooms/{quoted(room)}/send/org.example.n/fine", b'{"a":9007199254740991,"b":-0}')
    expect_equal(fine.status, 200, f"{fine}")


@case("an event over 65536 bytes is refused, one just below is not")
def size(world):
    user = world.server.user()
    room = user.create_room()
    path = f"/rooms/{quoted(room)}/send/m.room.message/"
    answer = user.request("PUT", path + "big", {"msgtype": "m.text", "body": "x" * 65536})
    expect_equal((answer.status, answer.errcode), (413, "M_TOO_LARGE"))
    answer = user.request("PUT", path + "fits", {"msgtype": "m.text", "body": "x" * 63000})
    expect_equal(answer.status, 200, f"{answer}")
    answer = user.request("PUT", f"/rooms/{quoted(room)}/state/org.example.k/{'k' * 256}", {})
    expect(answer.status in (400, 413), f"{answer}")


@case("clients that still say r0 find what is at v3 today")
def old_paths(world):
    user = world.server.user()
    old = "/_matrix/client/r0"
    expect_equal(user.request("GET", "/account/whoami", prefix=old).json["user_id"], user.id)
    made = world.site.request("POST", old + "/login", {
        "type": "m.login.password", "identifier": {"type": "m.id.user", "user": user.localpart}, "password": user.password})
    expect_equal((made.status, made.json["user_id"]), (200, user.id))
    answer = user.request("GET", "/nonsense", prefix=old)
    expect_equal((answer.status, answer.errcode), (404, "M_UNRECOGNIZED"))
    answer = user.request("POST", "/_matrix/media/r0/upload", b"x", prefix="", headers={"Content-Type": "text/plain"})
    expect(answer.json["content_uri"].startswith("mxc://"), f"{answer}")


@case("identifiers that are none are refused, not searched for")
def identifiers(world):
    user = world.server.user()
    for method, path, body in (("POST", "/join/nonsense", {}), ("GET", "/directory/room/nonsense", None),
                               ("POST", "/createRoom", {"invite": ["nonsense"]})):
        answer = user.request(method, path, body)
        expect_equal(answer.status, 400, f"{method} {path}: {answer}")
    for path in ("/rooms/%00/state", "/rooms/!a%00b:c/state", "/profile/nonsense", "/rooms/!/messages?dir=b", "/rooms/%FF%FE/state"):
        answer = user.request("GET", path)
        expect(400 <= answer.status < 500, f"{path}: {answer}")


@case("well-known documents and health are answered without a token", only="fedchatd")
def well_known(world):
    client = world.site.request("GET", "/.well-known/matrix/client")
    expect_equal(client.json["m.homeserver"]["base_url"].rstrip("/"), world.site.base_url)
    expect_equal(world.site.request("GET", "/.well-known/matrix/server").status, 404, "where servers go, when public_base_url is http")
    expect(world.site.request("GET", "/.well-known/matrix/support").status in (200, 404), "support")
    for path in ("/health", "/ready"):
        expect_equal(world.site.request("GET", path).status, 200, path)
    metrics = world.site.request("GET", "/metrics")
    expect_equal(metrics.status, 200)
    expect("# TYPE" in metrics.body.decode(), "Prometheus text")


@case("a listener answers only its own resources", only="fedchatd")
def resources(world):
    answer = world.site.request("GET", "/_matrix/federation/v1/version")
    expect_equal((answer.status, answer.errcode), (404, "M_UNRECOGNIZED"), "federation on the clients' listener")
