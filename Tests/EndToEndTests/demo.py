#!/usr/bin/env python3
"""Two organisations talk, end to end encrypted; see script/demo.

    demo.py [--peer fedchatd|synapse] [--keep]
"""
import contextlib
import sys
import time

from blackbox import script
from blackbox.certificates import Authority
from blackbox.people import Person
from blackbox.report import expect, expect_equal
from blackbox.servers import Fedchatd, of_kind

TALK = [("alice", "Is the kettle on?"), ("bob", "It is. Earl Grey or Assam?"), ("alice", "Assam, please, with a drop of milk."),
        ("bob", "Coming right up.")]
AFTER = [("alice", "We restarted our server; are you still there?"), ("bob", "So did we, and yes: ünverändert 🫖")]


def tell(text=""):
    print(text, flush=True)


def everything_kept(server, cluster=None):
    """All that a server has on its disk or in its database, as bytes."""
    parts = {}
    for path in sorted(server.folder.rglob("*")):
        if path.is_file():
            parts[str(path.relative_to(server.folder))] = path.read_bytes()
    if cluster:
        parts["the PostgreSQL database"] = cluster.dump("b")
    return parts


def main():
    options = script.options(__doc__, "keep")
    options.add_argument("--peer", choices=["fedchatd", "synapse"], default="fedchatd", help="who serves organisation B")
    options, start = options.parse_args(), time.monotonic()
    with (script.folder("demo", options.keep) as folder, contextlib.ExitStack() as stack,
          script.Databases("postgres" if options.peer == "fedchatd" else "sqlite") as databases):
        authority = Authority(folder / "ca")
        a, b = Fedchatd(folder / "a", authority), of_kind(options.peer, folder / "b", authority, databases.create("b"))
        for letter, server, database in (("A", a, "SQLite"), ("B", b, "PostgreSQL" if databases.cluster else "Synapse on SQLite")):
            tell(f"Organisation {letter} is {server.name}, on {database}, with TLS from a throw-away authority.")
            stack.enter_context(server)

        people = [stack.enter_context(contextlib.closing(Person(name, server, folder / "people")))
                  for name, server in (("alice", a), ("bob", b))]
        alice, bob = people
        for person in people:
            person.register()
            tell(f"{person.id} registers.")
        room = alice.ask("create", "--name", "Kitchen")["room_id"]
        tell(f"alice makes the room Kitchen: {room}")
        alice.do("invite", room, bob.id)
        bob.do("join", room)
        tell("alice invites bob; bob joins.")

        said = []
        for round_of_talk in (TALK, AFTER):
            for name, text in round_of_talk:
                speaker, listener = (alice, bob) if name == "alice" else (bob, alice)
                speaker.do("send", room, "-m", text)
                said.append(text)
                listener.hear_texts(room, said)
            if round_of_talk is TALK:
                tell("Both servers restart.")
                for server in (a, b):
                    server.restart()

        transcripts = {person.name: person.hear_texts(room, said) for person in people}
        for name, transcript in transcripts.items():
            expect_equal([text for _, text in transcript], said, f"what {name} reads")
        tell("\nWhat both read:\n")
        for sender, text in transcripts["bob"]:
            tell(f"  {sender}: {text}")

        tell()
        for server in (a, b):
            server.stop()
        for letter, kept in (("A", everything_kept(a)), ("B", everything_kept(b, databases.cluster))):
            expect(any(b"m.megolm.v1.aes-sha2" in data for data in kept.values()), f"{letter} keeps encrypted events")
            for name, data in kept.items():
                for text in said:
                    expect(text.encode() not in data, f"{letter}: {name} holds {text!r}")
            tell(f"Organisation {letter}: {len(kept)} files and databases, {sum(map(len, kept.values()))} bytes: encrypted events, "
                 f"and none of the {len(said)} messages in the clear.")
        tell(f"\nDone in {time.monotonic() - start:.0f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
