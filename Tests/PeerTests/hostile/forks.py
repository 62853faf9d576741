"""Events in places where none should be: after gaps, beside others, by the thousand."""
import time

from puppet import event_id

from blackbox.matrix import quoted
from blackbox.processes import bytes_resident
from blackbox.report import eventually, expect, expect_equal

from . import ours_alone, shown


def gap(world):
    user, room = world.room()
    for number in range(4):
        missing = room.text(f"missing {number}")
        room.last, room.depth = event_id(missing), missing["depth"]
    room.say(room.text("after the gap"))
    shown(user, room, "after the gap")
    eventually(lambda: [body for body in user.bodies(room.id) if body and "missing" in body] == [f"missing {number}" for number in range(4)],
               "the gap is filled, in order")


def hole(world):
    """An event whose past nobody can tell: the server must neither hang nor accept it blindly."""
    user, room = world.room()
    start = time.monotonic()
    status, answer = room.say(room.text("out of nothing", prev_events=["$" + "A" * 43]), advance=False)
    expect(status in (200, 400), f"{status} {answer}")
    expect(time.monotonic() - start < 45, "the server waits too long")
    world.still_there(user, room)


def fork(world):
    """Two events after the same one: both are shown, and the next local one follows both."""
    user, room = world.room()
    left, right = room.text("left"), room.text("right")
    room.say(left, advance=False)
    room.say(right, advance=False)
    shown(user, room, "left")
    shown(user, room, "right")
    joined = user.send(room.id, "joined again")
    eventually(lambda: any(event_id(event) == joined for event in world.puppet.received), "the puppet receives it")
    event = [event for event in world.puppet.received if event_id(event) == joined][0]
    expect_equal(set(event["prev_events"]), {event_id(left), event_id(right)})


def forked_state(world):
    """Both sides change the topic at once; the room goes on with one of the two, which both sides can compute."""
    user, room = world.room(power_level_content_override={"state_default": 0, "events": {}})
    before = room.last
    ours = user.set_state(room.id, "m.room.topic", {"topic": "ours"})
    theirs = room.event("m.room.topic", {"topic": "theirs"}, state_key="", prev=[before])
    room.say(theirs, advance=False)
    eventually(lambda: any(event["event_id"] == event_id(theirs) for event in user.all_events(room.id)), "their event is shown")
    found = user.call("GET", f"/rooms/{quoted(room.id)}/state/m.room.topic/?format=event")["event_id"] \
        if world.server.kind == "fedchatd" else None
    topic = user.state(room.id, "m.room.topic")["topic"]
    expect(topic in ("ours", "theirs"), topic)
    if found:
        expect(found in (ours, event_id(theirs)), found)
    status, state = world.puppet.request(world.server, "GET", f"/_matrix/federation/v1/state_ids/{quoted(room.id)}?event_id={quoted(before)}")
    expect_equal(status, 200)
    expect(ours not in state["pdu_ids"] and event_id(theirs) not in state["pdu_ids"], "the state before is not changed by what came after")
    user.send(room.id, "on we go")
    world.still_there(user, room)


def many_forks(world):
    """3,000 events after the same one: the server takes them, goes on at its usual pace, and merges them with what it says."""
    ours_alone(world, "Synapse takes more than five minutes")
    count, step = 3000, 50
    user, room = world.room()
    forks = [room.text(f"fork {number}") for number in range(count)]
    memory, start = bytes_resident(world.server.process.id), time.monotonic()
    for first in range(0, count, step):
        status, answer = world.puppet.send(world.server, forks[first:first + step])
        expect_equal(status, 200, f"{answer}")
        expect(not any("error" in result for result in answer["pdus"].values()), f"{answer}")
    last = event_id(forks[-1])
    eventually(lambda: any(event["event_id"] == last for event in user.all_events(room.id)), "the last fork is shown", seconds=240)
    print(f"    {count} forks in {time.monotonic() - start:.0f} s, {(bytes_resident(world.server.process.id) - memory) >> 20} MiB more")
    named = set()
    for number in range(5):
        start = time.monotonic()
        sent = user.send(room.id, f"merging {number}")
        expect(time.monotonic() - start < 10, "a message takes too long")
        eventually(lambda: any(event_id(event) == sent for event in world.puppet.received), "the puppet receives it")
        event = [event for event in world.puppet.received if event_id(event) == sent][0]
        expect_equal(len(event["prev_events"]), 20)
        named |= set(event["prev_events"])
    expect_equal(len(named), 100, "each merges others")
    world.still_there(user, room)


def many_states(world):
    """400 events after the same one, each of which sets other state: no next event costs what all of them cost."""
    ours_alone(world, "Synapse takes more than five minutes")
    count, step = 400, 50
    user, room = world.room(power_level_content_override={"state_default": 0, "events": {}})
    forks = [room.event("test.fork", {"n": number}, state_key=str(number)) for number in range(count)]
    memory, start = bytes_resident(world.server.process.id), time.monotonic()
    for first in range(0, count, step):
        expect_equal(world.puppet.send(world.server, forks[first:first + step])[0], 200)

    def state():
        return {event["state_key"] for event in user.call("GET", f"/rooms/{quoted(room.id)}/state") if event["type"] == "test.fork"}

    eventually(lambda: len(state()) == count, "all of it is in the room's state", seconds=240)
    print(f"    {count} states in {time.monotonic() - start:.0f} s, {(bytes_resident(world.server.process.id) - memory) >> 20} MiB more")
    for number in range(60):
        start = time.monotonic()
        user.send(room.id, f"merging {number}")
        expect(time.monotonic() - start < 10, "a message takes too long")
    expect_equal(len(state()), count, "none of it is lost in merging")
    last = user.send(room.id, "merged")
    eventually(lambda: any(event_id(event) == last for event in world.puppet.received), "the puppet receives it")
    expect_equal(len([event for event in world.puppet.received if event_id(event) == last][0]["prev_events"]), 1)
    expect_equal(user.state(room.id, "m.room.member", room.user)["membership"], "join")


CASES = [
    ("a gap is filled", gap),
    ("an event from nowhere does no harm", hole),
    ("a fork is joined", fork),
    ("a fork of state is resolved", forked_state),
    ("thousands of forks are merged, twenty at a time", many_forks),
    ("hundreds of forks of state are merged, and none of it is lost", many_states),
]
