"""What clients of earlier years ask for, and still may."""
from blackbox.matrix import quoted
from blackbox.report import case, expect, expect_equal
from cases.finding import asked
from cases.media import picture, upload


@case("old clients get what they ask for: initialSync, events, one event")
def old_clients(world):
    user, other = world.server.user(), world.server.user()
    room = user.create_room(name="Old", invite=[other.id])
    other.join(room)
    event = user.send(room, "before")
    whole = asked(user, "GET", "/initialSync?limit=5")
    entry = next(each for each in whole["rooms"] if each["room_id"] == room)
    expect_equal(entry["membership"], "join")
    expect(event in [each["event_id"] for each in entry["messages"]["chunk"]], "the newest messages are in it")
    one = asked(user, "GET", f"/rooms/{quoted(room)}/initialSync")
    expect_equal((one["room_id"], one["membership"]), (room, "join"))
    later = other.send(room, "after")
    found = asked(user, "GET", f"/events?from={quoted(whole['end'])}&timeout=2000")
    expect(later in [each.get("event_id") for each in found["chunk"]], f"{found}")
    found = asked(user, "GET", f"/events?from={quoted(whole['end'])}&timeout=0&room_id={quoted(room)}")
    expect(later in [each.get("event_id") for each in found["chunk"]], f"{found}")
    expect_equal(asked(user, "GET", f"/events/{quoted(event)}")["event_id"], event)


@case("files are had without a token where the operator allows it", only="fedchatd")
def old_media(world):
    with world.another(clients={"legacy_media": True}) as server:
        user = server.user()
        media, drawn = upload(user, b"words", "text/plain", "a.txt"), upload(user, picture(64, 64), "image/png")
        base = "/_matrix/media/v3"
        expect_equal(server.site.request("GET", f"{base}/download/{media}").body, b"words")
        named = server.site.request("GET", f"{base}/download/{media}/b.txt")
        expect("b.txt" in named.headers["Content-Disposition"], f"{named.headers}")
        small = server.site.request("GET", f"{base}/thumbnail/{drawn}?width=32&height=32&method=crop")
        expect(small.headers["Content-Type"].startswith("image/"), f"{small}")
        expect(user.request("GET", f"{base}/config", prefix="").json["m.upload.size"] > 0, "the size of uploads")
