"""What clients look for: relations, threads, spaces, the directory, people, what somebody said, what they were notified of."""
import base64
import hashlib
import hmac
import time

from blackbox.matrix import CLIENT, quoted
from blackbox.report import case, eventually, expect, expect_equal

V1 = "/_matrix/client/v1"


def related(user, room, to, kind, event_type="m.room.message", **more):
    content = {"msgtype": "m.text", "body": kind, "m.relates_to": {"rel_type": kind, "event_id": to, **more}}
    path = f"/rooms/{quoted(room)}/send/{event_type}/r{time.time_ns()}"
    return user.call("PUT", path, content)["event_id"]


@case("events that relate to one are found, by kind, by type, page by page")
def relations(world):
    user = world.server.user()
    room = user.create_room()
    root = user.send(room, "root")
    replies = [related(user, room, root, "m.thread") for _ in range(5)]
    reaction = related(user, room, root, "m.annotation", "m.reaction", key="👍")
    base = f"/rooms/{quoted(room)}/relations/{quoted(root)}"
    found = user.call("GET", f"{base}?limit=10", prefix=V1)
    expect_equal([event["event_id"] for event in found["chunk"]], [reaction, *replies[::-1]])
    found = user.call("GET", f"{base}/m.annotation", prefix=V1)
    expect_equal([event["event_id"] for event in found["chunk"]], [reaction])
    found = user.call("GET", f"{base}/m.thread/m.room.message?limit=3&dir=f", prefix=V1)
    expect_equal([event["event_id"] for event in found["chunk"]], replies[:3])
    more = user.call("GET", f"{base}/m.thread/m.room.message?limit=3&dir=f&from={quoted(found['next_batch'])}", prefix=V1)
    expect_equal([event["event_id"] for event in more["chunk"]], replies[3:])
    stranger = world.server.user()
    expect(stranger.request("GET", base, prefix=V1).status in (403, 404), "who is not in the room finds nothing")


@case("the threads of a room are listed, the newest answer first, and those one took part in")
def threads(world):
    user, other = world.server.user(), world.server.user()
    room = user.create_room(invite=[other.id])
    other.join(room)
    roots = [user.send(room, f"root {number}") for number in range(3)]
    for root in roots:
        related(user, room, root, "m.thread")
    last = related(other, room, roots[0], "m.thread")
    path = f"/rooms/{quoted(room)}/threads"
    found = user.call("GET", path, prefix=V1)["chunk"]
    expect_equal([event["event_id"] for event in found], [roots[0], roots[2], roots[1]])
    bundle = found[0]["unsigned"]["m.relations"]["m.thread"]
    expect_equal((bundle["count"], bundle["latest_event"]["event_id"], bundle["current_user_participated"]), (2, last, True))
    found = other.call("GET", path + "?include=participated", prefix=V1)["chunk"]
    expect_equal([event["event_id"] for event in found], [roots[0]])
    page = user.call("GET", path + "?limit=2", prefix=V1)
    rest = user.call("GET", path + f"?limit=2&from={quoted(page['next_batch'])}", prefix=V1)
    expect_equal([event["event_id"] for event in page["chunk"] + rest["chunk"]], [roots[0], roots[2], roots[1]])


@case("a space is walked from its root, and a room is summarized for who may know")
def spaces(world):
    user, stranger = world.server.user(), world.server.user()
    space = user.create_room(preset="public_chat", name="Space", creation_content={"type": "m.space"})
    rooms = [user.create_room(preset="public_chat", name=name) for name in ("One", "Two")]
    for room, suggested in zip(rooms, (True, False)):
        user.set_state(space, "m.space.child", {"via": [world.server.name], "suggested": suggested}, room)
    found = stranger.call("GET", f"/rooms/{quoted(space)}/hierarchy", prefix=V1)["rooms"]
    expect_equal({room["room_id"] for room in found}, {space, *rooms})
    expect_equal(len(found[0]["children_state"]), 2)
    found = stranger.call("GET", f"/rooms/{quoted(space)}/hierarchy?suggested_only=true", prefix=V1)["rooms"]
    expect_equal([room["room_id"] for room in found], [space, rooms[0]])
    page = stranger.call("GET", f"/rooms/{quoted(space)}/hierarchy?limit=2", prefix=V1)
    rest = stranger.call("GET", f"/rooms/{quoted(space)}/hierarchy?limit=2&from={quoted(page['next_batch'])}", prefix=V1)
    expect_equal(len(page["rooms"] + rest["rooms"]), 3)
    summary = stranger.call("GET", f"/room_summary/{quoted(rooms[0])}", prefix=V1)
    expect_equal((summary["name"], summary["num_joined_members"], summary["join_rule"]), ("One", 1, "public"))
    hidden = user.create_room(name="Hidden")
    expect_equal(stranger.request("GET", f"/room_summary/{quoted(hidden)}", prefix=V1).status, 404)
    expect_equal(user.call("GET", f"/room_summary/{quoted(hidden)}", prefix=V1)["membership"], "join")


@case("a public room is listed, and found by a word of its name")
def public_rooms(world):
    user, other = world.server.user(), world.server.user()
    name = f"Market {user.localpart}"
    room = user.create_room(preset="public_chat", visibility="public", name=name, topic="fruit")
    found = other.call("POST", "/publicRooms", {"filter": {"generic_search_term": name}})
    expect_equal([each["room_id"] for each in found["chunk"]], [room])
    listed = found["chunk"][0]
    expect_equal((listed["num_joined_members"], listed["topic"], listed["world_readable"], listed["guest_can_join"]),
                 (1, "fruit", False, False))
    user.call("PUT", f"/directory/list/room/{quoted(room)}", {"visibility": "private"})
    found = other.call("POST", "/publicRooms", {"filter": {"generic_search_term": name}})
    expect_equal(found["chunk"], [])


@case("the directory says of each room whether it is in it, and is read in pages")
def directory(world):
    user = world.server.user()
    rooms = [user.create_room(preset="public_chat", visibility="public", name=f"Stall {number}") for number in range(5)]
    expect_equal(user.call("GET", f"/directory/list/room/{quoted(rooms[0])}"), {"visibility": "public"})
    found, since = [], ""
    for _ in range(40):
        page = user.call("GET", f"/publicRooms?limit=2{since}")
        expect(len(page["chunk"]) <= 2, "no more than asked for")
        found += [each["room_id"] for each in page["chunk"]]
        if "next_batch" not in page:
            break
        since = "&since=" + quoted(page["next_batch"])
    expect(set(rooms) <= set(found), "each public room is listed")
    expect_equal(len(found), len(set(found)), "none twice")
    stranger = world.server.user()
    expect_equal(stranger.request("PUT", f"/directory/list/room/{quoted(rooms[0])}", {"visibility": "private"}).status, 403)


@case("the room directory is open to strangers only where the operator wants it", only="fedchatd")
def open_directory(world):
    path = "/_matrix/client/v3/publicRooms"
    expect_equal(world.site.request("GET", path).errcode, "M_MISSING_TOKEN")
    with world.another(clients={"public_rooms_without_authentication": True}) as server:
        room = server.user().create_room(preset="public_chat", visibility="public")
        expect_equal([each["room_id"] for each in server.site.request("GET", path).json["chunk"]], [room])
        answer = server.site.request("GET", f"{path}?server={quoted(world.server.name)}")
        expect_equal(answer.errcode, "M_MISSING_TOKEN", "no stranger makes it ask other servers")


@case("people are found by name among those whom one may know")
def people(world):
    user, other = world.server.user(), world.server.user("zacharias")
    room = user.create_room(preset="public_chat", invite=[other.id])
    other.join(room)
    other.call("PUT", f"/profile/{quoted(other.id)}/displayname", {"displayname": "Zacharias Pumpernickel"})

    def found():
        answer = user.call("POST", "/user_directory/search", {"search_term": "pumpernickel", "limit": 5})
        return [(each["user_id"], each["display_name"]) for each in answer["results"]]

    eventually(lambda: found() == [(other.id, "Zacharias Pumpernickel")], "the directory knows the name")


@case("who shares rooms with whom is told page by page", only="fedchatd")
def mutual(world):
    user, other = world.server.user(), world.server.user()
    shared = [user.create_room(invite=[other.id]) for _ in range(3)]
    for room in shared:
        other.join(room)
    user.create_room()
    answer = user.call("GET", f"/mutual_rooms?user_id={quoted(other.id)}", prefix=V1)
    expect_equal(set(answer["joined"]), set(shared))
    expect_equal(answer["count"], 3)
    answer = user.request("GET", f"/mutual_rooms?user_id={quoted(user.id)}", prefix=V1)
    expect_equal((answer.status, answer.errcode), (400, "M_INVALID_PARAM"), "oneself is nobody to ask about")


# Synapse groups by one key.
@case("what was said is searched for by its words, in one's own rooms, with what stood around it", only="fedchatd")
def search(world):
    user, stranger = world.server.user(), world.server.user()
    room, hidden = user.create_room(name="Kitchen"), stranger.create_room()
    before = user.send(room, "what is for dinner?")
    event = user.send(room, "marzipan potatoes with gravy")
    after = user.send(room, "oh no")
    stranger.send(hidden, "my own marzipan")

    def look(**criteria):
        return user.call("POST", "/search", {"search_categories": {"room_events": {"search_term": "marzipan", **criteria}}})[
            "search_categories"]["room_events"]

    eventually(lambda: look().get("count") == 1, "the event is in the index")
    found = look(order_by="recent", event_context={"before_limit": 1, "after_limit": 1, "include_profile": True},
                 groupings={"group_by": [{"key": "room_id"}, {"key": "sender"}]}, include_state=True)
    result = found["results"][0]
    expect_equal(result["result"]["event_id"], event)
    expect_equal([each["event_id"] for each in result["context"]["events_before"] + result["context"]["events_after"]], [before, after])
    expect_equal(set(found["groups"]), {"room_id", "sender"})
    expect(room in found["state"], "the state of the room is told when it is asked for")
    expect("marzipan" in found["highlights"], f"{found['highlights']}")


@case("what somebody is notified of is listed, and what is read no longer counts")
def notifications(world):
    user, other = world.server.user(), world.server.user()
    room = user.create_room(invite=[other.id])
    other.join(room)
    event = user.send(room, {"msgtype": "m.text", "body": "hey", "m.mentions": {"user_ids": [other.id]}})

    def told(query=""):
        return other.call("GET", "/notifications" + query)["notifications"]

    eventually(lambda: event in [each["event"]["event_id"] for each in told()], "the message is among the notifications")
    entry = next(each for each in told() if each["event"]["event_id"] == event)
    expect_equal((entry["room_id"], entry["read"]), (room, False))
    expect_equal([each["event"]["event_id"] for each in told("?only=highlight&limit=5")], [event])
    other.call("POST", f"/rooms/{quoted(room)}/receipt/m.read/{quoted(event)}", {})
    eventually(lambda: all(each["read"] for each in told() if each["event"]["event_id"] == event), "it is read")


@case("a pusher is set, listed and taken away")
def pushers(world):
    user = world.server.user()
    pusher = {"pushkey": "abc", "kind": "http", "app_id": "org.example.app", "app_display_name": "App", "lang": "en",
              "device_display_name": "Phone", "data": {"url": "https://push.invalid/_matrix/push/v1/notify", "format": "event_id_only"}}
    expect_equal(user.request("POST", "/pushers/set", pusher).status, 200)
    found = user.call("GET", "/pushers")["pushers"]
    expect_equal([(each["pushkey"], each["kind"], each["data"]["format"]) for each in found], [("abc", "http", "event_id_only")])
    answer = user.request("POST", "/pushers/set", {**pusher, "data": {"url": "https://push.invalid/elsewhere"}})
    expect_equal(answer.status, 400, f"a gateway has one path: {answer}")
    user.call("POST", "/pushers/set", {"pushkey": "abc", "app_id": "org.example.app", "kind": None})
    expect_equal(user.call("GET", "/pushers"), {"pushers": []})


@case("several devices are removed at once, with the password")
def several_devices(world):
    user = world.server.user()
    others = [world.site.login(user.localpart, user.password) for _ in range(2)]
    wanted = {"devices": [each.device for each in others]}
    answer = user.request("POST", "/delete_devices", wanted)
    expect_equal(answer.status, 401, f"{answer}")
    user.call("POST", "/delete_devices", {**wanted, "auth": {
        "type": "m.login.password", "identifier": {"type": "m.id.user", "user": user.id}, "password": user.password,
        "session": answer.json["session"]}})
    expect_equal([each.request("GET", "/account/whoami").status for each in (user, *others)], [200, 401, 401])


@case("a device lets another one in with a token that serves once", only="fedchatd")
def login_token(world):
    user = world.server.user()
    answer = user.request("POST", "/login/get_token", {}, prefix=V1)
    expect_equal(answer.status, 401, f"{answer}")
    made = user.call("POST", "/login/get_token", {"auth": {
        "type": "m.login.password", "identifier": {"type": "m.id.user", "user": user.id}, "password": user.password,
        "session": answer.json["session"]}}, prefix=V1)
    expect(made["expires_in_ms"] > 0, f"{made}")
    wanted = {"type": "m.login.token", "token": made["login_token"]}
    expect_equal(world.site.call("POST", "/login", wanted)["user_id"], user.id)
    expect_equal(world.site.request("POST", f"{CLIENT}/login", wanted).status, 403, "the second time")


@case("where calls are relayed is told, with a password that holds for a while", only="fedchatd")
def relays(world):
    with world.another(turn={"uris": ["turn:turn.example.org?transport=udp"], "shared_secret": "s", "ttl_ms": 600_000}) as server:
        user = server.user()
        found = user.call("GET", "/voip/turnServer")
        expect_equal((found["uris"], found["ttl"]), (["turn:turn.example.org?transport=udp"], 600))
        until, name = found["username"].split(":", 1)
        expect(name == user.id and 0 < int(until) - time.time() <= 600, found["username"])
        mac = hmac.new(b"s", found["username"].encode(), hashlib.sha1).digest()
        expect_equal(found["password"], base64.b64encode(mac).decode())
