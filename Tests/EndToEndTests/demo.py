#!/usr/bin/env python3
"""Two organisations talk, end to end encrypted; see script/demo.

    demo.py [--peer fedchatd|synapse] [--keep]
"""
import argparse
import pathlib
import re
import shutil
import sys
import tempfile
import time

here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here))

from blackbox.certificates import Authority
from blackbox.people import Person
from blackbox.postgres import Cluster
from blackbox.report import expect, expect_equal
from blackbox.servers import Fedchatd

TALK = [("alice", "Is the kettle on?"), ("bob", "It is. Earl Grey or Assam?"), ("alice", "Assam, please, with a drop of milk."),
        ("bob", "Coming right up.")]
AFTER = [("alice", "We restarted our server; are you still there?"), ("bob", "So did we, and yes: ünverändert 🫖")]


def tell(text=""):
    print(text, flush=True)


def everything_kept(server, cluster):
    """All that a server has on its disk or in its database, as bytes; hexadecimal bytes of a dump are decoded too."""
    parts = {}
    for path in sorted(server.folder.rglob("*")):
        if path.is_file():
            parts[str(path.relative_to(server.folder))] = path.read_bytes()
    if cluster and server.kind == "fedchatd":
        dump = cluster.dump("b").encode()
        parts["the PostgreSQL database"] = dump + b"\n".join(
            bytes.fromhex(found.decode()) for found in re.findall(rb"\\\\x([0-9a-f]+)", dump) if len(found) % 2 == 0)
    return parts


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--peer", choices=["fedchatd", "synapse"], default="fedchatd", help="who serves organisation B")
    options.add_argument("--keep", action="store_true", help="leave the servers' folder")
    options = options.parse_args()
    start = time.monotonic()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="demo"))
    authority, cluster, people, servers = Authority(folder / "ca"), None, [], []
    try:
        a = Fedchatd(folder / "a", authority)
        if options.peer == "synapse":
            sys.path.append(str(here.parent / "PeerTests"))
            from synapse_server import Synapse
            b = Synapse(folder / "b", authority)
        else:
            cluster = Cluster()
            b = Fedchatd(folder / "b", authority, cluster.create("b"))
        for letter, server, database in (("A", a, "SQLite"), ("B", b, "PostgreSQL" if cluster else "Synapse on SQLite")):
            tell(f"Organisation {letter} is {server.name}, on {database}, with TLS from a throw-away authority.")
            servers.append(server.start())

        alice, bob = Person("alice", a, folder / "people"), Person("bob", b, folder / "people")
        people += [alice, bob]
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
                for server in servers:
                    server.restart()

        transcripts = {person.name: person.hear_texts(room, said) for person in people}
        for name, transcript in transcripts.items():
            expect_equal([text for _, text in transcript], said, f"what {name} reads")
        tell("\nWhat both read:\n")
        for sender, text in transcripts["bob"]:
            tell(f"  {sender}: {text}")

        tell()
        for server in servers:
            server.stop()
        for letter, server in zip("AB", servers):
            kept = everything_kept(server, cluster)
            expect(any(b"m.megolm.v1.aes-sha2" in data for data in kept.values()), f"{letter} keeps encrypted events")
            for name, data in kept.items():
                for text in said:
                    expect(text.encode() not in data, f"{letter}: {name} holds {text!r}")
            tell(f"Organisation {letter}: {len(kept)} files and databases, {sum(map(len, kept.values()))} bytes: encrypted events, "
                 f"and none of the {len(said)} messages in the clear.")
        tell(f"\nDone in {time.monotonic() - start:.0f} s.")
        return 0
    finally:
        for person in people:
            person.close()
        for server in servers:
            if server.process.runs:
                server.stop()
        if cluster:
            cluster.stop()
        if options.keep:
            tell(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
