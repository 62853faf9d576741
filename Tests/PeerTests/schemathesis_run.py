#!/usr/bin/env python3
"""Requests that schemathesis makes up from the specification's OpenAPI documents, right ones and wrong ones, on fedchatd.

    schemathesis_run.py [--examples N] [--seed N] [--only OPERATION] [--database sqlite|postgres] [--table FILE]

Each operation is a case: none of its answers may be a server error, or anything that its document does not say (see
blackbox/openapi.py), and one that the server has must succeed at least once, so that what is tried is not only how it refuses.
The requests are the same for the same seed. Operations that end a session or an account get a user of their own for each
request; for others schemathesis_scene.py makes what they need.
"""
import collections
import datetime
import json
import pathlib
import random
import sys
import time
import urllib.parse

here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent / "EndToEndTests"))

import hypothesis
import hypothesis.strategies as st
import schemathesis
from schemathesis import GenerationMode

import schemathesis_scene
from blackbox import openapi, openapi_exceptions, openapi_report, script
from blackbox.certificates import Authority
from blackbox.matrix import Site, quoted
from blackbox.processes import bytes_resident
from blackbox.report import Run, Skipped, expect

ENDS = {"logout", "logout_all", "deactivateAccount", "changePassword", "deleteDevice", "deleteDevices", "refresh",
        "setAdminLockUser", "setAdminSuspendUser"}      # after these nothing of the user, or of its rooms, may be left
BY_ADMIN = {"getWhoIs", "getAdminLockUser", "setAdminLockUser", "getAdminSuspendUser", "setAdminSuspendUser"}
LONGEST_WAIT = 50       # ms, for what would wait for something to happen
# Fewer requests than these may all be refused by chance.
EXAMPLES_TO_SUCCEED = 20

scene = None


def one_of(values):
    """One of the values that a scene has when it is asked for."""
    return st.deferred(lambda: st.builds(lambda pick: values(scene)[pick % len(values(scene))], st.integers(0, 11)))


def bundled():
    """All documents as one: paths in full, and every file that is referred to as a component."""
    components, paths = {}, {}

    def name_of(path):
        return path.replace("/", "_").replace("#", "_").replace(".yaml", "")

    def moved(value, home, keep_names=False):
        if isinstance(value, list):
            return [moved(each, home) for each in value]
        if not isinstance(value, dict):
            return value
        made = {}
        for key, each in value.items():
            if not keep_names and key in ("example", "examples", "description"):
                continue
            if key == "$ref" and isinstance(each, str) and not keep_names:
                made[key] = component(each, home)
            else:
                made[key] = moved(each, home, keep_names=key in openapi.BY_NAME and not keep_names)
        return made

    def component(reference, home):
        file, _, pointer = reference.partition("#")
        if file:
            joined = urllib.parse.urljoin("http://x/" + home, file)
            home = urllib.parse.urlsplit(joined).path[1:]
        name = name_of(home + ("#" + pointer.replace("/", "_") if pointer else ""))
        if name not in components:
            components[name] = None         # a schema may contain itself
            content = openapi.document(home)
            for part in pointer.split("/")[1:]:
                content = content[part]
            components[name] = moved(content, home)
        return f"#/components/schemas/{name}"

    for operation in openapi.Api().operations:
        if not operation.file.startswith("api/client-server"):
            continue
        value = {key: each for key, each in operation.value.items() if each is not None and key not in ("security", "tags")}
        value["responses"] = {"200": {"description": ""}}       # answers are judged by the witness
        value["operationId"], value["x-statuses"] = operation.id, sorted(operation.statuses)
        item = paths.setdefault(operation.route, {})
        if operation.method.lower() not in item:
            item[operation.method.lower()] = moved(value, operation.file)
    return {"openapi": "3.1.0", "info": {"title": "Matrix client-server API", "version": "1.19"}, "paths": paths,
            "components": {"schemas": components}}


def plain(value):
    """A value as text that can be in a URL."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


class Judge:
    """Sends what was made up for one operation, and lets the witness see it."""

    def __init__(self, operation, witness):
        self.operation, self.id = operation, operation.definition.raw["operationId"]
        self.documented = operation.definition.raw["x-statuses"]
        self.witness = witness
        self.statuses = collections.Counter()
        self.behind = collections.Counter()     # server errors that are allowed: status, code and why

    @property
    def succeeded(self):
        return sum(count for status, count in self.statuses.items() if status < 400)

    def target(self, case, chance):
        """The path with its query, and the path's parameters. Mostly a parameter is something that is there."""
        path, chosen = self.operation.path, {}
        for name, value in (case.path_parameters or {}).items():
            there = scene.known(name)
            if there and chance.random() < 0.8:
                value = chance.choice(there)
            chosen[name] = plain(value)
            path = path.replace("{" + name + "}", quoted(chosen[name]))
        query = []
        for name, value in (case.query or {}).items():
            if name in ("timeout", "timeout_ms") and isinstance(value, (int, float)):
                value = min(value, LONGEST_WAIT)
            there = scene.query(name)
            if there and chance.random() < 0.8:
                value = chance.choice(there)
            query += [(name, plain(each)) for each in (value if isinstance(value, list) else [value])]
        if "timeout" not in dict(query) and self.id in ("sync", "getEvents", "peekEvents"):
            query.append(("timeout", "0"))
        return path + ("?" + urllib.parse.urlencode(query) if query else ""), chosen

    def user(self, chance):
        if self.id in ENDS:
            scene.build()
        return scene.admin if self.id in BY_ADMIN and chance.random() < 0.8 else scene.user

    def body(self, case, user, path, chance):
        """The body's bytes, and their type."""
        body = case.body
        if type(body).__name__ == "NotSet":
            return None, {}
        kind = {"Content-Type": case.media_type or "application/json"}
        if type(body).__name__ == "Binary" or isinstance(body, (bytes, bytearray)):
            return bytes(getattr(body, "data", body)), kind
        if isinstance(body, dict) and chance.random() < 0.5:
            body = {**body, **scene.sound(self.id, user, path, 401 in self.documented)}
        return json.dumps(body).encode("utf-8", "surrogatepass"), kind

    def send(self, case, chance):
        user = self.user(chance)
        scene.set_up(self.id)
        token = None if chance.random() < 0.05 else user.token
        target, path = self.target(case, chance)
        body, headers = self.body(case, user, path, chance)
        answer = scene.server.site.request(case.method.upper(), target, body, token, headers)
        self.statuses[answer.status] += 1
        if answer.status >= 500:
            reason = self.allows(answer)
            if reason:
                self.behind[f"{answer.status} {answer.errcode}, {reason}"] += 1
            else:
                self.witness.broken.append((case.method.upper(), target, (body or b"")[:300], answer))

    def allows(self, answer):
        """Why a server error may be answered here; None when it may not."""
        if answer.status in self.documented:
            return "as documented"
        told = openapi_exceptions.common_error([], answer.status, answer)
        return told and openapi_exceptions.excuse(self.id, told, "") and "excused by name"

    def run(self, examples, seed):
        chance = random.Random(f"{seed} {self.id}")
        for mode, share in ((GenerationMode.POSITIVE, 2), (GenerationMode.NEGATIVE, 1)):
            try:
                strategy = self.operation.as_strategy(generation_mode=mode)
            except Exception as error:
                if mode is GenerationMode.NEGATIVE:     # nothing about it can be wrong
                    continue
                raise error
            count = max(1, examples * share // 3)

            @hypothesis.seed(seed)
            @hypothesis.settings(max_examples=count, deadline=None, database=None, phases=[hypothesis.Phase.generate],
                                 suppress_health_check=list(hypothesis.HealthCheck))
            @hypothesis.given(case=strategy)
            def attempt(case):
                self.send(case, chance)

            try:
                attempt()
            except (hypothesis.errors.Unsatisfiable, schemathesis.errors.SchemathesisError) as error:
                if mode is GenerationMode.POSITIVE:
                    raise Skipped(f"schemathesis makes no request of it: {type(error).__name__} {str(error)[:100]}")


def judged(judge, witness, server, options, notes):
    """One operation, as a case."""
    if not scene.holds():
        scene.build()
    judge.run(options.examples, options.seed)
    expect(server.process.runs, f"the server ended:\n{server.process.tail()}")
    wrong = {text: each for name, found in witness.deviations.items() for text, each in found.items() if each[1] == judge.id}
    expect(not wrong and not witness.broken, "\n".join(f"{count} times: {text}" for text, (count, _) in list(wrong.items())[:10])
           + "".join(f"\n{each}" for each in witness.broken[-2:]))
    if options.examples >= EXAMPLES_TO_SUCCEED and judge.id not in notes:
        expect(judge.succeeded, f"none succeeded: {openapi_report.told(judge.statuses)}")


def without_success():
    """Operations that cannot succeed here, and why: the table of conformance says it."""
    rows = openapi_report.conformance(openapi.Api())
    return {row["operationId"]: row["note"] if row["state"] == "done" else row["state"]
            for row in rows if row["state"] == "missing" or row["note"].startswith("404")}


def main():
    global scene
    options = script.options(__doc__, "database", "keep", "table")
    options.add_argument("--examples", type=int, default=20, help="requests for each operation")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--only", help="the operations with this in their id")
    options = options.parse_args()
    for name, values in schemathesis_scene.FORMATS.items():
        schemathesis.openapi.format(name, one_of(values))
    schema = schemathesis.openapi.from_dict(bundled())
    run, judges, notes = Run(), [], without_success()
    witness = openapi.Witness(judges_requests=False)
    start = time.monotonic()
    try:
        with (script.folder("schemathesis", options.keep) as folder, script.Databases(options.database) as databases,
              schemathesis_scene.server(folder / "server", Authority(folder / "ca"), databases.create("server")) as server):
            scene = schemathesis_scene.Scene(server)
            Site.witness = witness
            for result in schema.get_all_operations():
                judge = Judge(result.ok(), witness)
                if options.only and options.only not in judge.id:
                    continue
                judges.append(judge)
                witness.case, witness.broken = judge.id, []
                run.one(judge.id, judged, judge, witness, server, options, notes)
            memory = bytes_resident(server.process.id)
    finally:
        Site.witness = None
    report(judges, witness, options, notes, time.monotonic() - start, memory)
    return run.close()


def report(judges, witness, options, notes, seconds, memory):
    total = sum(judge.statuses.total() for judge in judges)
    behind = sum((judge.behind for judge in judges), collections.Counter())
    errors = sum(count for judge in judges for status, count in judge.statuses.items() if status >= 500) - behind.total()
    good = [judge for judge in judges if judge.succeeded]
    never = [judge for judge in judges if not judge.succeeded]
    summary = (f"{total} requests to {len(judges)} operations in {seconds:.0f} s, seed {options.seed}: {errors} server errors "
               f"(besides {openapi_report.told(behind) or 'none'}), {sum(map(len, witness.deviations.values()))} deviations; "
               f"{sum(judge.succeeded for judge in judges)} requests succeeded, of {len(good)} operations; memory {memory >> 20} MB at the end")
    print(summary)
    if not options.table:
        return
    lines = [f"# schemathesis, {datetime.date.today()}", "",
             f"`Tests/PeerTests/schemathesis_run.py --examples {options.examples} --seed {options.seed}` with schemathesis "
             f"{schemathesis.core.version.SCHEMATHESIS_VERSION}, on {options.database}, of commit {script.commit()}:", "", summary + ".", "",
             "Two thirds of the requests are right by their schema, one third wrong. An answer must have a documented status, error code, "
             "content type and shape; what is excused by name is in `Tests/EndToEndTests/blackbox/openapi_exceptions.py`.", "",
             "| operation | requests | succeeded | answers |", "| --- | ---: | ---: | --- |"]
    lines += [f"| {judge.id} | {judge.statuses.total()} | {judge.succeeded} | {openapi_report.told(judge.statuses)} |" for judge in good]
    lines += ["", "| without a success | requests | answers | why |", "| --- | ---: | --- | --- |"]
    lines += [f"| {judge.id} | {judge.statuses.total()} | {openapi_report.told(judge.statuses)} | {notes.get(judge.id, '?')} |"
              for judge in never]
    script.dated(options.table).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
