#!/usr/bin/env python3
"""Rooms of many members are joined without them and completed afterwards: fedchatd and Synapse, over TLS on loopback.

    partial_join.py [--members 300] [--database sqlite|postgres] [--versions 12,11] [--others 60] [--only WORDS] [--table FILE]
                    [--keep]

A puppet server fills a room with its users. Then the other server joins: the seconds until the join is answered, until a
client that loads members lazily has the room, and until all members are known are printed. Both sides talk meanwhile, and
afterwards the state on both sides is compared event by event. In the first of the room versions all of it is done, with rooms
of --members; in each of the others each of the two joins the other's room of --others, which is more than fedchatd tells at
once. --table writes the seconds as Markdown, beside those of Synapse joining Synapse.
"""
import os
import pathlib
import sqlite3
import sys
import time

from puppet import Puppet, event_id, references
from synapse_server import Synapse      # puts blackbox on the path

from blackbox import script
from blackbox.certificates import Authority
from blackbox.matrix import quoted, timeline
from blackbox.report import Run, expect, expect_equal, eventually
from blackbox.servers import Fedchatd

LAZY = {"room": {"state": {"lazy_load_members": True}}}
PER_TRANSACTION = 50
# What the joins took: answered, usable, heard, whole.
took = []


def full_state(user, room):
    """The whole state by key; waits where the server does."""
    return {(each["type"], each["state_key"]): each["event_id"] for each in user.call("GET", f"/rooms/{quoted(room)}/state")}


def filled(server, authority, members, version):
    """A user of the server's with a room in which a puppet has many users: (user, room, puppet)."""
    host = server.user("host")
    room = host.create_room(room_version=version, name="Large", preset="public_chat")
    puppet = Puppet(authority)
    seen = puppet.join(server, room, "member0")
    seen.state[("m.room.join_rules", "")] = next(
        event for event in seen.state.values() if event["type"] == "m.room.join_rules")
    base = [("m.room.power_levels", ""), ("m.room.join_rules", "")]
    if version != "12":
        base.insert(0, ("m.room.create", ""))
    auth = references([event_id(seen.state[key], version) for key in base], version)
    joins = []
    for number in range(1, members):
        user = f"@member{number}:{puppet.name}"
        event = puppet.sealed({
            "type": "m.room.member", "room_id": room, "sender": user, "state_key": user, "depth": seen.depth + 1,
            "content": {"membership": "join", "displayname": f"Member {number}"}, "prev_events": references([seen.last], version),
            "auth_events": auth, "origin_server_ts": int(time.time() * 1000)}, version=version)
        seen.last, seen.depth = event_id(event, version), event["depth"]
        joins.append(event)
    for start in range(0, len(joins), PER_TRANSACTION):
        while True:
            status, answer = puppet.send(server, joins[start:start + PER_TRANSACTION])
            if status != 429:
                break
            time.sleep(1)
        expect(status == 200, f"the room could not be filled: {status} {answer}")
        # Synapse drops events of a room of which too many wait.
        last = quoted(event_id(joins[start:start + PER_TRANSACTION][-1], version))
        eventually(lambda: host.request("GET", f"/rooms/{quoted(room)}/event/{last}").status == 200, "the members are in", seconds=60)
    eventually(lambda: len(host.call("GET", f"/rooms/{quoted(room)}/joined_members")["joined"]) == members + 1,
               "the room is full", seconds=60 + members // 10)
    return host, room, puppet


def shown(room, text):
    return lambda answer: any(each["content"].get("body") == text for each in timeline(answer, room))


def joined(host, guest, room, members, via, meanwhile=lambda: None):
    """The guest joins; both talk; all becomes known. Prints the seconds it took."""
    start = time.monotonic()
    guest.join(room, via)
    answered = time.monotonic() - start
    meanwhile()
    guest.sync_until(lambda answer: room in answer["rooms"].get("join", {}), filter=LAZY)
    usable = time.monotonic() - start
    guest.send(room, "from the guest, at once")
    host.sync_until(shown(room, "from the guest, at once"), seconds=60, filter=LAZY)
    sent = time.monotonic() - start
    host.send(room, "from the host, meanwhile")
    guest.sync_until(shown(room, "from the host, meanwhile"), seconds=60, filter=LAZY)

    eventually(lambda: guest.request("GET", f"/rooms/{quoted(room)}/joined_members").status == 200, "the members are known", seconds=300)
    whole = time.monotonic() - start
    print(f"        {members} members: join answered after {answered:.2f} s, lazily loading client has it after {usable:.2f} s, "
          f"message arrived after {sent:.2f} s, all members known after {whole:.2f} s", flush=True)
    took.append((answered, usable, sent, whole))
    eventually(lambda: full_state(guest, room) == full_state(host, room), "both sides have the same state", seconds=60)
    expect_equal(len(full_state(guest, room)), len(full_state(host, room)), "the state's size")
    expect_equal(sorted(guest.call("GET", f"/rooms/{quoted(room)}/joined_members")["joined"]),
                 sorted(host.call("GET", f"/rooms/{quoted(room)}/joined_members")["joined"]), "the members")
    guest.sync_until(lambda answer: room in answer["rooms"].get("join", {}), seconds=60)       # eager
    guest.send(room, "afterwards")
    host.sync_until(shown(room, "afterwards"), seconds=60, filter=LAZY)


def came_partially(server, room):
    """Whether fedchatd joined without the members; None where the database cannot be looked into."""
    file = server.folder / "fedchatd.db"
    if not file.exists():
        return None
    link = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        return link.execute("SELECT COUNT(*) FROM partial_rooms p JOIN rooms r ON r.room_nid = p.room_nid "
                            "WHERE r.room_id = ? AND p.completed IS NOT NULL AND r.flags & 1 = 0", (room,)).fetchone()[0] == 1
    finally:
        link.close()


def ours_joined_by_synapse(ours, theirs, authority, members, version):
    host, room, puppet = filled(ours, authority, members, version)
    try:
        joined(host, theirs.user("guest"), room, members, [ours.name])
    finally:
        puppet.close()
    log = (theirs.folder / "homeserver.log").read_text(errors="replace")
    expect(f"Clearing partial-state flag for {room}" in log, "Synapse did not join with partial state")


def theirs_joined_by_us(ours, theirs, authority, members, version):
    host, room, puppet = filled(theirs, authority, members, version)
    try:
        joined(host, ours.user("guest"), room, members, [theirs.name])
    finally:
        puppet.close()
    expect(came_partially(ours, room) is not False, "fedchatd did not join with partial state")


def synapse_joined_by_synapse(other, theirs, authority, members, version):
    host, room, puppet = filled(other, authority, members, version)
    try:
        joined(host, theirs.user("guest"), room, members, [other.name])
    finally:
        puppet.close()


def table(rows, options):
    """The seconds of each join."""
    lines = [f"# Joining a room of {options.members:,} members, {time.strftime('%Y-%m-%d')}", "",
             f"`partial_join.py --members {options.members} --database {options.database} --table`: room version "
             f"{options.versions[0]}, TLS on loopback, {os.cpu_count()} cores, each pair once, in one run. Seconds from the request to join.", "",
             "| what | join answered | a client that loads members lazily has the room | its message has arrived | all members known |",
             "| --- | ---: | ---: | ---: | ---: |"]
    lines += [f"| {sentence} | " + " | ".join(f"{each:.2f}" for each in seconds) + " |" for sentence, seconds in rows]
    return "\n".join(lines) + "\n"


def killed_meanwhile(ours, theirs, authority, members, version):
    def kill():
        ours.kill()
        ours.start()
    host, room, puppet = filled(theirs, authority, members, version)
    try:
        joined(host, ours.user("guest"), room, members, [theirs.name], kill)
    finally:
        puppet.close()


def resident_goes_away(ours, theirs, third, authority, members, version):
    """The server that answered the join is stopped at once; another that is in the room tells the rest."""
    host, room, puppet = filled(third, authority, members, version)
    try:
        away = theirs.user("away")
        away.join(room, [third.name])

        eventually(lambda: full_state(away, room) == full_state(host, room), "the third server has it", seconds=120)
        guest = ours.user("guest")
        joined(host, guest, room, members, [theirs.name], theirs.stop)
        theirs.start()
        away.sync_until(shown(room, "afterwards"), seconds=120, filter=LAZY)
    finally:
        puppet.close()


def main():
    options = script.options(__doc__, "database", "only", "keep")
    options.add_argument("--members", type=int, default=300)
    options.add_argument("--versions", type=lambda text: text.split(","), default=["12"], help="room versions")
    options.add_argument("--others", type=int, default=60, help="members of the rooms of all versions but the first")
    options.add_argument("--table", help="a file that gets the seconds, beside those of Synapse joining Synapse")
    options, run = options.parse_args(), Run()
    with script.folder("partial", options.keep) as folder, script.Databases(options.database) as databases:
        authority = Authority(folder / "ca")
        rows = []

        main_version, *others = options.versions

        def one(sentence, function, *arguments, version=main_version, members=options.members):
            if options.only in sentence:
                took.clear()
                run.one(sentence, function, *arguments, authority, members, version)
                if version == main_version:
                    rows.extend((sentence, seconds) for seconds in took)

        with (Fedchatd(folder / "ours", authority, databases.create("ours")) as ours,
              Fedchatd(folder / "third", authority, databases.create("third")) as third,
              Synapse(folder / "theirs", authority) as theirs):
            for server in (ours, third, theirs):        # a request for all members waits for them
                server.site.timeout = 300
                server.site.forget_connection()
            one("Synapse joins our room without its members", ours_joined_by_synapse, ours, theirs)
            one("we join Synapse's room without its members", theirs_joined_by_us, ours, theirs)
            one("we join our own kind's room without its members", theirs_joined_by_us, ours, third)
            if options.table:
                with Synapse(folder / "other", authority) as other:
                    other.site.timeout = 300
                    one("Synapse joins Synapse's room", synapse_joined_by_synapse, other, theirs)
            for version in others:
                more = {"version": version, "members": options.others}
                one(f"Synapse joins our room without its members, version {version}", ours_joined_by_synapse, ours, theirs, **more)
                one(f"we join Synapse's room without its members, version {version}", theirs_joined_by_us, ours, theirs, **more)
            one("we are killed before all members are known", killed_meanwhile, ours, theirs)
            one("the server that answered our join goes away", resident_goes_away, ours, theirs, third)
        if options.table:
            pathlib.Path(options.table).write_text(table(rows, options))
    return run.close()


if __name__ == "__main__":
    sys.exit(main())
