"""Three servers: what one says reaches another by way of the third."""
from blackbox.matrix import quoted
from blackbox.report import expect_equal

from . import SAMPLE, THREE, flow
from .parting import HEALING


def three(scene, **more):
    """A room of the host's, joined by a guest, and by somebody of the third server who knows the guest's server only."""
    host, guest, room = scene.shared(preset="public_chat", **more)
    third = scene.third.user("third")
    lets_in(scene, room, third)
    third.join(room, [guest.server_name])
    for user in (host, guest):
        scene.membership(user, room, third, "join")
    return host, guest, third, room


def acquainted(scene):
    """The third server has met the first, and so has its key: who is cut off cannot be asked for it."""
    host = scene.host.user("host")
    scene.third.user("visitor").join(scene.room(host, preset="public_chat"), [host.server_name])


def lets_in(scene, room, user):
    """A Synapse that has joined lets others join only once it has all of the state."""
    def template():
        path = f"/_matrix/federation/v1/make_join/{quoted(room)}/{quoted(user.id)}?ver={scene.version}"
        return scene.world.signed(scene.third, scene.guest, "GET", path)[0] == 200
    scene.until(template, "the second server lets others join")


@flow("three servers talk", directions=THREE, quick=True)
def talk(scene):
    host, guest, third, room = three(scene)
    people = (host, guest, third)
    for number in range(3):
        for speaker in people:
            event = speaker.send(room, f"{number} from {speaker.localpart}")
            for other in people:
                scene.sees(other, room, event)
    event = host.set_state(room, "m.room.topic", {"topic": "three"})
    for other in people:
        scene.state_is(other, room, "m.room.topic", event)
    scene.alike(room, *people)
    third.leave(room)
    for user in (host, guest):
        scene.membership(user, room, third, "leave")


@flow("joining by a server that did not make the room, whose maker is away", directions=THREE, alone=True)
def joined_elsewhere(scene):
    acquainted(scene)
    host, guest, room = scene.shared(preset="public_chat")
    said = host.send(room, "before")
    scene.sees(guest, room, said)
    third = scene.third.user("third")
    lets_in(scene, room, third)
    with scene.world.network.parted(scene.host, scene.third):
        third.join(room, [guest.server_name])
        scene.membership(guest, room, third, "join")
        first = third.send(room, "the maker does not hear me")
        scene.sees(guest, room, first)
        if scene.third.kind == "fedchatd":      # Synapse lets go of events whose earlier states nobody gives it
            scene.until(lambda: "before" in third.bodies(room), "history comes from whoever is there")
    for user in (host, guest, third):
        scene.sees(user, room, first, seconds=HEALING)
    scene.alike(room, host, guest, third)


@flow("what one could not say reaches the third by the second", directions=THREE, alone=True, quick=True)
def relayed(scene):
    host, guest, third, room = three(scene)
    with scene.world.network.parted(scene.host, scene.third):
        first = [host.send(room, f"to be passed on {number}") for number in range(3)]
        scene.sees(guest, room, *first)
        answer = guest.send(room, "do you hear that?")      # builds on it: the third must ask for what is before
        scene.sees(third, room, answer, *first, seconds=HEALING)
        expect_equal(third.bodies(room)[-4:], [f"to be passed on {number}" for number in range(3)] + ["do you hear that?"])
        back = third.send(room, "I do")
        scene.sees(guest, room, back)
        scene.sees(host, room, guest.send(room, "it says it does"), back, seconds=HEALING)
    scene.alike(room, host, guest, third)


@flow("each of three changes the state while cut off", directions=THREE, alone=True)
def three_sides(scene):
    host, guest, third, room = three(scene)
    event = scene.powers(host, room, users={guest.id: 100, third.id: 100})
    for user in (guest, third):
        scene.state_is(user, room, "m.room.power_levels", event)
    network, people = scene.world.network, (host, guest, third)
    with network.parted(scene.host, scene.guest), network.parted(scene.host, scene.third), network.parted(scene.guest, scene.third):
        events = []
        for number, user in enumerate(people):
            events.append(user.set_state(room, "m.room.topic", {"topic": user.localpart}))
            events.append(scene.powers(user, room, events={f"org.example.{number}": 10 * number}))
            events.append(user.set_state(room, "m.room.name", {"name": user.localpart}))
            events.append(user.send(room, "alone"))
    for user in people:
        scene.sees(user, room, *events[3::4], seconds=HEALING)
    scene.alike(room, *people)


@flow("restricted join by way of the third server", versions=SAMPLE, since=8, directions=THREE,
      clause="restricted rooms since version 8: https://spec.matrix.org/v1.19/rooms/v8/")
def restricted(scene):
    host, guest = scene.people()
    space = scene.room(host, preset="public_chat", creation_content={"type": "m.space"})
    room = scene.room(host, initial_state=[{"type": "m.room.join_rules", "state_key": "", "content": {
        "join_rule": "restricted", "allow": [{"type": "m.room_membership", "room_id": space}]}}])
    guest.join(space, [host.server_name])
    guest.join(room, [host.server_name])
    scene.membership(host, room, guest, "join")
    event = scene.powers(host, room, users={guest.id: 50}, invite=50)
    scene.state_is(guest, room, "m.room.power_levels", event)
    third = scene.third.user("third")
    third.join(space, [host.server_name])
    scene.membership(guest, space, third, "join")
    third.join(room, [guest.server_name])
    for user in (host, guest):
        scene.membership(user, room, third, "join")
    expect_equal(host.state(room, "m.room.member", third.id).get("join_authorised_via_users_server"), guest.id, "who vouched")
    scene.alike(room, host, guest, third)


@flow("invited by the second server, joining while the first is away", directions=THREE, alone=True)
def invited_elsewhere(scene):
    acquainted(scene)
    host, guest, room = scene.shared()
    event = scene.powers(host, room, users={guest.id: 50})
    scene.state_is(guest, room, "m.room.power_levels", event)
    third = scene.third.user("third")
    with scene.world.network.parted(scene.host, scene.guest), scene.world.network.parted(scene.host, scene.third):
        guest.invite(room, third)
        scene.invited(third, room)
        lets_in(scene, room, third)
        third.join(room, [guest.server_name])
        scene.membership(guest, room, third, "join")
        topic = host.set_state(room, "m.room.topic", {"topic": "what happens there?"})
        last = third.send(room, "here")
    scene.sees(host, room, last, seconds=HEALING)
    # The host did not know of the third when it set the topic: what it says now leads there.
    said = host.send(room, "good to have you back")
    for user in (host, guest, third):
        scene.sees(user, room, said, topic, last, seconds=HEALING)
    scene.alike(room, host, guest, third)
    answer = host.request("GET", f"/rooms/{quoted(room)}/state/m.room.member/{quoted(third.id)}")
    expect_equal(answer.json["membership"], "join")
