"""The network fails, or a server, or both sides go on alone: what was said arrives, and states agree again."""
import contextlib
import random

from blackbox.matrix import quoted
from blackbox.report import expect, expect_equal

from . import SAMPLE, flow

HEALING = 90       # seconds until servers that could not reach each other have caught up


def texts_of(user, room):
    return sorted(event["content"]["body"] for event in user.all_events(room)
                  if event["type"] == "m.room.message" and event["content"].get("body"))


def healed(scene, room, host, guest, *events):
    """Each has all the events, and they agree."""
    for user in (host, guest):
        scene.sees(user, room, *events, seconds=HEALING)
    scene.alike(room, host, guest)


def sides(scene, **more):
    """A room in which both sides have much power, and the two who talk in it."""
    host, guest, room = scene.shared(**more)
    # From version 12 on creators stand above all levels: whoever shall be an equal needs to be none.
    event = scene.powers(host, room, users={guest.id: 100})
    scene.state_is(guest, room, "m.room.power_levels", event)
    return host, guest, room


@flow("both sides talk while cut off", alone=True, quick=True)
def talked_apart(scene):
    host, guest, room = scene.shared()
    wanted = []
    with scene.world.network.parted(scene.host, scene.guest):
        events = []
        for number in range(8):
            for user in (host, guest):
                wanted.append(f"{number} from {user.localpart}")
                events.append(user.send(room, wanted[-1]))
    healed(scene, room, host, guest, *events)
    for user in (host, guest):
        found = [text for text in texts_of(user, room) if text != "do we agree?"]
        expect_equal(found, sorted(wanted), f"{user.id}'s messages")
        # Each side's own order stands.
        for speaker in (host, guest):
            order = [event["content"]["body"] for event in user.all_events(room)
                     if event["type"] == "m.room.message" and event["sender"] == speaker.id]
            expect_equal([text for text in order if text != "do we agree?"],
                         [text for text in wanted if text.endswith(f" from {speaker.localpart}")], f"{speaker.id}'s order at {user.id}")


@flow("bytes stop and go on", alone=True)
def stalled(scene):
    host, guest, room = scene.shared()
    with scene.world.network.parted(scene.host, scene.guest, "stall"):
        events = [user.send(room, f"{number} {user.localpart}") for number in range(5) for user in (host, guest)]
        events.append(host.set_state(room, "m.room.topic", {"topic": "nobody hears"}))
    healed(scene, room, host, guest, *events)


@flow("only one direction works", alone=True)
def one_way(scene):
    host, guest, room = scene.shared()
    with scene.world.network.parted(scene.host, scene.guest, both=False):
        events = [user.send(room, f"{number} {user.localpart}") for number in range(4) for user in (host, guest)]
        scene.sees(host, room, events[-1], seconds=HEALING)
    healed(scene, room, host, guest, *events)


@flow("connections break after some bytes, and are slow", alone=True)
def flaky(scene):
    host, guest, room = scene.shared()
    network = scene.world.network
    for pair in ((scene.host, scene.guest), (scene.guest, scene.host)):
        network.set(*pair, "reset")         # ends the connections that are there
        network.set(*pair, "flaky", delay=0.02)
    try:
        events = [user.send(room, f"{number} {user.localpart} " + "x" * 500) for number in range(10) for user in (host, guest)]
    finally:
        for pair in ((scene.host, scene.guest), (scene.guest, scene.host)):
            network.set(*pair, "open")
    healed(scene, room, host, guest, *events)
    for user in (host, guest):
        ids = [event["event_id"] for event in user.all_events(room)]
        expect_equal(len(ids), len(set(ids)), "each event once")


def apart(scene, at_host, at_guest, **more):
    """What either side does alone; each gets its user and the room, and gives the events it made. Then both agree."""
    host, guest, room = sides(scene, **more)
    with scene.world.network.parted(scene.host, scene.guest):
        events = at_host(host, room) + at_guest(guest, room)
    healed(scene, room, host, guest, *events)
    return host, guest, room


@flow("both sides change the topic", alone=True, quick=True)
def topics(scene):
    host, guest, room = apart(
        scene, lambda user, room: [user.set_state(room, "m.room.topic", {"topic": "host's"})],
        lambda user, room: [user.set_state(room, "m.room.topic", {"topic": f"guest's {number}"}) for number in range(3)])
    expect(host.state(room, "m.room.topic") == guest.state(room, "m.room.topic"), "one topic")


@flow("both sides change power levels, and use them", alone=True)
def levels(scene):
    helper = scene.guest.user("helper")

    def at_host(user, room):
        event = scene.powers(user, room, events_default=20)
        return [event, user.send(room, "by the new levels"), user.set_state(room, "m.room.name", {"name": "host's"})]

    def at_guest(user, room):
        event = scene.powers(user, room, users={helper.id: 50})
        return [event, user.set_state(room, "m.room.name", {"name": "guest's"})]
    apart(scene, at_host, at_guest)


@flow("one demotes the other, who meanwhile acts", alone=True)
def demoted(scene):
    host, guest, room = sides(scene)
    equal = scene.number >= 12      # there the creator can lower anybody
    with scene.world.network.parted(scene.host, scene.guest):
        if equal:
            lowered = scene.powers(host, room, users={guest.id: 0})
        else:
            lowered = scene.powers(host, room, users={host.id: 100}, state_default=100, ban=100)
        late = [guest.set_state(room, "m.room.topic", {"topic": "while I could"}), guest.send(room, "said alone")]
    for user in (host, guest):
        scene.sees(user, room, lowered, late[1], seconds=HEALING)
    scene.alike(room, host, guest)
    if equal:
        expect_equal(host.state(room, "m.room.power_levels")["users"].get(guest.id), 0)


@flow("one bans a user who talks and changes state meanwhile", alone=True, quick=True)
def banned_late(scene):
    """What the banned user says builds on a time before the ban, so its auth events allow it; the current state does not.
    Spec: https://spec.matrix.org/v1.19/server-server-api/#soft-failure"""
    host, guest, room = scene.shared()
    fellow = scene.guest.user("fellow")
    scene.bring(host, fellow, room)
    event = scene.powers(host, room, users={fellow.id: 50})
    for user in (guest, fellow):
        scene.state_is(user, room, "m.room.power_levels", event)
    with scene.world.network.parted(scene.host, scene.guest):
        ban = host.call("POST", f"/rooms/{quoted(room)}/ban", {"user_id": fellow.id})
        late = [fellow.send(room, "they cannot hear me"), fellow.set_state(room, "m.room.topic", {"topic": "mine"})]
        fine = guest.send(room, "I am still welcome")
    scene.sees(host, room, fine, seconds=HEALING)
    scene.membership(guest, room, fellow, "ban")
    scene.alike(room, host, guest)
    # State resolution version 1 keeps what only one side has: https://spec.matrix.org/v1.19/rooms/v1/#state-resolution
    state = host.call("GET", f"/rooms/{quoted(room)}/state")
    expect(scene.number == 1 or all(each["event_id"] != late[1] for each in state), "a topic of one who was banned")
    shown = [each["content"].get("body") for each in host.all_events(room)]
    expect("they cannot hear me" not in shown, "a message of one who was banned is shown")
    expect("I am still welcome" in shown, "what others said after it is not shown")


@flow("join rules close on one side, somebody joins on the other", alone=True)
def closed(scene):
    host, guest, room = scene.shared(preset="public_chat")
    fellow = scene.guest.user("fellow")
    # A server that does not know all members yet asks another one who may join: it is waited for.
    guest.call("GET", f"/rooms/{quoted(room)}/members")
    with scene.world.network.parted(scene.host, scene.guest):
        close = host.set_state(room, "m.room.join_rules", {"join_rule": "invite"})
        fellow.join(room)
        said = fellow.send(room, "I came while it was open")
        mark = guest.send(room, "somebody came")
    for user in (host, guest):
        scene.sees(user, room, close, mark, seconds=HEALING)
    scene.alike(room, host, guest)
    expect(said, "sent")


@flow("both sides invite, kick and rename", alone=True)
def many_changes(scene):
    """What the two do is drawn from a seed; whatever it is, they agree afterwards."""
    host, guest, room = sides(scene, preset="public_chat")
    extras = {user.server_name: [server.user(f"extra{number}") for number in range(2)]
              for user, server in ((host, scene.host), (guest, scene.guest))}
    everybody = [user for users in extras.values() for user in users]
    for user in everybody:
        user.join(room, [host.server_name])
    for user in everybody:
        for seer in (host, guest):
            scene.membership(seer, room, user, "join")
    draw = random.Random(f"{scene.version}{scene.host.kind}")

    def act(user, number):
        own = extras[user.server_name]
        what = draw.randrange(9)
        if what == 0:
            return scene.powers(user, room, users={draw.choice(everybody).id: draw.choice([0, 10, 50])})
        if what == 1:
            return user.set_state(room, "m.room.name", {"name": f"{number}"})
        if what == 2:
            return user.set_state(room, "m.room.join_rules", {"join_rule": draw.choice(["public", "invite"])})
        if what == 3:
            return user.request("POST", f"/rooms/{quoted(room)}/kick", {"user_id": draw.choice(everybody).id})
        if what == 4:
            return user.request("POST", f"/rooms/{quoted(room)}/ban", {"user_id": draw.choice(everybody).id})
        if what == 5:
            return user.request("POST", f"/rooms/{quoted(room)}/unban", {"user_id": draw.choice(everybody).id})
        if what == 6:
            return draw.choice(own).request("POST", f"/rooms/{quoted(room)}/leave", {})
        if what == 7:
            return draw.choice(own).request("POST", f"/join/{quoted(room)}", {})
        return draw.choice(own).request("PUT", f"/rooms/{quoted(room)}/state/m.room.topic/", {"topic": f"{number}"})

    for _ in range(2):
        with scene.world.network.parted(scene.host, scene.guest):
            for number in range(12):
                act(host, number)
                act(guest, number)
            last = [host.send(room, "host's last"), guest.send(room, "guest's last")]
        healed(scene, room, host, guest, *last)


@flow("one server is down for a while", alone=True, quick=True)
def down(scene):
    host, guest, room = scene.shared()
    others = [scene.room(host, name=f"more {number}") for number in range(2)]
    for other in others:
        scene.bring(host, guest, other)
    scene.guest.stop()
    last = {each: [host.send(each, f"while you were away {number}") for number in range(12)] for each in (room, *others)}
    topic = host.set_state(room, "m.room.topic", {"topic": "changed while you were away"})
    scene.host.restart()
    scene.guest.start()
    for each, events in last.items():
        scene.sees(guest, each, *events, seconds=HEALING)
        expect_equal([text for text in guest.bodies(each)][-12:], [f"while you were away {number}" for number in range(12)])
    scene.state_is(guest, room, "m.room.topic", topic, seconds=HEALING)
    scene.say_and_hear(guest, host, room, "I am back")
    for each in last:
        scene.alike(each, host, guest)


@flow("a long absence: a gap too large to close, then paged back", alone=True)
def gap(scene):
    """More events than get_missing_events brings: what is between comes when somebody pages back, in its place."""
    host, guest, room = scene.shared(preset="public_chat")
    before = [scene.say_and_hear(guest, host, room, f"before {number}") for number in range(3)]
    guest.leave(room)
    scene.membership(host, room, guest, "leave")
    scene.guest.stop()
    for number in range(130):
        host.send(room, f"missed {number}")
    topic = host.set_state(room, "m.room.topic", {"topic": "new"})
    scene.guest.start()
    guest.join(room, [host.server_name])
    scene.membership(host, room, guest, "join")
    scene.say_and_hear(guest, host, room, "after")
    scene.state_is(guest, room, "m.room.topic", topic)
    expect(before, "said")
    wanted, found = host.bodies(room), guest.bodies(room)
    if scene.guest.kind == "synapse":       # it does not fetch all of a gap that it has paged over
        wanted = [text for text in wanted if text in found]
        expect("missed 129" in found and "before 0" in found, f"the guest's timeline: {found}")
    expect_equal(found, wanted, "the guest's timeline")
    scene.alike(room, host, guest)


@flow("the other side catches up by the latest event of each room", alone=True)
def caught_up(scene):
    """A server that was cut off for long gets the newest event of each room, and asks for what it lacks."""
    host, guest, room = scene.shared()
    second = scene.room(host)
    scene.bring(host, guest, second)
    with few_waiting(scene.host):
        with scene.world.network.parted(scene.host, scene.guest):
            events = {each: [host.send(each, f"{number}") for number in range(15)] for each in (room, second)}
            state = host.set_state(room, "m.room.topic", {"topic": "unheard"})
            late = {each: host.send(each, "late") for each in (room, second)}
            fails = scene.world.network.ways[(scene.host.name, scene.guest.name)]
            before = fails.refused
            scene.until(lambda: fails.refused > before, "the host tried in vain with all of it waiting", HEALING)
        for each in (room, second):
            # Synapse asks for ten events before one that it got, and for what was before these when a client pages there.
            asked = events[each] if scene.guest.kind == "fedchatd" else events[each][-9:]
            scene.sees(guest, each, *asked, late[each], seconds=HEALING)
        scene.state_is(guest, room, "m.room.topic", state, seconds=HEALING)
        for each in (room, second):
            scene.alike(each, host, guest)


@contextlib.contextmanager
def few_waiting(server, events=5):
    """fedchatd keeps so many events for a server that is away; Synapse decides for itself."""
    if server.kind != "fedchatd":
        yield
        return
    usual = server.settings.get("limits", {})

    def use(limits):
        server.settings["limits"] = limits
        server.write()
        server.restart()

    use({**usual, "outbox_per_destination": events})
    try:
        yield
    finally:
        use(usual)


@flow("the signing key is changed", versions=SAMPLE, alone=True, directions=["our room", "their room"], quick=True)
def rotated(scene):
    host, guest, room = scene.shared(preset="public_chat")
    old = host.send(room, "signed with the old key")
    scene.sees(guest, room, old)
    scene.host.rotate_key()
    scene.say_and_hear(host, guest, room, "signed with the new key")
    scene.say_and_hear(guest, host, room, "understood")
    # Who comes later checks what the old key signed. It may ask the guest's server, which therefore fetches all of it first:
    # Synapse gives up history when it asks a server that does not have what is before.
    guest.all_events(room)
    late = scene.third.user("late")
    late.join(room, [host.server_name])
    scene.membership(guest, room, late, "join")
    scene.until(lambda: "signed with the old key" in late.bodies(room), "who comes later reads what the old key signed")
    scene.say_and_hear(late, host, room, "I trust both")
    scene.alike(room, host, guest, late)
