"""Events that are sent later, and sticky ones."""
import time

from blackbox.matrix import quoted
from blackbox.report import case, eventually, expect, expect_equal

UNSTABLE = "/_matrix/client/unstable/org.matrix.msc4140"
EVENTS = "/delayed_events"


def delayed(user, room, text, milliseconds, transaction):
    path = f"/rooms/{quoted(room)}/send/m.room.message/{transaction}?org.matrix.msc4140.delay={milliseconds}"
    return user.call("PUT", path, {"msgtype": "m.text", "body": text})["delay_id"]


# Synapse has both only where the configuration says so.
@case("an event is sent after its delay, and neither before nor when it is canceled", only="fedchatd")
def later(world):
    user = world.server.user()
    room = user.create_room(preset="public_chat")
    delayed(user, room, "in a second", 1000, "a")
    canceled = delayed(user, room, "never", 1500, "b")
    expect_equal(user.bodies(room), [])
    expect_equal(len(user.call("GET", EVENTS, prefix=UNSTABLE)["delayed_events"]), 2)
    answer = user.site.request("POST", f"{UNSTABLE}{EVENTS}/{canceled}/cancel", {})
    expect_equal(answer.status, 200)
    eventually(lambda: user.bodies(room), "the one that was not canceled is sent")
    time.sleep(1)
    expect_equal(user.bodies(room), ["in a second"])
    expect_equal(user.call("GET", EVENTS, prefix=UNSTABLE)["delayed_events"], [])


@case("a sticky event is told to who comes into its room later", only="fedchatd")
def sticky(world):
    user, other = world.server.user(), world.server.user()
    room = user.create_room(preset="public_chat")
    path = f"/rooms/{quoted(room)}/send/m.room.message/s?org.matrix.msc4354.sticky_duration_ms=60000"
    user.call("PUT", path, {"msgtype": "m.text", "body": "sticky"})
    for number in range(30):
        user.send(room, str(number))
    other.join(room)
    joined = other.call("GET", "/sync?timeout=0")["rooms"]["join"][room]
    expect_equal([e["content"]["body"] for e in joined["msc4354_sticky"]["events"]], ["sticky"])
    expect("sticky" not in [e["content"].get("body") for e in joined["timeline"]["events"]], "not told twice")
