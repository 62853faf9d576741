"""What was said before: paging back, gaps, who may see what, dates."""
from blackbox.matrix import quoted
from blackbox.pictures import picture
from blackbox.report import expect, expect_equal

from . import flow
from .scene import milliseconds, query


def told(user, room):
    """The texts of a room, oldest first, and the whole timeline's ids."""
    events = user.all_events(room)
    ids = [event["event_id"] for event in events]
    expect_equal(len(ids), len(set(ids)), f"{user.id}'s events, each once")
    return [event["content"].get("body") for event in events if event["type"] == "m.room.message"]


@flow("paging back over what was said before joining", quick=True)
def paged(scene):
    host, guest = scene.people()
    room = scene.room(host, preset="public_chat")
    for number in range(60):
        host.send(room, f"text {number}")
        if number % 10 == 0:
            host.set_state(room, "m.room.topic", {"topic": f"topic {number}"})
    guest.join(room, [host.server_name])
    scene.membership(host, room, guest, "join")
    scene.say_and_hear(guest, host, room, "what did I miss?")
    wanted = [event["event_id"] for event in host.all_events(room)]
    found = [event["event_id"] for event in guest.all_events(room)]
    expect_equal(found, wanted, "the guest's timeline")
    scene.alike(room, host, guest)


def by_visibility(scene, visibility, wanted):
    host, guest = scene.people()
    room = scene.room(host, initial_state=[
        {"type": "m.room.history_visibility", "state_key": "", "content": {"history_visibility": visibility}}])
    fellow = scene.guest.user("fellow")     # the guest's server is there early, so it may know more than the guest may see
    host.send(room, "before all")
    scene.bring(host, fellow, room)
    early = host.send(room, "before the invite")
    scene.sees(fellow, room, early)
    host.invite(room, guest)
    scene.invited(guest, room)
    scene.membership(fellow, room, guest, "invite")
    middle = host.send(room, "after the invite")
    scene.sees(fellow, room, middle)
    guest.join(room, [host.server_name])
    scene.membership(host, room, guest, "join")
    scene.say_and_hear(host, guest, room, "after the join")
    expect_equal(told(guest, room), wanted, "what the guest sees")
    answer = guest.request("GET", f"/rooms/{quoted(room)}/event/{quoted(early)}")
    expect_equal(answer.status, 200 if "before the invite" in wanted else 404, f"an early event: {answer}")
    # The guest's server may be given what one of its users could see, and no more.
    everything = ["before all", "before the invite", "after the invite", "after the join"]
    seen = {"joined": everything[1:], "invited": everything[1:]}.get(visibility, everything)
    expect_equal(told(fellow, room), seen, "what its fellow sees")
    for event in (early, middle):
        status, answer = scene.world.signed(scene.guest, scene.host, "GET", f"/_matrix/federation/v1/event/{quoted(event)}")
        expect_equal(status, 200)
        expect(answer["pdus"][0]["content"].get("body"), "a server that was there gets it unredacted")
    scene.alike(room, host, guest, fellow)


@flow("history visibility: joined")
def joined_visibility(scene):
    by_visibility(scene, "joined", ["after the join"])


@flow("history visibility: invited")
def invited_visibility(scene):
    by_visibility(scene, "invited", ["after the invite", "after the join"])


@flow("history visibility: shared")
def shared_visibility(scene):
    by_visibility(scene, "shared", ["before all", "before the invite", "after the invite", "after the join"])


@flow("history visibility: world_readable")
def world_readable(scene):
    by_visibility(scene, "world_readable", ["before all", "before the invite", "after the invite", "after the join"])


@flow("history visibility changes, and a server that came late is given only what it may see")
def changing_visibility(scene):
    host, guest = scene.people()
    room = scene.room(host, preset="public_chat")
    host.send(room, "shared, one")
    host.set_state(room, "m.room.history_visibility", {"history_visibility": "joined"})
    host.send(room, "for members")
    host.set_state(room, "m.room.history_visibility", {"history_visibility": "shared"})
    hidden = host.bodies(room)[-1]
    host.send(room, "shared, two")
    guest.join(room, [host.server_name])
    scene.membership(host, room, guest, "join")
    texts = told(guest, room)
    expect_equal([text for text in texts if text], ["shared, one", "shared, two"], "what the guest sees")
    secret = [event["event_id"] for event in host.all_events(room) if event["content"].get("body") == hidden][0]
    status, answer = scene.world.signed(scene.guest, scene.host, "GET", f"/_matrix/federation/v1/event/{quoted(secret)}")
    expect(status in (403, 404) or answer["pdus"][0]["content"] == {}, f"what the late server is given: {answer}")
    scene.alike(room, host, guest)


@flow("an event by its time")
def by_time(scene):
    host, guest = scene.people()
    room = scene.room(host, preset="public_chat")
    early = host.send(room, "early")
    stamp = host.call("GET", f"/rooms/{quoted(room)}/event/{quoted(early)}")["origin_server_ts"]
    scene.until(lambda: milliseconds() > stamp + 5, "time goes on")
    late = host.send(room, "late")
    for number in range(30):
        last = host.send(room, f"filler {number}")
    guest.join(room, [host.server_name])
    scene.membership(host, room, guest, "join")
    scene.sees(host, room, last)
    for user in (host, guest):
        for ts, direction, wanted in ((stamp, "f", early), (stamp + 1, "f", late), (stamp + 1, "b", early)):
            answer = user.call("GET", f"/rooms/{quoted(room)}/timestamp_to_event?{query(ts=ts, dir=direction)}",
                               prefix="/_matrix/client/v1")
            expect_equal(answer["event_id"], wanted, f"{user.id}: {direction} of {ts - stamp}")
    around = guest.call("GET", f"/rooms/{quoted(room)}/context/{quoted(early)}?limit=4")
    expect_equal(around["event"]["event_id"], early)
    scene.alike(room, host, guest)


@flow("server access lists")
def access_list(scene):
    host, guest, room = scene.shared()
    event = scene.powers(host, room, users={guest.id: 100})
    scene.state_is(guest, room, "m.room.power_levels", event)
    scene.say_and_hear(guest, host, room, "allowed")
    event = host.set_state(room, "m.room.server_acl", {"allow": ["*"], "deny": [guest.server_name.split(":")[0]],
                                                       "allow_ip_literals": True})
    # The list is by name without port, and all our names are localhost: both deny each other now.
    scene.until(lambda: any(each["event_id"] == event for each in host.call("GET", f"/rooms/{quoted(room)}/state")), "the list is set")
    for origin, target in ((scene.guest, scene.host), (scene.host, scene.guest)):
        if target is scene.guest and not guest_knows(guest, room, event):
            continue
        for path in (f"/_matrix/federation/v1/make_join/{quoted(room)}/{quoted('@new:' + origin.name)}?ver={scene.version}",
                     f"/_matrix/federation/v1/state_ids/{quoted(room)}?event_id={quoted(event)}",
                     f"/_matrix/federation/v1/backfill/{quoted(room)}?v={quoted(event)}&limit=5"):
            status, answer = scene.world.signed(origin, target, "GET", path)
            expect_equal((status, answer.get("errcode")), (403, "M_FORBIDDEN"), f"{path} at {target.kind}: {answer}")
    unheard = guest.send(room, "not heard")
    typed = host.sync()["next_batch"]
    guest.call("PUT", f"/rooms/{quoted(room)}/typing/{quoted(guest.id)}", {"typing": True, "timeout": 20_000})
    # What is sent later in another room arrives: then this has been refused.
    other_host, other_guest, other_room = scene.shared()
    scene.say_and_hear(other_guest, other_host, other_room, "heard")
    expect(host.request("GET", f"/rooms/{quoted(room)}/event/{quoted(unheard)}").status in (403, 404), "what was denied is not there")
    later = host.sync(typed)
    expect("m.typing" not in str(later.get("rooms", {}).get("join", {}).get(room, {})), "typing of a denied server")
    host.send(room, "we go on")
    # Neither hears the other, so each lifts the list at home, one after the other: Synapse forgets the old list before it has
    # the new one, and an event that comes in between makes it keep the old. What follows brings what either did meanwhile.
    for user in (host, guest):
        user.set_state(room, "m.room.server_acl", {"allow": ["*"], "allow_ip_literals": True})
        scene.say_and_hear(other_host, other_guest, other_room, "heard too")
    last = [user.send(room, f"{user.localpart} hears again") for user in (host, guest)]
    for user in (host, guest):
        scene.sees(user, room, unheard, *last)
    scene.alike(room, host, guest)


def guest_knows(guest, room, event):
    return guest.request("GET", f"/rooms/{quoted(room)}/event/{quoted(event)}").status == 200


@flow("media and thumbnails", versions=None, quick=True)
def media(scene):
    host, guest = scene.people()
    files = [(picture(640, 480), "image/png", "picture.png"), (bytes(range(256)) * 5000, "application/octet-stream", "ünï.bin")]
    if scene.host.kind == "fedchatd":       # Synapse 1.163 never ends its answer to another server for an empty file
        files.append((b"", "text/plain", "empty.txt"))
    for data, kind, name in files:
        answer = host.request("POST", f"/upload?{query(filename=name)}", data, "/_matrix/media/v3", {"Content-Type": kind})
        expect_equal(answer.status, 200, f"{answer}")
        media_id = answer.json["content_uri"].rsplit("/", 1)[1]
        for user in (host, guest):
            got = user.request("GET", f"/media/download/{host.server_name}/{media_id}", prefix="/_matrix/client/v1")
            expect_equal(got.status, 200, f"download of {name} by {user.id}: {got}")
            expect(got.body == data, f"{name}: {len(got.body)} bytes of {len(data)}")
            expect_equal(got.headers["Content-Type"].split(";")[0], kind)
            expect(name in got.headers["Content-Disposition"] or quoted(name).lower() in got.headers["Content-Disposition"].lower(),
                   f"{name}: {got.headers['Content-Disposition']}")
        expect_equal(guest.site.request("GET", f"/_matrix/client/v1/media/download/{host.server_name}/{media_id}").status, 401,
                     "without a token")
        # Over federation it comes in two parts, whatever Synapse and we make of it for clients.
        status, body = scene.world.signed(scene.guest, scene.host, "GET", f"/_matrix/federation/v1/media/download/{media_id}")
        expect_equal(status, 200)
        expect(data in body and b"application/json" in body.lower(), f"parts: {body[:300]}")
        if kind == "image/png":
            for width, height, method in ((96, 96, "crop"), (320, 240, "scale")):
                for user in (host, guest):
                    got = user.request("GET", f"/media/thumbnail/{host.server_name}/{media_id}?"
                                       + query(width=width, height=height, method=method), prefix="/_matrix/client/v1")
                    expect_equal(got.status, 200, f"thumbnail by {user.id}: {got}")
                    expect(got.headers["Content-Type"] in ("image/png", "image/jpeg", "image/webp"), got.headers["Content-Type"])
            status, body = scene.world.signed(scene.guest, scene.host, "GET", f"/_matrix/federation/v1/media/thumbnail/{media_id}?"
                                              + query(width=96, height=96, method="crop"))
            expect_equal(status, 200, f"{body[:300]}")
            expect(b"image/" in body, f"parts: {body[:300]}")
    missing = guest.request("GET", f"/media/download/{host.server_name}/nothingthere", prefix="/_matrix/client/v1")
    expect_equal((missing.status, missing.errcode), (404, "M_NOT_FOUND"))
