"""What was acknowledged is there after a restart, and after a crash."""
import threading
import time

from blackbox.matrix import quoted, timeline
from blackbox.report import case, expect, expect_equal

import crash


@case("after a restart, tokens, rooms, messages, sync tokens and keys are what they were")
def restart(world):
    user, other = world.server.user(), world.server.user()
    room = user.create_room(name="Lasting", invite=[other.id])
    other.join(room)
    event = user.send(room, "before", transaction="lasting")
    user.call("PUT", f"/user/{quoted(user.id)}/account_data/org.example.note", {"text": "kept"})
    since = other.sync()["next_batch"]
    user.call("PUT", "/sendToDevice/org.example.note/1", {"messages": {other.id: {other.device: {"text": "kept"}}}})
    user.send(room, "between")

    def state():
        return {event["event_id"] for event in user.call("GET", f"/rooms/{quoted(room)}/state")}

    before = state()
    world.server.restart()
    expect_equal(user.call("GET", "/account/whoami")["device_id"], user.device)
    expect_equal(state(), before, "the room's state")
    answer = other.sync(since)
    expect_equal([each["content"]["body"] for each in timeline(answer, room)], ["between"])
    expect_equal([each["content"] for each in answer["to_device"]["events"]], [{"text": "kept"}])
    expect_equal(user.send(room, "before", transaction="lasting"), event, "the transaction id is remembered")
    expect_equal(user.bodies(room), ["before", "between"])
    expect_equal(user.call("GET", f"/user/{quoted(user.id)}/account_data/org.example.note"), {"text": "kept"})


@case("killed during sends: what was acknowledged is there once, and a retry gives the same event")
def killed(world):
    if world.server.kind == "fedchatd":
        server = world.another()
        with server:
            crash.killed_during_sends(server, sends=600, kills=2)
    else:
        crash.killed_during_sends(world.server, sends=200, kills=1)


@case("killed while rooms are made and joined: each room is whole or not there")
def half_rooms(world):
    server = world.another() if world.server.kind == "fedchatd" else world.server
    if server is not world.server:
        server.start()
    try:
        user, other = server.user(), server.user()
        made = []

        def make():
            try:
                while True:
                    room = user.create_room(name="Whole", invite=[other.id])
                    other.join(room)
                    made.append(room)
            except Exception:
                return                       # the server is gone

        threads = [threading.Thread(target=make) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(1.5)
        server.kill()
        for thread in threads:
            thread.join()
        server.start()
        expect(made, "some rooms were made")
        joined = set(user.call("GET", "/joined_rooms")["joined_rooms"])
        expect(set(made) <= joined, "each room that was acknowledged is there")
        expect(set(made) <= set(other.call("GET", "/joined_rooms")["joined_rooms"]), "each join that was acknowledged is there")
        for room in made[-5:]:
            user.send(room, "still works")
        answer = user.sync()
        for room in made:
            expect(room in answer["rooms"]["join"], "the room is in sync")
    finally:
        if server is not world.server:
            server.stop()
