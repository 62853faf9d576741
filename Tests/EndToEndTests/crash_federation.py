#!/usr/bin/env python3
"""Two servers share a room; one, then the other, is killed while both sides send. In the end both hold the same events.

    crash_federation.py [--database sqlite|postgres|both] [--sends 400] [--kills 2]
"""
import sys
import threading
import time

from blackbox import script
from blackbox.certificates import Authority
from blackbox.report import Run, eventually, expect, expect_equal
from blackbox.sending import Sending
from blackbox.servers import Fedchatd


def both_talk(here, there, sends, kills):
    user, guest = here.user("alice"), there.user("bob")
    room = user.create_room(invite=[guest.id])
    eventually(lambda: room in guest.sync()["rooms"].get("invite", {}), "the invite arrives", 20)
    guest.join(room)
    up = {here: threading.Event(), there: threading.Event()}
    for each in up.values():
        each.set()
    sending = Sending(room)
    acknowledged = sending.acknowledged
    threads = sending.threads(*((who, [(number, f"{who.localpart} {number}") for number in range(sends)], up[server].wait)
                                for server, who in ((here, user), (there, guest))))
    victims = [here, there] * kills
    for number, victim in enumerate(victims):
        sending.until(2 * sends * (number + 1) // (len(victims) + 1), threads)
        up[victim].clear()
        victim.kill()
        time.sleep(0.3)
        victim.start()
        up[victim].set()
    for thread in threads:
        thread.join()
    expect_equal(sending.problems, [])
    expect_equal(len(acknowledged), 2 * sends)

    def texts(who):
        found = {}
        for event in who.all_events(room):
            if event["type"] == "m.room.message":
                expect(found.setdefault(event["content"]["body"], event["event_id"]) == event["event_id"], f"twice: {event}")
        return found

    # A server that could not be reached is tried again after a pause that grows; a word from it ends the pause.
    start = time.monotonic()
    while texts(user) != acknowledged or texts(guest) != acknowledged:
        if time.monotonic() - start > 60:
            for who in (user, guest):
                lost = sorted(set(acknowledged) - set(texts(who)))
                print(f"        {who.id} lacks {len(lost)}: {lost[:5]}")
            raise AssertionError("not the same after 60 s")
        time.sleep(0.5)
    print(f"        the same on both after {time.monotonic() - start:.1f} s")
    for who, server in ((user, here), (guest, there)):
        last = who.send(room, f"last of {who.localpart}")
        for reader in (user, guest):
            eventually(lambda: last in {event["event_id"] for event in reader.messages(room)["chunk"]}, "the last word arrives", 30)


def main():
    options = script.options(__doc__, "databases")
    options.add_argument("--sends", type=int, default=400)
    options.add_argument("--kills", type=int, default=2, help="of each server")
    options, run = options.parse_args(), Run()

    def go(folder, databases):
        authority = Authority(folder / "ca")
        with (Fedchatd(folder / "here", authority, databases.create("here")) as here,
              Fedchatd(folder / "there", authority, databases.create("there")) as there):
            try:
                both_talk(here, there, options.sends, options.kills)
            except Exception:
                for each in (here, there):
                    print("        " + each.process.tail(15).replace("\n", "\n        "))
                raise

    for database in script.kinds(options.database):
        with script.folder("crash") as folder, script.Databases(database) as databases:
            run.one(f"{database}: two servers, {options.sends} sends each, {options.kills} kills each", go, folder, databases)
    return run.close()


if __name__ == "__main__":
    sys.exit(main())
