"""Rooms whose policy server is fedchatd: Synapse asks it for each event."""
from blackbox.matrix import quoted
from blackbox.report import Skipped, expect_equal

from . import REFUSED, flow


def signers(scene, room, event, at):
    """The keys of the policy server by which the event, as a server tells it, is signed."""
    asker = scene.guest if at is scene.host else scene.host
    status, answer = scene.world.signed(asker, at, "GET", f"/_matrix/federation/v1/event/{quoted(event)}")
    expect_equal(status, 200, f"{answer}")
    return [key for key in answer["pdus"][0]["signatures"].get(scene.world.ours.name, {}) if key == "ed25519:policy_server"]


@flow("a policy server signs what it recommends, and who writes anything else is told")
def policed(scene):
    ours = scene.world.ours
    if ours.kind != "fedchatd":
        raise Skipped("Synapse is no policy server")
    host, guest, room = scene.shared(name="Clean")
    keys = ours.site.request("GET", "/.well-known/matrix/policy_server").json
    event = host.set_state(room, "m.room.policy", {"via": ours.name, **keys})
    scene.state_is(guest, room, "m.room.policy", event)
    for one, other in ((host, guest), (guest, host)):
        # Heard in a sync: what a server finds unsigned it would withhold.
        said = scene.say_and_hear(one, other, room, f"a word from {one.localpart}")
        for server in (scene.host, scene.guest):
            expect_equal(signers(scene, room, said, server), ["ed25519:policy_server"], f"at {server.kind}")
        answer = one.request("PUT", f"/rooms/{quoted(room)}/send/m.room.message/s{one.localpart}", {
            "msgtype": "m.text", "body": f"The finest {REFUSED.title()}."})
        scene.refused(answer, 400)
        expect_equal(answer.json["error"], "The room's policy server does not take what this says")
        redaction = one.call("PUT", f"/rooms/{quoted(room)}/redact/{quoted(said)}/r", {})["event_id"]
        scene.sees(other, room, redaction)
    scene.refused(host.request("PUT", f"/rooms/{quoted(room)}/state/m.room.topic/", {"topic": REFUSED}), 400)
    event = host.set_state(room, "m.room.topic", {"topic": "honest goods"})
    scene.state_is(guest, room, "m.room.topic", event)
    for user in (host, guest):
        expect_equal([body for body in user.bodies(room) if body and REFUSED in body.lower()], [], "what was refused")
    # Who is invited and joins has it signed by the server that lets him in.
    third = scene.third.user("third")
    scene.bring(host, third, room)
    scene.membership(guest, room, third, "join")
    scene.say_and_hear(third, guest, room, "here I am")
    scene.alike(room, host, guest)
    event = host.set_state(room, "m.room.policy", {})
    scene.state_is(guest, room, "m.room.policy", event)
    scene.say_and_hear(guest, host, room, f"nothing but {REFUSED}")
    scene.alike(room, host, guest)
