"""What runs out: the disk, the descriptors. Writes are refused, nothing that was acknowledged is lost, and it goes on."""
import os
import socket
import subprocess
import time

from blackbox.matrix import quoted
from blackbox.processes import bytes_resident
from blackbox.report import Skipped, case, eventually, expect, expect_equal


@case("a full disk refuses writes and still reads; with room again, it goes on", only="fedchatd")
def full_disk(world):
    if world.databases.kind == "postgres":
        raise Skipped("PostgreSQL has its own disk")
    folder = world.folder / f"other{world.count + 1}"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder], capture_output=True).returncode:
        raise Skipped("this user may not mount a small disk")
    try:
        other = world.another()
        with other:
            user = other.user()
            room = user.create_room()
            acknowledged = [user.send(room, f"before {number}") for number in range(20)]
            filler = folder / "filler"
            with open(filler, "wb", buffering=0) as file:
                try:
                    while True:
                        file.write(b"x" * 65536)
                except OSError:
                    pass
            refused = None
            for number in range(2000):
                answer = user.request("PUT", f"/rooms/{quoted(room)}/send/m.room.message/full{number}", {
                    "msgtype": "m.text", "body": f"full {number} " + "x" * 5000})
                if answer.status != 200:
                    refused = answer
                    break
                acknowledged.append(answer.json["event_id"])
            expect(refused is not None, "the disk never filled up")
            expect(refused.status >= 500 and refused.errcode, f"{refused}")
            expect_equal(other.site.request("GET", "/health").status, 200)
            page = user.messages(room, "b", 10)
            expect(page["chunk"], "reading goes on")
            expect(other.process.runs, "the server runs")
            filler.unlink()

            def sends():
                answer = user.request("PUT", f"/rooms/{quoted(room)}/send/m.room.message/after", {"msgtype": "m.text", "body": "after"})
                if answer.status == 200:
                    acknowledged.append(answer.json["event_id"])
                return answer.status == 200

            eventually(sends, "it writes again", 20)
            other.restart()
            found = [event["event_id"] for event in user.all_events(room) if event["type"] == "m.room.message"]
            expect_equal(sorted(set(acknowledged) - set(found)), [], "acknowledged, but lost")
            expect_equal(len(found), len(set(found)), "none twice")
    finally:
        subprocess.run(["umount", "--lazy", folder], capture_output=True)


@case("spent descriptors keep new clients waiting, and do no other harm", only="fedchatd")
def descriptors(world):
    other = world.another()
    command = other.command
    other.command = lambda: ["prlimit", "--nofile=256:256", *command()]
    with other:
        user = other.user()
        room = user.create_room()
        user.send(room, "before")
        links = []
        try:
            for _ in range(400):
                link = socket.socket()
                link.settimeout(2)
                try:
                    link.connect((other.site.host, other.site.port))
                except OSError:
                    link.close()
                    continue
                links.append(link)
            time.sleep(1)
            expect(other.process.runs, "the server runs")
            spent = cpu_seconds(other.process.id)
            time.sleep(2)
            expect(cpu_seconds(other.process.id) - spent < 1.5, "it spins while it cannot accept")
        finally:
            for link in links:
                link.close()
        other.site.forget_connection()

        def answers():
            try:
                return other.site.request("GET", "/_matrix/client/versions").status == 200
            except OSError:
                return False

        eventually(answers, "new clients are answered again", 20)
        user.send(room, "after")
        expect_equal(user.bodies(room), ["before", "after"])


def cpu_seconds(process_id):
    with open(f"/proc/{process_id}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@case("three hundred waiting clients cost little, and all are woken")
def many_waiting(world):
    count = 300
    user = world.server.user()
    room = user.create_room()
    since = user.sync()["next_batch"]
    before = bytes_resident(world.server.process.id)
    links = []
    request = (f"GET /_matrix/client/v3/sync?timeout=30000&since={quoted(since)} HTTP/1.1\r\nHost: x\r\n"
               f"Authorization: Bearer {user.token}\r\n\r\n").encode()
    try:
        for _ in range(count):
            link = socket.create_connection((world.site.host, world.site.port), timeout=20)
            link.sendall(request)
            links.append(link)
        time.sleep(1)
        grown = bytes_resident(world.server.process.id) - before
        user.send(room, "wake up, all of you")
        for link in links:
            answer = link.recv(65536)
            while b"wake up, all of you" not in answer:
                part = link.recv(65536)
                expect(part, f"closed after {answer[:200]!r}")
                answer += part
        expect(grown < count * 400_000, f"{grown // count} bytes for each waiting client")
    finally:
        for link in links:
            link.close()
