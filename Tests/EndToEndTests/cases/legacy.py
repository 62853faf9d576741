"""What clients of earlier years ask for, and still may."""
from blackbox.matrix import quoted
from blackbox.pictures import picture
from blackbox.report import case, expect, expect_equal
from cases.media import upload


@case("old clients get what they ask for: initialSync, events, one event")
def old_clients(world):
    user, other = world.server.user(), world.server.user()
    room = user.create_room(name="Old", invite=[other.id])
    other.join(room)
    event = user.send(room, "before")
    whole = user.call("GET", "/initialSync?limit=5")
    entry = next(each for each in whole["rooms"] if each["room_id"] == room)
    expect_equal(entry["membership"], "join")
    expect(event in [each["event_id"] for each in entry["messages"]["chunk"]], "the newest messages are in it")
    one = user.call("GET", f"/rooms/{quoted(room)}/initialSync")
    expect_equal((one["room_id"], one["membership"]), (room, "join"))
    later = other.send(room, "after")
    found = user.call("GET", f"/events?from={quoted(whole['end'])}&timeout=2000")
    expect(later in [each.get("event_id") for each in found["chunk"]], f"{found}")
    found = user.call("GET", f"/events?from={quoted(whole['end'])}&timeout=0&room_id={quoted(room)}")
    expect(later in [each.get("event_id") for each in found["chunk"]], f"{found}")
    expect_equal(user.call("GET", f"/events/{quoted(event)}")["event_id"], event)


@case("the old ways to sync show the rooms, and an event stream that goes on from there")
def old_syncing(world):
    user, stranger = world.server.user(), world.server.user()
    room = user.create_room(name="Old", initial_state=[
        {"type": "m.room.history_visibility", "state_key": "", "content": {"history_visibility": "world_readable"}}])
    user.send(room, "one")
    answer = user.call("GET", "/initialSync?limit=1")
    found = [each for each in answer["rooms"] if each["room_id"] == room][0]
    expect_equal([each["content"].get("body") for each in found["messages"]["chunk"]], ["one"])
    expect(any(each["type"] == "m.room.create" for each in found["state"]), "the state is there")
    event = user.send(room, "two")
    page = user.call("GET", f"/events?from={quoted(answer['end'])}&timeout=1000")
    expect(event in [each.get("event_id") for each in page["chunk"]], "the stream has it")
    peek = stranger.call("GET", f"/rooms/{quoted(room)}/initialSync?limit=1")
    expect_equal([each["content"].get("body") for each in peek["messages"]["chunk"]], ["two"])
    event = user.send(room, "three")
    page = stranger.call("GET", f"/events?room_id={quoted(room)}&from={quoted(peek['messages']['end'])}&timeout=1000")
    expect(event in [each.get("event_id") for each in page["chunk"]], "and who is not in the room follows it")


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
