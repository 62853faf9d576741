#!/usr/bin/env python3
"""Finding another server: literals, ports, .well-known, SRV records, 8448; IPv4 and IPv6; TLS names; private ranges.

    discovery.py [--server fedchatd|synapse] [--only WORD] [--keep]

Runs in a network and mount namespace of its own, with dnsmasq as the only name server, so that names such as b.test and
ports such as 443 are ours. Skips, and says so, where this user may not have one.
Spec: https://spec.matrix.org/v1.19/server-server-api/#server-discovery
"""
import contextlib
import os
import shutil
import subprocess
import sys
import time

from puppet import Puppet      # puts blackbox on the path

from blackbox import script
from blackbox.certificates import Authority
from blackbox.matrix import quoted
from blackbox.processes import Process, free_ports
from blackbox.report import Run, Skipped, expect, expect_equal
from blackbox.servers import Fedchatd, of_kind

INSIDE = "DISCOVERY_NAMESPACE"


def enter_namespace():
    """Starts this program again where 53, 443 and 8448 are free and /etc/resolv.conf is ours."""
    command = ["unshare", "--net", "--mount", "--propagation", "private"]
    if os.geteuid() != 0:
        command += ["--user", "--map-root-user"]
    if shutil.which("dnsmasq", path=os.environ["PATH"] + ":/usr/sbin") is None:
        return "dnsmasq is not installed"
    if subprocess.run([*command, "true"], capture_output=True).returncode:
        return "this user may not make a network namespace"
    os.execvpe(command[0], [*command, sys.executable, *sys.argv], {**os.environ, INSIDE: "1"})


class World:
    def __init__(self, folder, kind):
        self.folder, self.authority = folder, Authority(folder / "ca")
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        (folder / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        subprocess.run(["mount", "--bind", folder / "resolv.conf", "/etc/resolv.conf"], check=True)
        self.port, self.delegated, self.fed_srv, self.old_srv = free_ports(4)
        names = ["fallback", "withport", "delegating", "delegated", "delegatingsrv", "srvtarget", "srv", "oldsrv", "target",
                 "redirecting", "elsewhere", "garbage", "impostor", "localonly"]
        records = [f"--address=/{name}.test/127.0.0.1" for name in names]
        records += ["--address=/six.test/::1",
                    f"--srv-host=_matrix-fed._tcp.srv.test,target.test,{self.fed_srv}",
                    f"--srv-host=_matrix._tcp.oldsrv.test,target.test,{self.old_srv}",
                    f"--srv-host=_matrix-fed._tcp.srvtarget.test,target.test,{self.fed_srv}",
                    f"--srv-host=_matrix-fed._tcp.garbage.test,target.test,{self.fed_srv}"]
        self.dns = Process(["/usr/sbin/dnsmasq" if os.path.exists("/usr/sbin/dnsmasq") else "dnsmasq", "--no-daemon", "--no-hosts", "--no-resolv", "--local=/test/",
                            "--listen-address=127.0.0.1", "--bind-interfaces", "--pid-file", "--conf-file=/dev/null", *records],
                           folder / "dns.log")
        time.sleep(0.3)
        hosts = [f"{name}.test" for name in names if name not in ("impostor", "target")] + ["six.test"]
        self.puppets = {
            "443": Puppet(self.authority, "443", port=443, hosts=hosts + ["impostor.test"]),
            "8448": Puppet(self.authority, "8448", port=8448, hosts=hosts),
            "8448 on IPv6": Puppet(self.authority, "8448 on IPv6", bind="::1", port=8448, hosts=hosts),
            "port": Puppet(self.authority, "port", port=self.port, hosts=hosts),
            "port on IPv6": Puppet(self.authority, "port on IPv6", bind="::1", port=self.port, hosts=hosts),
            "delegated": Puppet(self.authority, "delegated", port=self.delegated, hosts=hosts),
            "SRV": Puppet(self.authority, "SRV", port=self.fed_srv, hosts=hosts),
            "old SRV": Puppet(self.authority, "old SRV", port=self.old_srv, hosts=hosts),
        }
        for name, puppet in self.puppets.items():
            puppet.answers[r"/_matrix/federation/v1/query/profile"] = lambda match, body, name=name: (200, {"displayname": name})
        self.puppets["443"].answers[r"/.well-known/matrix/server"] = self.well_known
        self.puppets["443"].answers[r"/moved"] = lambda match, body: (200, {"m.server": f"elsewhere.test:{self.delegated}"})
        self.server = of_kind(kind, folder / "server", self.authority)

    def well_known(self, match, body):
        host = self.puppets["443"].asked[-1][2]
        answers = {
            "delegating.test": (200, {"m.server": f"delegated.test:{self.delegated}"}),
            "delegatingsrv.test": (200, {"m.server": "srvtarget.test"}),
            "redirecting.test": (302, b"", ("Location", "https://elsewhere.test/moved")),
            "garbage.test": (200, b"<html>no JSON</html>"),
            "six.test": (404, {}),
        }
        return answers.get((host or "").split(":")[0], (404, {"errcode": "M_NOT_FOUND"}))

    def asks(self, name, expected, host=None, server=None):
        """Whom the server asks for a profile of that server name, and under which Host."""
        server = server or self.server
        for puppet in self.puppets.values():
            puppet.asked.clear()
        answer = server.asker.request("GET", f"/profile/{quoted('@someone:' + name)}")
        asked = {puppet: [request[2] for request in each.asked if "/query/profile" in request[1]] for puppet, each in self.puppets.items()}
        asked = {puppet: hosts for puppet, hosts in asked.items() if hosts}
        if expected is None:
            expect_equal(asked, {}, f"{name}: {answer}")
            expect(answer.status >= 400, f"{name}: {answer}")
            return
        expect_equal(list(asked), [expected], f"{name}: {answer}")
        expect_equal(answer.json.get("displayname"), expected, name)
        expect_equal(set(asked[expected]), {host or name}, f"the Host for {name}")

    def close(self):
        for puppet in self.puppets.values():
            puppet.close()
        self.dns.kill()


def literals(world):
    world.asks(f"127.0.0.1:{world.port}", "port")
    world.asks("127.0.0.1", "8448")


def literals_of_six(world):
    world.asks(f"[::1]:{world.port}", "port on IPv6")
    world.asks("[::1]", "8448 on IPv6")


def ports(world):
    world.asks(f"withport.test:{world.port}", "port")


def delegated(world):
    world.asks("delegating.test", "delegated", f"delegated.test:{world.delegated}")


def delegated_to_srv(world):
    world.asks("delegatingsrv.test", "SRV", "srvtarget.test")


def redirected(world):
    world.asks("redirecting.test", "delegated", f"elsewhere.test:{world.delegated}")


def records(world):
    world.asks("srv.test", "SRV")
    world.asks("oldsrv.test", "old SRV")


def garbage(world):
    world.asks("garbage.test", "SRV")


def fallback(world):
    world.asks("fallback.test", "8448")


def fallback_of_six(world):
    world.asks("six.test", "8448 on IPv6")


def impostor(world):
    """8448 answers with a certificate for other names."""
    world.asks("impostor.test", None)


def unknown(world):
    start = time.monotonic()
    world.asks("no-such-name.test", None)
    expect(time.monotonic() - start < 30, "it takes too long to say so")


def cached(world):
    world.asks("delegating.test", "delegated", f"delegated.test:{world.delegated}")
    asked = [request for request in world.puppets["443"].asked if ".well-known" in request[1]]
    expect_equal(asked, [], "the answer of .well-known is kept")


def private_ranges(world):
    if world.server.kind != "fedchatd":
        raise Skipped("the others are started so that they connect to private addresses")
    with Fedchatd(world.folder / "guarded", world.authority,
                  federation={"custom_ca_files": [str(world.authority.certificate)]}) as other:
        other.asker = other.user()
        for name in ("fallback.test", f"127.0.0.1:{world.port}", f"[::1]:{world.port}", f"withport.test:{world.port}", "six.test",
                     f"[::ffff:127.0.0.1]:{world.port}", "delegating.test", "srv.test"):
            world.asks(name, None, server=other)


CASES = [
    ("an IPv4 literal, with and without port", literals),
    ("an IPv6 literal, with and without port", literals_of_six),
    ("a name with a port", ports),
    ("a name that delegates to a host and port", delegated),
    ("a name that delegates to a name with an SRV record", delegated_to_srv),
    ("a .well-known that moved", redirected),
    ("a .well-known that is garbage", garbage),
    ("an SRV record, new and old", records),
    ("a plain name at 8448", fallback),
    ("a name with an IPv6 address only", fallback_of_six),
    ("a certificate for another name is refused", impostor),
    ("a name that does not exist is told soon", unknown),
    ("a delegation is kept for a while", cached),
    ("private addresses are refused unless allowed", private_ranges),
]


def main():
    options = script.options(__doc__, "server", "only", "keep").parse_args()
    if not os.environ.get(INSIDE):
        print(f"SKIPPED all of it: {enter_namespace()}\n0 passed, 0 failed, {len(CASES)} skipped")
        return 0
    run = Run()
    with (script.folder("discovery", options.keep) as folder, contextlib.closing(World(folder, options.server)) as world,
          world.server as server):
        server.asker = server.user()
        run.pairs(CASES, world, options.only)
    return run.close()


if __name__ == "__main__":
    sys.exit(main())
