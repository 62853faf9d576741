#!/usr/bin/env python3
"""A server under test and Synapse, each other's federation, over TLS on loopback.

    synapse_smoke.py [--server fedchatd|synapse] [--database sqlite|postgres] [--versions 12,11,10] [--keep]

For each room version and in both directions: one side makes the room and invites, the other joins, both talk and
read both timelines, state and members agree, a redaction and a typing notice arrive, the guest leaves. Then either
side is restarted in between and nothing is lost.
"""
import argparse
import pathlib
import shutil
import sys
import tempfile

from synapse_server import Synapse      # puts blackbox on the path

from blackbox.certificates import Authority
from blackbox.matrix import quoted, timeline
from blackbox.postgres import Cluster
from blackbox.report import Run, expect, expect_equal
from blackbox.servers import Fedchatd


def invited(room):
    return lambda answer: room in answer["rooms"].get("invite", {})


def shown(room, event):
    return lambda answer: any(each["event_id"] == event for each in timeline(answer, room))


def talk(host, guest, room, count=3):
    """Both send in turn and wait for the other's; returns the texts in order."""
    texts, since = [], {each.id: each.sync()["next_batch"] for each in (host, guest)}
    for number in range(count):
        for speaker, listener in ((host, guest), (guest, host)):
            texts.append(f"{number} from {speaker.localpart}")
            event = speaker.send(room, texts[-1])
            answer = listener.sync_until(shown(room, event), since[listener.id])
            since[listener.id] = answer["next_batch"]
    return texts


def room_across(host_server, guest_server, version):
    host, guest = host_server.user("host"), guest_server.user("guest")
    room = host.create_room(room_version=version, name="Across", preset="private_chat")
    expect_equal(":" in room, version not in ("12",), "the shape of the room's id")
    host.send(room, "before the invite")
    host.invite(room, guest)
    seen = guest.sync_until(invited(room))
    state = seen["rooms"]["invite"][room]["invite_state"]["events"]
    kinds = {event["type"] for event in state}
    expect({"m.room.create", "m.room.member", "m.room.name"} <= kinds, f"invite state holds {kinds}")
    guest.join(room, [host.server_name])
    host.sync_until(lambda answer: any(
        event["type"] == "m.room.member" and event["state_key"] == guest.id and event["content"]["membership"] == "join"
        for event in timeline(answer, room)))
    texts = talk(host, guest, room)
    expect_equal([body for body in host.bodies(room) if body != "before the invite"], texts, "the host's timeline")
    expect_equal([body for body in guest.bodies(room) if body != "before the invite"], texts, "the guest's timeline")

    members = {each.id: sorted(each.call("GET", f"/rooms/{quoted(room)}/joined_members")["joined"]) for each in (host, guest)}
    expect_equal(members[host.id], sorted([host.id, guest.id]), "the host's members")
    expect_equal(members[guest.id], members[host.id], "the guest's members")
    states = [{(event["type"], event["state_key"]): event["event_id"]
               for event in each.call("GET", f"/rooms/{quoted(room)}/state")} for each in (host, guest)]
    expect_equal(states[0], states[1], "the two sides' state")

    wrong = host.send(room, "a slip of the pen")
    guest.sync_until(shown(room, wrong))
    redaction = host.call("PUT", f"/rooms/{quoted(room)}/redact/{quoted(wrong)}/{quoted(wrong)}", {"reason": "slip"})["event_id"]
    guest.sync_until(shown(room, redaction))
    kept = guest.call("GET", f"/rooms/{quoted(room)}/event/{quoted(wrong)}")
    expect_equal(kept["content"], {}, "the redacted event at the other side")

    since = guest.sync()["next_batch"]
    host.call("PUT", f"/rooms/{quoted(room)}/typing/{quoted(host.id)}", {"typing": True, "timeout": 20000})
    guest.sync_until(lambda answer: any(
        event["type"] == "m.typing" and host.id in event["content"]["user_ids"]
        for event in answer["rooms"].get("join", {}).get(room, {}).get("ephemeral", {}).get("events", [])), since)
    last = guest.send(room, "read this")
    host.sync_until(shown(room, last))
    since = guest.sync()["next_batch"]
    host.call("POST", f"/rooms/{quoted(room)}/receipt/m.read/{quoted(last)}", {})
    guest.sync_until(lambda answer: any(
        event["type"] == "m.receipt" and host.id in event["content"].get(last, {}).get("m.read", {})
        for event in answer["rooms"].get("join", {}).get(room, {}).get("ephemeral", {}).get("events", [])), since)

    host.set_state(room, "m.room.topic", {"topic": "told across"})
    guest.sync_until(lambda answer: any(
        event["type"] == "m.room.topic" for event in timeline(answer, room)))
    guest.leave(room)
    host.sync_until(lambda answer: any(
        event["type"] == "m.room.member" and event["state_key"] == guest.id and event["content"]["membership"] == "leave"
        for event in timeline(answer, room)))
    expect_equal(sorted(host.call("GET", f"/rooms/{quoted(room)}/joined_members")["joined"]), [host.id], "who is left")


def declined(host_server, guest_server):
    host, guest = host_server.user("host"), guest_server.user("guest")
    room = host.create_room()
    host.invite(room, guest)
    guest.sync_until(invited(room))
    guest.leave(room)
    host.sync_until(lambda answer: any(
        event["type"] == "m.room.member" and event["state_key"] == guest.id and event["content"]["membership"] == "leave"
        for event in timeline(answer, room)))


def joined_by_alias(host_server, guest_server):
    host, guest = host_server.user("host"), guest_server.user("guest")
    name = f"square{host.localpart}"
    room = host.create_room(preset="public_chat", room_alias_name=name)
    joined = guest.join(f"#{name}:{host_server.name}")
    expect_equal(joined, room)
    talk(host, guest, room, 1)


def looked_up(host_server, guest_server):
    host, guest = host_server.user("host"), guest_server.user("guest")
    host.call("PUT", f"/profile/{quoted(host.id)}/displayname", {"displayname": "The Host"})
    expect_equal(guest.call("GET", f"/profile/{quoted(host.id)}")["displayname"], "The Host")


def keys_across(host_server, guest_server):
    """Device keys are queried, a one-time key is claimed, and a to-device message arrives."""
    host, guest = host_server.user("host"), guest_server.user("guest")
    room = host.create_room()
    host.invite(room, guest)
    guest.sync_until(invited(room))
    guest.join(room, [host.server_name])
    host.call("POST", "/keys/upload", {
        "device_keys": {"user_id": host.id, "device_id": host.device, "algorithms": ["m.olm.v1.curve25519-aes-sha2"],
                        "keys": {f"curve25519:{host.device}": "a" * 43, f"ed25519:{host.device}": "b" * 43}, "signatures": {}},
        "one_time_keys": {"signed_curve25519:AAAA": {"key": "c" * 43, "signatures": {}}}})
    found = guest.call("POST", "/keys/query", {"device_keys": {host.id: []}})
    expect(host.device in found["device_keys"].get(host.id, {}), f"keys/query: {found}")
    claimed = guest.call("POST", "/keys/claim", {"one_time_keys": {host.id: {host.device: "signed_curve25519"}}})
    expect_equal(list(claimed["one_time_keys"][host.id][host.device]), ["signed_curve25519:AAAA"])
    guest.call("PUT", "/sendToDevice/test.note/1", {"messages": {host.id: {host.device: {"text": "psst"}}}})
    answer = host.sync_until(lambda answer: answer.get("to_device", {}).get("events"))
    expect_equal(answer["to_device"]["events"][0]["content"], {"text": "psst"})


def restarted(ours, theirs):
    """What is sent while the other side is down arrives once it is back, in order, once."""
    host, guest = ours.user("host"), theirs.user("guest")
    room = host.create_room()
    host.invite(room, guest)
    guest.sync_until(invited(room))
    guest.join(room, [host.server_name])
    texts = talk(host, guest, room, 1)
    theirs.stop()
    texts += [f"while they were away {number}" for number in range(3)]
    for text in texts[-3:]:
        host.send(room, text)
    ours.restart()
    theirs.start()
    host.send(room, "are you back?")
    guest.sync_until(lambda _: len(guest.bodies(room)) >= len(texts) + 1, seconds=60)
    expect_equal(guest.bodies(room), texts + ["are you back?"], "the guest's timeline")
    talk(host, guest, room, 1)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--server", choices=["fedchatd", "synapse"], default="fedchatd")
    options.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    options.add_argument("--versions", default="12,11,10")
    options.add_argument("--only", default="", help="run what has this in its sentence")
    options.add_argument("--keep", action="store_true", help="leave the servers' folders")
    options = options.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="smoke"))
    authority, cluster, run = Authority(folder / "ca"), None, Run()
    try:
        if options.server == "synapse":
            ours = Synapse(folder / "ours", authority)
        else:
            cluster = Cluster() if options.database == "postgres" else None
            ours = Fedchatd(folder / "ours", authority, cluster.create("ours") if cluster else None)

        def one(sentence, function, *arguments):
            if options.only in sentence:
                run.one(sentence, function, *arguments)

        with ours, Synapse(folder / "theirs", authority) as theirs:
            for version in options.versions.split(","):
                one(f"version {version}: our room, their guest", room_across, ours, theirs, version)
                one(f"version {version}: their room, our guest", room_across, theirs, ours, version)
            one("they decline our invite", declined, ours, theirs)
            one("we decline their invite", declined, theirs, ours)
            one("they join our public room by its alias", joined_by_alias, ours, theirs)
            one("we join their public room by its alias", joined_by_alias, theirs, ours)
            one("they look up our user's profile", looked_up, ours, theirs)
            one("we look up their user's profile", looked_up, theirs, ours)
            one("they query and claim our keys, and send to our device", keys_across, ours, theirs)
            one("we query and claim their keys, and send to their device", keys_across, theirs, ours)
            one("both restart in between, and nothing is lost", restarted, ours, theirs)
    finally:
        if cluster:
            cluster.stop()
        if options.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return run.close()


if __name__ == "__main__":
    sys.exit(main())
