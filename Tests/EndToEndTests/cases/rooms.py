"""Rooms: creation, membership, messages, state, history."""
from blackbox.matrix import quoted
from blackbox.report import case, expect, expect_equal


def membership(user, room, of):
    return user.state(room, "m.room.member", of.id)["membership"]


def act(user, room, what, on, **more):
    return user.request("POST", f"/rooms/{quoted(room)}/{what}", {"user_id": on.id, **more})


@case("each preset sets the rules of its room")
def presets(world):
    user = world.server.user()
    wanted = {"private_chat": ("invite", "shared", "can_join"), "trusted_private_chat": ("invite", "shared", "can_join"),
              "public_chat": ("public", "shared", "forbidden")}
    for preset, rules in wanted.items():
        room = user.create_room(preset=preset, name="A name", topic="A topic")
        guests = user.request("GET", f"/rooms/{quoted(room)}/state/m.room.guest_access/")
        found = (user.state(room, "m.room.join_rules")["join_rule"],
                 user.state(room, "m.room.history_visibility")["history_visibility"],
                 guests.json.get("guest_access", "forbidden"))
        expect_equal(found, rules, preset)
        expect_equal(user.state(room, "m.room.name")["name"], "A name")
        expect_equal(user.state(room, "m.room.topic")["topic"], "A topic")


@case("rooms of every version are made, talked in and read back")
def room_versions(world):
    user, other = world.server.user(), world.server.user()
    for version in map(str, range(1, 13)):
        room = user.create_room(room_version=version, invite=[other.id])
        expect_equal(":" in room, version != "12", f"the id {room} of version {version}")
        expect_equal(user.state(room, "m.room.create").get("room_version", "1"), version)
        other.join(room)
        event = other.send(room, f"hello in {version}")
        expect_equal(":" in event, version in ("1", "2"), f"the id {event} of version {version}")
        expect_equal(user.bodies(room), [f"hello in {version}"])
        redaction = other.call("PUT", f"/rooms/{quoted(room)}/redact/{quoted(event)}/r{version}", {})["event_id"]
        gone = user.call("GET", f"/rooms/{quoted(room)}/event/{quoted(event)}")
        expect_equal(gone["content"], {}, f"redacted in version {version}")
        expect_equal(gone["unsigned"]["redacted_because"]["event_id"], redaction)
    answer = user.request("POST", "/createRoom", {"room_version": "no such version"})
    expect_equal((answer.status, answer.errcode), (400, "M_UNSUPPORTED_ROOM_VERSION"))


@case("createRoom takes initial state, power levels and a creation content")
def creation(world):
    user, other = world.server.user(), world.server.user()
    room = user.create_room(
        initial_state=[{"type": "org.example.colour", "state_key": "door", "content": {"is": "green"}}],
        creation_content={"type": "m.space"}, power_level_content_override={"events_default": 10}, invite=[other.id])
    expect_equal(user.state(room, "org.example.colour", "door"), {"is": "green"})
    expect_equal(user.state(room, "m.room.create")["type"], "m.space")
    expect_equal(user.state(room, "m.room.power_levels")["events_default"], 10)
    other.join(room)
    answer = other.request("PUT", f"/rooms/{quoted(room)}/send/m.room.message/1", {"msgtype": "m.text", "body": "no"})
    expect_equal((answer.status, answer.errcode), (403, "M_FORBIDDEN"))


@case("a trusted room's invited users are creators too, in version 12", only="fedchatd")
def trusted(world):
    user, other = world.server.user(), world.server.user()
    room = user.create_room(preset="trusted_private_chat", invite=[other.id])
    expect_equal(user.state(room, "m.room.create")["additional_creators"], [other.id])
    expect(user.state(room, "m.room.power_levels")["events"]["m.room.tombstone"] > 50, "the level of a tombstone")


@case("people are invited, join, leave, are kicked, banned and let in again")
def members(world):
    user, other, third = (world.server.user() for _ in range(3))
    room = user.create_room()
    expect_equal(other.request("POST", f"/join/{quoted(room)}", {}).status, 403, "not without an invite")
    user.invite(room, other)
    expect_equal(membership(user, room, other), "invite")
    other.join(room)
    expect_equal(membership(user, room, other), "join")
    other.leave(room)
    expect_equal(membership(user, room, other), "leave")
    user.invite(room, other)
    other.join(room)
    expect_equal(act(other, room, "kick", user).status, 403, "a member cannot kick its maker")
    expect_equal(act(user, room, "kick", other, reason="noise").status, 200)
    expect_equal(user.state(room, "m.room.member", other.id)["reason"], "noise")
    expect_equal(act(user, room, "ban", other).status, 200)
    expect_equal(act(user, room, "invite", other).status, 403, "a banned user is not invited")
    expect_equal(other.request("POST", f"/join/{quoted(room)}", {}).status, 403)
    expect_equal(act(user, room, "unban", other).status, 200)
    user.invite(room, other)
    other.join(room)
    user.invite(room, third)
    found = user.call("GET", f"/rooms/{quoted(room)}/members")["chunk"]
    expect_equal({event["state_key"]: event["content"]["membership"] for event in found},
                 {user.id: "join", other.id: "join", third.id: "invite"})
    invited = user.call("GET", f"/rooms/{quoted(room)}/members?membership=invite")["chunk"]
    expect_equal([event["state_key"] for event in invited], [third.id])
    expect_equal(sorted(user.call("GET", f"/rooms/{quoted(room)}/joined_members")["joined"]), sorted([user.id, other.id]))
    expect_equal(other.call("GET", "/joined_rooms")["joined_rooms"], [room])


@case("a room that was left can be forgotten, one that was not cannot")
def forget(world):
    user, other = world.server.user(), world.server.user()
    room = user.create_room(invite=[other.id])
    other.join(room)
    answer = other.request("POST", f"/rooms/{quoted(room)}/forget", {})
    expect_equal(answer.status, 400, f"{answer}")
    other.leave(room)
    other.call("POST", f"/rooms/{quoted(room)}/forget", {})
    answer = other.request("GET", f"/rooms/{quoted(room)}/messages?dir=b")
    expect_equal(answer.status, 403, f"{answer}")


@case("who is not in a room can neither read nor write it")
def strangers(world):
    user, stranger = world.server.user(), world.server.user()
    room = user.create_room()
    event = user.send(room, "among us")
    for method, path, body in (
        ("PUT", "/send/m.room.message/1", {"msgtype": "m.text", "body": "hi"}), ("GET", "/messages?dir=b", None),
        ("GET", "/state", None), ("GET", "/members", None), ("GET", "/joined_members", None),
        ("PUT", "/state/m.room.topic/", {"topic": "mine"}), ("POST", "/invite", {"user_id": stranger.id}),
        ("PUT", f"/typing/{quoted(stranger.id)}", {"typing": True, "timeout": 1000}),
    ):
        answer = stranger.request(method, f"/rooms/{quoted(room)}{path}", body)
        expect_equal((answer.status, answer.errcode), (403, "M_FORBIDDEN"), f"{method} {path}")
    answer = stranger.request("GET", f"/rooms/{quoted(room)}/event/{quoted(event)}")
    expect(answer.status in (403, 404), f"{answer}")


@case("a transaction id gives the same event again, and belongs to one device")
def transactions(world):
    user = world.server.user()
    other = world.site.login(user.localpart, user.password)
    room = user.create_room()
    first = user.send(room, "once", transaction="t1")
    expect_equal(user.send(room, "once", transaction="t1"), first)
    expect(user.send(room, "twice", transaction="t2") != first, "another id, another event")
    expect(other.send(room, "other device", transaction="t1") != first, "another device, another event")
    expect_equal(user.bodies(room), ["once", "twice", "other device"])


@case("state is set and read, by type and key, in both forms")
def state(world):
    user = world.server.user()
    room = user.create_room()
    path = f"/rooms/{quoted(room)}/state/org.example.light"
    event = user.set_state(room, "org.example.light", {"on": True}, "hall/left")
    expect_equal(user.state(room, "org.example.light", "hall/left"), {"on": True})
    answer = user.request("GET", path + "/")
    expect_equal((answer.status, answer.errcode), (404, "M_NOT_FOUND"))
    whole = user.call("GET", f"{path}/{quoted('hall/left')}?format=event")
    expect_equal((whole["event_id"], whole["state_key"], whole["sender"]), (event, "hall/left", user.id))
    expect_equal(user.set_state(room, "org.example.light", {"on": True}, "hall/left"), event,
                 "the same state again is the same event")
    for key in ("", user.id):
        user.set_state(room, "org.example.light", {"key": key}, key)
    keys = {each["state_key"] for each in user.call("GET", f"/rooms/{quoted(room)}/state")
            if each["type"] == "org.example.light"}
    expect_equal(keys, {"", "hall/left", user.id})
    expect_equal(user.request("PUT", f"{path}/{quoted('@other:example.org')}", {}).status, 403, "another's key")


@case("history is read in pages, backwards and forwards, without gap or repeat")
def pages(world):
    user = world.server.user()
    room = user.create_room()
    sent = [user.send(room, f"message {number}") for number in range(25)]
    found, start = [], None
    while True:
        page = user.messages(room, "b", 10, start)
        expect(len(page["chunk"]) <= 10, "no more than asked for")
        found += [event["event_id"] for event in page["chunk"] if event["type"] == "m.room.message"]
        start = page.get("end")
        if not start or not page["chunk"]:
            break
    expect_equal(found, sent[::-1])
    found, start = [], None
    for _ in range(20):
        page = user.messages(room, "f", 10, start)
        found += [event["event_id"] for event in page["chunk"] if event["type"] == "m.room.message"]
        start = page.get("end")
        if not start or not page["chunk"]:
            break
    expect_equal(found, sent)
    only = user.messages(room, "b", 100, filter='{"types":["m.room.name"]}')
    expect_equal([event for event in only["chunk"] if event["type"] != "m.room.name"], [])


@case("an event is read alone and with what surrounds it")
def context(world):
    user = world.server.user()
    room = user.create_room()
    sent = [user.send(room, f"message {number}") for number in range(11)]
    one = user.call("GET", f"/rooms/{quoted(room)}/event/{quoted(sent[5])}")
    expect_equal((one["event_id"], one["content"]["body"], one["room_id"]), (sent[5], "message 5", room))
    around = user.call("GET", f"/rooms/{quoted(room)}/context/{quoted(sent[5])}?limit=4")
    expect_equal(around["event"]["event_id"], sent[5])
    expect_equal([event["event_id"] for event in around["events_before"]], [sent[4], sent[3]])
    expect_equal([event["event_id"] for event in around["events_after"]], [sent[6], sent[7]])
    page = user.messages(room, "b", 2, around["start"])
    expect_equal([event["event_id"] for event in page["chunk"]], [sent[2], sent[1]])
    answer = user.request("GET", f"/rooms/{quoted(room)}/event/{quoted('$nothing')}")
    expect_equal((answer.status, answer.errcode), (404, "M_NOT_FOUND"))


@case("an event is redacted by its sender or a moderator, and by nobody else")
def redaction(world):
    user, other, third = (world.server.user() for _ in range(3))
    room = user.create_room(invite=[other.id, third.id])
    other.join(room)
    third.join(room)
    event = other.send(room, "regret")
    path = f"/rooms/{quoted(room)}/redact/{quoted(event)}"
    expect_equal(third.request("PUT", path + "/1", {}).status, 403)
    first = user.call("PUT", path + "/1", {"reason": "asked to"})["event_id"]
    expect_equal(user.call("PUT", path + "/1", {"reason": "asked to"})["event_id"], first, "the same transaction again")
    gone = other.call("GET", f"/rooms/{quoted(room)}/event/{quoted(event)}")
    expect_equal(gone["content"], {})
    expect_equal(gone["unsigned"]["redacted_because"]["content"]["reason"], "asked to")


@case("an alias is made, found, joined by, and taken away")
def aliases(world):
    user, other = world.server.user(), world.server.user()
    alias = f"#square.{user.localpart}:{world.server.name}"
    room = user.create_room(preset="public_chat")
    path = f"/directory/room/{quoted(alias)}"
    expect_equal(other.request("GET", path).status, 404)
    user.call("PUT", path, {"room_id": room})
    expect_equal(user.request("PUT", path, {"room_id": room}).status, 409, "made twice")
    found = world.site.call("GET", path)
    expect_equal((found["room_id"], found["servers"]), (room, [world.server.name]))
    expect_equal(other.join(alias), room)
    expect_equal(user.call("GET", f"/rooms/{quoted(room)}/aliases")["aliases"], [alias])
    expect_equal(other.request("DELETE", path).status, 403)
    user.call("DELETE", path)
    expect_equal(other.request("GET", path).status, 404)


@case("what a room's history shows to newcomers follows its visibility")
def visibility(world):
    user = world.server.user()
    for rule, wanted in (("shared", ["before", "invited", "after"]), ("invited", ["invited", "after"]), ("joined", ["after"])):
        other = world.server.user()
        room = user.create_room(initial_state=[
            {"type": "m.room.history_visibility", "state_key": "", "content": {"history_visibility": rule}}])
        user.send(room, "before")
        user.invite(room, other)
        user.send(room, "invited")
        other.join(room)
        user.send(room, "after")
        expect_equal(other.bodies(room), wanted, rule)
        other.leave(room)
        user.send(room, "behind their back")
        expect("behind their back" not in other.bodies(room), f"{rule}: read after leaving")


@case("thirty sends at once to one room all arrive, once each")
def parallel(world):
    from concurrent.futures import ThreadPoolExecutor
    user = world.server.user()
    room = user.create_room()
    with ThreadPoolExecutor(10) as threads:
        events = list(threads.map(lambda number: user.send(room, f"m{number}"), range(30)))
    expect_equal(len(set(events)), 30)
    expect_equal(sorted(user.bodies(room)), sorted(f"m{number}" for number in range(30)))


@case("a room is joined by its id and by the other path, and joining twice changes nothing")
def join_by_id(world):
    user, other = world.server.user(), world.server.user()
    room = user.create_room(preset="public_chat")
    expect_equal(other.call("POST", f"/rooms/{quoted(room)}/join", {"reason": "curious"})["room_id"], room)
    event = user.state(room, "m.room.member", other.id)
    expect_equal((event["membership"], event["reason"]), ("join", "curious"))
    before = len(user.all_events(room))
    expect_equal(other.join(room), room)
    if world.server.kind == "fedchatd":
        expect_equal(len(user.all_events(room)), before, "joining twice makes no second event")


@case("a knock is seen by the members, and answered by an invite or taken back")
def knocking(world):
    user, other = world.server.user(), world.server.user()
    room = user.create_room(initial_state=[{"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": "knock"}}])
    expect_equal(other.request("POST", f"/join/{quoted(room)}", {}).status, 403)
    expect_equal(other.call("POST", f"/knock/{quoted(room)}", {"reason": "please"})["room_id"], room)
    expect_equal(membership(user, room, other), "knock")
    answer = other.sync_until(lambda answer: room in answer.get("rooms", {}).get("knock", {}))
    kinds = {event["type"] for event in answer["rooms"]["knock"][room]["knock_state"]["events"]}
    expect("m.room.join_rules" in kinds, f"{kinds}")
    other.leave(room)
    expect_equal(membership(user, room, other), "leave")
    other.call("POST", f"/knock/{quoted(room)}", {})
    user.invite(room, other)
    other.join(room)
    closed = user.create_room()
    expect_equal(other.request("POST", f"/knock/{quoted(closed)}", {}).status, 403)


@case("a restricted room is joined by the members of another, and by nobody else")
def restricted(world):
    user, member, stranger = (world.server.user() for _ in range(3))
    club = user.create_room(invite=[member.id])
    member.join(club)
    for version in ("8", "9", "10", "11", "12"):
        room = user.create_room(room_version=version, initial_state=[{
            "type": "m.room.join_rules", "state_key": "",
            "content": {"join_rule": "restricted", "allow": [{"type": "m.room_membership", "room_id": club}]}}])
        expect_equal(stranger.request("POST", f"/join/{quoted(room)}", {}).status, 403, f"a stranger, version {version}")
        member.join(room)
        expect_equal(user.state(room, "m.room.member", member.id).get("join_authorised_via_users_server"), user.id, version)
        member.send(room, "let in")


@case("a room is replaced by one of another version, and each points to the other")
def upgrade(world):
    user, other = world.server.user(), world.server.user()
    room = user.create_room(room_version="10", name="Moving", preset="public_chat", invite=[other.id])
    alias = f"#moving.{user.localpart}:{world.server.name}"
    user.call("PUT", f"/directory/room/{quoted(alias)}", {"room_id": room})
    other.join(room)
    path = f"/rooms/{quoted(room)}/upgrade"
    expect_equal(other.request("POST", path, {"new_version": "11"}).status, 403)
    answer = user.request("POST", path, {"new_version": "nonsense"})
    expect_equal((answer.status, answer.errcode), (400, "M_UNSUPPORTED_ROOM_VERSION"))
    new = user.call("POST", path, {"new_version": "11"})["replacement_room"]
    expect_equal(user.state(room, "m.room.tombstone")["replacement_room"], new)
    create = user.state(new, "m.room.create")
    expect_equal((create["room_version"], create["predecessor"]["room_id"]), ("11", room))
    expect_equal(user.state(new, "m.room.name")["name"], "Moving")
    expect_equal(world.site.call("GET", f"/directory/room/{quoted(alias)}")["room_id"], new)
    answer = other.request("PUT", f"/rooms/{quoted(room)}/send/m.room.message/1", {"msgtype": "m.text", "body": "stay"})
    expect_equal(answer.status, 403, "the old room is closed to members")
    newest = user.call("POST", f"/rooms/{quoted(new)}/upgrade", {"new_version": "12"})["replacement_room"]
    expect_equal(user.state(newest, "m.room.create")["predecessor"]["room_id"], new)
    user.send(newest, "moved twice")
    other.join(newest)


@case("the event nearest to a time is found, before and after it")
def by_time(world):
    import time
    user = world.server.user()
    room = user.create_room()
    first = user.send(room, "early")
    time.sleep(0.05)
    middle = int(time.time() * 1000)
    time.sleep(0.05)
    second = user.send(room, "late")
    path = f"/rooms/{quoted(room)}/timestamp_to_event?ts={middle}&dir="
    expect_equal(user.call("GET", path + "b", prefix="/_matrix/client/v1")["event_id"], first)
    expect_equal(user.call("GET", path + "f", prefix="/_matrix/client/v1")["event_id"], second)
    answer = user.request("GET", f"/rooms/{quoted(room)}/timestamp_to_event?ts={middle + 9_000_000}&dir=f", prefix="/_matrix/client/v1")
    expect_equal((answer.status, answer.errcode), (404, "M_NOT_FOUND"))
    expect_equal(user.request("GET", path + "x", prefix="/_matrix/client/v1").status, 400)


@case("who is ignored is not heard, nor who invites")
def ignored(world):
    user, nuisance = world.server.user(), world.server.user()
    room = user.create_room(invite=[nuisance.id])
    nuisance.join(room)
    user.call("PUT", f"/user/{quoted(user.id)}/account_data/m.ignored_user_list", {"ignored_users": {nuisance.id: {}}})
    since = user.sync()["next_batch"]
    nuisance.send(room, "listen to me")
    nuisance.create_room(invite=[user.id])
    user.send(room, "peace")
    answer = user.sync(since)
    expect("listen to me" not in str(answer), "an ignored user is not heard")
    expect_equal(answer.get("rooms", {}).get("invite", {}), {}, "an ignored user's invite is not shown")
