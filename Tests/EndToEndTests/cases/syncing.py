"""/sync: what a client sees, when, and that nothing is missing between two answers."""
import threading
import time

from blackbox.matrix import quoted, timeline
from blackbox.report import case, expect, expect_equal


def section(answer, kind, room):
    return answer.get("rooms", {}).get(kind, {}).get(room)


def ephemeral(answer, room):
    return (section(answer, "join", room) or {}).get("ephemeral", {}).get("events", [])


@case("an initial sync shows the rooms, an incremental one only what is new")
def initial(world):
    user = world.server.user()
    first, second = user.create_room(name="One"), user.create_room(name="Two")
    user.send(first, "hello")
    answer = user.sync()
    expect_equal(set(answer["rooms"]["join"]), {first, second})
    expect_equal([event["content"]["body"] for event in timeline(answer, first) if event["type"] == "m.room.message"], ["hello"])
    again = user.sync(answer["next_batch"])
    expect_equal(again.get("rooms", {}).get("join", {}), {}, "nothing is new")
    event = user.send(second, "news")
    third = user.sync(again["next_batch"])
    expect_equal(set(third["rooms"]["join"]), {second})
    expect_equal([each["event_id"] for each in timeline(third, second)], [event])


@case("state and timeline of a first sync together are the room's state")
def complete_state(world):
    user = world.server.user()
    room = user.create_room(name="Old name", topic="T")
    for number in range(30):
        user.send(room, f"filler {number}")
    user.set_state(room, "m.room.name", {"name": "New name"})
    answer = user.sync(filter={"room": {"timeline": {"limit": 5}}})
    joined = answer["rooms"]["join"][room]
    expect_equal(len(joined["timeline"]["events"]), 5)
    expect_equal(joined["timeline"]["limited"], True)
    seen = {}
    for event in joined["state"]["events"] + joined["timeline"]["events"]:
        if "state_key" in event:
            seen[(event["type"], event["state_key"])] = event["event_id"]
    whole = {(event["type"], event["state_key"]): event["event_id"]
             for event in user.call("GET", f"/rooms/{quoted(room)}/state")}
    expect_equal(seen, whole)


@case("a gap is filled from its prev_batch, without hole or repeat")
def gap(world):
    user = world.server.user()
    room = user.create_room()
    since = user.sync()["next_batch"]
    sent = [user.send(room, f"message {number}") for number in range(40)]
    answer = user.sync(since, filter={"room": {"timeline": {"limit": 10}}})
    got = timeline(answer, room)
    joined = answer["rooms"]["join"][room]
    expect_equal(joined["timeline"]["limited"], True)
    expect_equal([event["event_id"] for event in got], sent[-10:])
    before, start = [], joined["timeline"]["prev_batch"]
    while len(before) < 30:
        page = user.messages(room, "b", 12, start)
        expect(page["chunk"], "the gap is filled")
        before += [event["event_id"] for event in page["chunk"]]
        start = page.get("end")
        expect(start or len(before) >= 30, "the gap is filled")
    expect_equal(before[:30], sent[:30][::-1])


@case("a waiting sync is woken by a message, and otherwise answers at its timeout")
def long_poll(world):
    user, other = world.server.user(), world.server.user()
    room = user.create_room(invite=[other.id])
    other.join(room)
    since = other.sync()["next_batch"]
    start = time.monotonic()
    answer = other.sync(since, timeout=700)
    quiet = time.monotonic() - start
    expect(timeline(answer, room) == [] and 0.5 < quiet < 5, f"waited {quiet:.2f} s: {answer}")
    timer = threading.Timer(0.5, lambda: user.send(room, "wake up"))
    timer.start()
    start = time.monotonic()
    answer = other.sync(answer["next_batch"], timeout=20000)
    timer.join()
    if not timeline(answer, room):        # something else, such as a receipt, may wake it first
        answer = other.sync(answer["next_batch"], timeout=20000)
    expect(time.monotonic() - start < 5, "woken at once")
    expect_equal([event["content"]["body"] for event in timeline(answer, room)], ["wake up"])


@case("the same token twice gives the same timeline")
def repeatable(world):
    user = world.server.user()
    room = user.create_room()
    since = user.sync()["next_batch"]
    event = user.send(room, "once")
    for _ in range(2):
        expect_equal([each["event_id"] for each in timeline(user.sync(since), room)], [event])


@case("an invite shows stripped state with the create event, a leave moves the room")
def sections(world):
    user, other = world.server.user(), world.server.user()
    since = other.sync()["next_batch"]
    room = user.create_room(name="Party", invite=[other.id])
    answer = other.sync_until(lambda answer: section(answer, "invite", room), since)
    state = section(answer, "invite", room)["invite_state"]["events"]
    kinds = {event["type"] for event in state}
    wanted = {"m.room.member", "m.room.join_rules", "m.room.name"}
    if world.server.kind == "fedchatd":
        wanted.add("m.room.create")
        expect_equal([set(event) - {"type", "state_key", "content", "sender"} for event in state], [set()] * len(state))
    expect(wanted <= kinds, f"invite state: {kinds}")
    other.join(room)
    answer = other.sync_until(lambda answer: section(answer, "join", room), answer["next_batch"])
    expect_equal(section(answer, "invite", room), None)
    other.leave(room)
    answer = other.sync_until(lambda answer: section(answer, "leave", room), answer["next_batch"])
    expect_equal(section(answer, "join", room), None)
    user.send(room, "after you left")
    expect("after you left" not in str(other.sync(answer["next_batch"])), "a room that was left is quiet")


@case("a newly joined room comes with its state and history")
def newly_joined(world):
    user, other = world.server.user(), world.server.user()
    room = user.create_room(name="Library", invite=[other.id])
    user.send(room, "long ago")
    since = other.sync()["next_batch"]
    other.join(room)
    joined = other.sync_until(lambda answer: section(answer, "join", room), since)["rooms"]["join"][room]
    everything = joined["state"]["events"] + joined["timeline"]["events"]
    expect("m.room.create" in {event["type"] for event in everything}, "the state comes along")
    expect("long ago" in str(joined["timeline"]["events"]), "the history comes along")


@case("lazily loaded members are those who speak, and those whom a nameless room is called after")
def lazy(world):
    user, other, third = (world.server.user() for _ in range(3))
    lazily = {"room": {"timeline": {"limit": 5}, "state": {"lazy_load_members": True}}}
    for name in ("Hall", None):
        room = user.create_room(invite=[other.id, third.id], **({"name": name} if name else {}))
        other.join(room)
        third.join(room)
        for number in range(12):
            other.send(room, f"{number}")
        joined = user.sync(filter=lazily)["rooms"]["join"][room]
        members = {event["state_key"] for event in joined["state"]["events"] if event["type"] == "m.room.member"}
        expect(other.id in members, f"the speaker is not among {members}")
        expect_equal(third.id in members, name is None, f"the silent one, in a room named {name}")
        expect_equal(joined["summary"]["m.joined_member_count"], 3)
        if not name:
            expect_equal(set(joined["summary"]["m.heroes"]), {other.id, third.id})


@case("the transaction id is told to the device that sent, and to no other")
def transaction_id(world):
    user, other = world.server.user(), world.server.user()
    second = world.site.login(user.localpart, user.password)
    room = user.create_room(invite=[other.id])
    other.join(room)
    since = {each.device: each.sync()["next_batch"] for each in (user, second, other)}
    user.send(room, "mine", transaction="my-own-id")
    told = [timeline(each.sync(since[each.device]), room)[-1].get("unsigned", {}).get("transaction_id")
            for each in (user, second, other)]
    expect_equal(told, ["my-own-id", None, None])


@case("typing notices and receipts come as ephemeral events")
def ephemeral_events(world):
    user, other = world.server.user(), world.server.user()
    room = user.create_room(invite=[other.id])
    other.join(room)
    event = user.send(room, "read me")
    since = user.sync()["next_batch"]
    other.call("PUT", f"/rooms/{quoted(room)}/typing/{quoted(other.id)}", {"typing": True, "timeout": 30000})
    answer = user.sync_until(lambda answer: any(each["type"] == "m.typing" for each in ephemeral(answer, room)), since)
    found = [each for each in ephemeral(answer, room) if each["type"] == "m.typing"][-1]
    expect_equal(found["content"]["user_ids"], [other.id])
    other.call("POST", f"/rooms/{quoted(room)}/receipt/m.read/{quoted(event)}", {})
    answer = user.sync_until(lambda answer: any(each["type"] == "m.receipt" for each in ephemeral(answer, room)), since)
    found = [each for each in ephemeral(answer, room) if each["type"] == "m.receipt"][-1]
    expect(other.id in found["content"][event]["m.read"], f"{found}")
    other.call("PUT", f"/rooms/{quoted(room)}/typing/{quoted(other.id)}", {"typing": False})
    user.sync_until(lambda answer: any(
        each["type"] == "m.typing" and each["content"]["user_ids"] == [] for each in ephemeral(answer, room)), answer["next_batch"])


@case("a private receipt is seen by its owner only")
def private_receipt(world):
    user, other = world.server.user(), world.server.user()
    room = user.create_room(invite=[other.id])
    other.join(room)
    event = user.send(room, "read me")
    since = user.sync()["next_batch"], other.sync()["next_batch"]
    other.call("POST", f"/rooms/{quoted(room)}/receipt/m.read.private/{quoted(event)}", {})
    other.sync_until(lambda answer: "m.read.private" in str(ephemeral(answer, room)), since[1])
    user.send(room, "done")
    answer = user.sync_until(lambda answer: timeline(answer, room), since[0])
    expect("m.read.private" not in str(answer), "the private receipt is not told")


@case("read markers set the account data and clear the count of unread messages")
def read_markers(world):
    user, other = world.server.user(), world.server.user()
    room = user.create_room(invite=[other.id])
    other.join(room)
    event = [user.send(room, f"ping {number}") for number in range(3)][-1]
    joined = other.sync()["rooms"]["join"][room]
    expect_equal(joined["unread_notifications"]["notification_count"], 3)
    other.call("POST", f"/rooms/{quoted(room)}/read_markers", {"m.fully_read": event, "m.read": event})
    joined = other.sync()["rooms"]["join"][room]
    expect_equal(joined["unread_notifications"]["notification_count"], 0)
    marker = [each for each in joined["account_data"]["events"] if each["type"] == "m.fully_read"]
    expect_equal([each["content"]["event_id"] for each in marker], [event])


@case("account data and tags arrive, the user's and the room's")
def account_data(world):
    user = world.server.user()
    room = user.create_room()
    since = user.sync()["next_batch"]
    user.call("PUT", f"/user/{quoted(user.id)}/account_data/org.example.a", {"a": 1})
    user.call("PUT", f"/user/{quoted(user.id)}/rooms/{quoted(room)}/account_data/org.example.b", {"b": 2})
    user.call("PUT", f"/user/{quoted(user.id)}/rooms/{quoted(room)}/tags/m.favourite", {"order": 0.5})
    answer = user.sync(since)
    found = {each["type"]: each["content"] for each in answer["account_data"]["events"]}
    expect_equal(found["org.example.a"], {"a": 1})
    found = {each["type"]: each["content"] for each in section(answer, "join", room)["account_data"]["events"]}
    expect_equal(found["org.example.b"], {"b": 2})
    expect_equal(found["m.tag"], {"tags": {"m.favourite": {"order": 0.5}}})


@case("a filter leaves out rooms, types and senders")
def filtered(world):
    user, other = world.server.user(), world.server.user()
    first, second = user.create_room(invite=[other.id]), user.create_room()
    other.join(first)
    since = user.sync()["next_batch"]
    mine, theirs = user.send(first, "mine"), other.send(first, "theirs")
    user.set_state(first, "m.room.topic", {"topic": "T"})
    user.send(second, "elsewhere")
    answer = user.sync(since, filter={"room": {"rooms": [first], "timeline": {"types": ["m.room.message"]}}})
    expect_equal(set(answer["rooms"]["join"]), {first})
    expect_equal([event["event_id"] for event in timeline(answer, first)], [mine, theirs])
    answer = user.sync(since, filter={"room": {"timeline": {"not_senders": [user.id]}}})
    expect_equal([event["event_id"] for event in timeline(answer, first)], [theirs])


@case("a sync holds the sections that old clients ask for", only="fedchatd")
def sections_always(world):
    user, other = world.server.user(), world.server.user()
    room, invited = user.create_room(), other.create_room(invite=[user.id])
    answer = user.sync()
    joined = answer["rooms"]["join"][room]
    for name in ("timeline", "state", "ephemeral", "account_data"):
        expect(isinstance(joined[name]["events"], list), name)
    expect(isinstance(answer["rooms"]["invite"][invited]["invite_state"]["events"], list), "invite_state")
    expect("device_unused_fallback_key_types" in answer, "device_unused_fallback_key_types")


@case("a nonsense token is refused")
def nonsense(world):
    user = world.server.user()
    answer = user.request("GET", "/sync?since=complete%20nonsense")
    expect_equal(answer.status // 100, 4, f"{answer}")
    answer = user.request("GET", "/sync?filter=%7Bnot%20json")
    expect_equal(answer.status // 100, 4, f"{answer}")


@case("a tag is read and taken away")
def tags(world):
    user = world.server.user()
    room = user.create_room()
    path = f"/user/{quoted(user.id)}/rooms/{quoted(room)}/tags"
    user.call("PUT", f"{path}/m.favourite", {"order": 0.25})
    user.call("PUT", f"{path}/u.work", {})
    expect_equal(user.call("GET", path), {"tags": {"m.favourite": {"order": 0.25}, "u.work": {}}})
    user.call("DELETE", f"{path}/m.favourite")
    expect_equal(user.call("GET", path), {"tags": {"u.work": {}}})


@case("presence is set, read by who shares a room, and told in sync")
def presence(world):
    user, other, stranger = (world.server.user() for _ in range(3))
    room = user.create_room(invite=[other.id])
    other.join(room)
    since = other.sync()["next_batch"]
    path = f"/presence/{quoted(user.id)}/status"
    user.call("PUT", path, {"presence": "unavailable", "status_msg": "at lunch"})
    found = other.call("GET", path)
    expect_equal((found["presence"], found["status_msg"]), ("unavailable", "at lunch"))
    answer = other.sync_until(lambda answer: any(
        each["sender"] == user.id and each["content"].get("status_msg") == "at lunch"
        for each in answer.get("presence", {}).get("events", [])), since)
    expect(answer, "told in sync")
    expect_equal(stranger.request("GET", path).status, 403, "no room is shared")
    expect_equal(other.request("PUT", path, {"presence": "online"}).status, 403)


@case("a highlight is counted apart, and an own message counts nothing")
def highlights(world):
    user, other = world.server.user(), world.server.user()
    room = user.create_room(invite=[other.id], preset="private_chat")
    other.join(room)
    user.send(room, "plain")
    user.send(room, {"msgtype": "m.text", "body": "hey you", "m.mentions": {"user_ids": [other.id]}})
    counts = other.sync()["rooms"]["join"][room]["unread_notifications"]
    expect_equal((counts["notification_count"], counts["highlight_count"]), (2, 1))
    other.send(room, "back again")
    counts = other.sync()["rooms"]["join"][room]["unread_notifications"]
    if world.server.kind == "fedchatd":
        expect_equal(user.sync()["rooms"]["join"][room]["unread_notifications"]["notification_count"], 1)


@case("threads are counted apart, read apart, and all of a hundred and fifty messages count")
def unread_threads(world):
    user, other = world.server.user(), world.server.user()
    room = user.create_room(invite=[other.id], preset="private_chat")
    other.join(room)
    other.sync()
    root = user.send(room, "root")
    relation = {"rel_type": "m.thread", "event_id": root}
    replies = [user.send(room, {"msgtype": "m.text", "body": f"reply {number}", "m.relates_to": relation})
               for number in range(3)]
    for number in range(149):
        last = user.send(room, f"message {number}")

    def counts(**more):
        by_thread = {"room": {"timeline": {"limit": 1, "unread_thread_notifications": True}}}
        joined = other.sync(filter=by_thread)["rooms"]["join"][room]
        threads = joined.get("unread_thread_notifications", {})
        return (joined["unread_notifications"]["notification_count"],
                {name: each["notification_count"] for name, each in threads.items()})

    expect_equal(counts(), (150, {root: 3}))
    path = f"/rooms/{quoted(room)}/receipt/m.read/"
    other.call("POST", path + quoted(last), {"thread_id": "main"})
    expect_equal(counts(), (0, {root: 3}))
    other.call("POST", path + quoted(replies[1]), {"thread_id": root})
    expect_equal(counts(), (0, {root: 1}))
    expect_equal(other.request("POST", path + quoted(last), {"thread_id": root}).status, 400, "not in that thread")
    expect_equal(other.request("POST", path + quoted(last), {"thread_id": ""}).status, 400)
    expect_equal(other.request("POST", path + quoted(last), {"thread_id": 7}).status, 400)
    # Who reads without threads sees them counted with the room.
    whole = other.sync()["rooms"]["join"][room]["unread_notifications"]["notification_count"]
    expect_equal(whole, 1)


@case("twenty devices that sync while others talk miss nothing and see nothing twice")
def busy(world):
    user, other = world.server.user(), world.server.user()
    rooms = [user.create_room(invite=[other.id]) for _ in range(4)]
    for room in rooms:
        other.join(room)
    devices = [world.site.login(other.localpart, other.password) for _ in range(10)]
    since = {device.device: device.sync()["next_batch"] for device in devices}
    sent = {room: [] for room in rooms}
    seen = {device.device: {room: [] for room in rooms} for device in devices}
    done = threading.Event()

    def talk(room):
        for number in range(25):
            sent[room].append(user.send(room, f"{number}"))

    def listen(device):
        position = since[device.device]
        while True:
            last = done.is_set()
            answer = device.sync(position, timeout=0 if last else 2000, filter={"room": {"timeline": {"limit": 100}}})
            position = answer["next_batch"]
            for room in rooms:
                seen[device.device][room] += [event["event_id"] for event in timeline(answer, room)]
            if last:
                return

    listeners = [threading.Thread(target=listen, args=(device,)) for device in devices]
    talkers = [threading.Thread(target=talk, args=(room,)) for room in rooms]
    for thread in listeners + talkers:
        thread.start()
    for thread in talkers:
        thread.join()
    done.set()
    for thread in listeners:
        thread.join()
    for device in devices:
        for room in rooms:
            expect_equal(seen[device.device][room], sent[room], f"what {device.device} saw of {room}")
