#!/usr/bin/env python3
"""A server under test and two Synapses on a network that can fail: each flow in each room version and direction.

    synapse_flows.py [--quick] [--flows WORD,…] [--versions 12,11] [--directions WORD] [--jobs N] [--repeat N]
                     [--json] [--table FILE] [--server fedchatd|synapse] [--database sqlite|postgres] [--list] [--keep]

`--quick` is what every change must pass: the main flows in versions 11 and 12, the slow ones in 12. `--table` writes Markdown; DATE in the
file's name becomes today's. With `--server synapse` Synapse is its own peer: what fails there is not the server's fault.
"""
import concurrent.futures
import contextlib
import datetime
import json
import ssl
import subprocess
import sys
import time
import traceback

from synapse_server import Synapse, python      # puts blackbox on the path

from blackbox import script
from blackbox.certificates import Authority
from blackbox.report import Skipped
from blackbox.servers import of_kind, program

import flows
from flows.network import Network
from flows.scene import Scene, World

SIGNS = {"passed": "pass", "failed": "**FAIL**", "skipped": "skipped", "does not apply": "–", "not run": ""}


class Case:
    def __init__(self, flow, version, direction):
        self.flow, self.version, self.direction = flow, version, direction
        self.outcome, self.reason, self.trace, self.seconds = "not run", "", "", 0.0
        if not flow.applies(version):
            self.outcome, self.reason = "does not apply", flow.clause

    @property
    def sentence(self):
        return f"{self.flow.name}, {f'version {self.version}, ' if self.version else ''}{self.direction}"

    def run(self, world):
        start = time.monotonic()
        try:
            self.flow.function(Scene(world, self.direction, self.version))
            self.outcome = "passed"
        except Skipped as reason:
            self.outcome, self.reason = "skipped", str(reason)
        except Exception as error:
            self.outcome, self.reason = "failed", f"{type(error).__name__}: {error}"
            self.trace = traceback.format_exc(limit=-5).strip()
        self.seconds = round(time.monotonic() - start, 2)
        return self

    def tell(self, out):
        print(f"{'ok' if self.outcome == 'passed' else self.outcome.upper():7} {self.sentence} ({self.seconds:.2f} s)"
              + (f": {self.reason}" if self.outcome == "skipped" else ""), file=out)
        if self.trace:
            print("        " + self.trace.replace("\n", "\n        "), file=out)
        out.flush()


def chosen(options):
    words = [word.strip() for word in options.flows.split(",") if word.strip()]
    versions = options.versions.split(",") if options.versions else flows.ALL[10:] if options.quick else flows.ALL
    cases = []
    for flow in flows.registered():
        if (words and not any(word in flow.name for word in words)) or (options.quick and not flow.quick):
            continue
        for version in flow.versions or [None]:
            # What runs alone takes seconds, so a quick run has it once.
            if version is None or version in (versions[-1:] if options.quick and flow.alone else versions):
                cases += [Case(flow, version, direction) for direction in flow.directions if options.directions in direction]
    return cases


@contextlib.contextmanager
def world(options, folder):
    authority = Authority(folder / "ca")
    with contextlib.closing(Network()) as network, script.Databases(options.database) as databases:
        ours = of_kind(options.server, folder / "ours", authority, databases.create("ours"), network.relay(),
                       presence={"enabled": True, "federate": True},
                       outbound={"allow_private_addresses": True, "verify_tls": False}, policy_server={"enabled": True, "refused_words": [flows.REFUSED]})
        servers = [ours, *(Synapse(folder / name, authority, network.relay()) for name in ("first", "second"))]
        with contextlib.ExitStack() as stack:
            for server in servers:
                server.site.timeout = 90
                network.attach(server)
                stack.enter_context(server)
            yield World(network, *servers, ssl.create_default_context(cafile=str(authority.certificate)))


def run(cases, options, here, out):
    """What breaks the network or stops servers runs alone, after all else."""
    todo = [case for case in cases if case.outcome == "not run"]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for done in concurrent.futures.as_completed([pool.submit(case.run, here) for case in todo if not case.flow.alone]):
            done.result().tell(out)
    for case in todo:
        if case.flow.alone:
            case.run(here).tell(out)


def versions_told(options):
    ask = "import importlib.metadata as m; print('Synapse', m.version('matrix-synapse'))"
    theirs = subprocess.run([str(python()), "-c", ask], capture_output=True, text=True).stdout.strip()
    ours = subprocess.run([str(program()), "--version"], capture_output=True, text=True).stdout.strip()
    return f"{ours if options.server == 'fedchatd' else theirs} ({options.database}) and {theirs}"


def table(cases, told):
    """A row for each flow and direction, a column for each room version."""
    rows = {}
    for case in cases:
        rows.setdefault((case.flow, case.direction), {})[case.version] = case
    columns = [version for version in flows.ALL if any(version in row for row in rows.values())]
    counts = {outcome: sum(case.outcome == outcome for case in cases) for outcome in SIGNS}
    lines = [f"# The server and Synapse, {datetime.date.today()}", "",
             f"{told}, over TLS on loopback. \"Our room\": made on fedchatd, the guest is Synapse's; \"their room\": the other",
             "way round. \"We create\", \"we pass on\", \"we come third\": which of three servers fedchatd is. \"–\": the room",
             "version does not have it; the clause says since when.", "",
             ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count) + ".", "",
             "| flow | direction | any | " + " | ".join(columns) + " | clause |",
             "| --- | --- | --- | " + "--- | " * len(columns) + "--- |"]
    for (flow, direction), row in rows.items():
        cells = [SIGNS[row[version].outcome] if version in row else "" for version in [None, *columns]]
        clause = flow.clause if any(case.outcome == "does not apply" for case in row.values()) else ""
        lines.append(f"| {flow.name} | {direction} | " + " | ".join(cells) + f" | {clause} |")
    bad = [case for case in cases if case.outcome in ("failed", "skipped")]
    if bad:
        lines += ["", "## What did not pass", ""] + [f"- {case.sentence}: {case.reason[:300]}" for case in bad]
    return "\n".join(lines) + "\n"


def main():
    parser = script.options(__doc__, "server", "database", "table", "keep")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--flows", default="", help="run those whose names have one of these words")
    parser.add_argument("--versions", default="", help="room versions")
    parser.add_argument("--directions", default="", help="run those directions that have this word")
    parser.add_argument("--jobs", type=int, default=3, help="how many flows at once")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="the outcomes as JSON on standard output, all else on standard error")
    parser.add_argument("--list", action="store_true", help="print the flows and end")
    options = parser.parse_args()
    out = sys.stderr if options.json else sys.stdout
    cases = [case for _ in range(options.repeat) for case in chosen(options)]
    if options.list:
        for flow in dict.fromkeys(case.flow for case in cases):
            print(f"{flow.name}: {', '.join(flow.versions or ['any'])}; {', '.join(flow.directions)}")
        return 0
    with script.folder("flows", options.keep, out) as folder, world(options, folder) as here:
        run(cases, options, here, out)
    if options.json:
        print(json.dumps([{"flow": case.flow.name, "version": case.version, "direction": case.direction, "outcome": case.outcome,
                           "reason": case.reason, "seconds": case.seconds} for case in cases], indent=1))
    if options.table:
        script.dated(options.table).write_text(table(cases, versions_told(options)))
    counts = {outcome: sum(case.outcome == outcome for case in cases) for outcome in SIGNS}
    for case in cases:
        if case.outcome == "failed":
            print(f"failed: {case.sentence}: {case.reason[:200]}", file=out)
    print(f"{counts['does not apply']} do not apply to their room version", file=out)
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped", file=out, flush=True)
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
