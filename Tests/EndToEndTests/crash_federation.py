#!/usr/bin/env python3
"""Two servers share a room; one, then the other, is killed while both sides send. In the end both hold the same events.

    crash_federation.py [--database sqlite|postgres|both] [--sends 400] [--kills 2]
"""
import argparse
import pathlib
import shutil
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from blackbox.certificates import Authority
from blackbox.matrix import quoted
from blackbox.postgres import Cluster
from blackbox.report import Run, eventually, expect, expect_equal
from blackbox.servers import Fedchatd


def both_talk(here, there, sends, kills):
    user, guest = here.user("alice"), there.user("bob")
    room = user.create_room(invite=[guest.id])
    eventually(lambda: room in guest.sync()["rooms"].get("invite", {}), "the invite arrives", 20)
    guest.join(room)
    acknowledged, lock, problems = {}, threading.Lock(), []
    up = {here: threading.Event(), there: threading.Event()}
    for each in up.values():
        each.set()

    def talk(server, who):
        for number in range(sends):
            text = f"{who.localpart} {number}"
            while True:
                up[server].wait()
                try:
                    answer = who.request("PUT", f"/rooms/{quoted(room)}/send/m.room.message/{number}", {"msgtype": "m.text", "body": text})
                except Exception:              # no answer: once more, once it is back
                    time.sleep(0.02)
                    continue
                if answer.status == 200:
                    with lock:
                        acknowledged[text] = answer.json["event_id"]
                    break
                if answer.status not in (429, 503):
                    problems.append(f"{text}: {answer}")
                    return
                time.sleep(0.05)

    threads = [threading.Thread(target=talk, args=pair) for pair in ((here, user), (there, guest))]
    for thread in threads:
        thread.start()
    victims = [here, there] * kills
    for number, victim in enumerate(victims):
        target = 2 * sends * (number + 1) // (len(victims) + 1)
        while len(acknowledged) < target and any(thread.is_alive() for thread in threads):
            time.sleep(0.005)
        up[victim].clear()
        victim.kill()
        time.sleep(0.3)
        victim.start()
        up[victim].set()
    for thread in threads:
        thread.join()
    expect_equal(problems, [])
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
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--database", choices=["sqlite", "postgres", "both"], default="both")
    options.add_argument("--sends", type=int, default=400)
    options.add_argument("--kills", type=int, default=2, help="of each server")
    options = options.parse_args()
    run = Run()
    for database in ("sqlite", "postgres") if options.database == "both" else (options.database,):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="crash"))
        cluster = Cluster() if database == "postgres" else None
        authority = Authority(folder / "ca")

        def server(name):
            return Fedchatd(folder / name, authority, cluster.create(name) if cluster else None)

        def go():
            with server("here") as here, server("there") as there:
                try:
                    both_talk(here, there, options.sends, options.kills)
                except Exception:
                    for each in (here, there):
                        print("        " + each.process.tail(15).replace("\n", "\n        "))
                    raise

        try:
            run.one(f"{database}: two servers, {options.sends} sends each, {options.kills} kills each", go)
        finally:
            if cluster:
                cluster.stop()
            shutil.rmtree(folder, ignore_errors=True)
    return run.close()


if __name__ == "__main__":
    sys.exit(main())
