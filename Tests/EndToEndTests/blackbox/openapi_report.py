"""What a Witness of openapi.py saw: as cases of a run, and as a table."""
import csv
import datetime
import email.message
import json
import pathlib

from . import script
from .matrix import Answer
from .openapi import Witness
from .report import expect

CONFORMANCE = pathlib.Path(__file__).resolve().parents[3] / "spec/conformance.tsv"


def told(statuses):
    return ", ".join(f"{status} × {count}" for status, count in sorted(statuses.items()))


def report(witness, run):
    """One line for each operation that was asked, as a case of its own."""
    run.one("the validator sees what is wrong with made-up answers", doubt)
    for each in sorted(set(witness.statuses) | set(witness.deviations)):
        def check(each=each):
            wrong = witness.deviations.get(each)
            if wrong:
                raise AssertionError("\n".join(f"{count} times, first in \"{case}\": {text}"
                                               for text, (count, case) in list(wrong.items())[:10]))
        run.one(f"{each} as the OpenAPI document has it: {told(witness.statuses[each])}", check)
    for clause, count in sorted(witness.excused.items()):
        print(f"excused {count} times: {clause}")
    rows = [each for each in witness.api.operations if each.file.startswith("api/client-server")]
    print(f"{witness.seen} answers checked; {sum(succeeded(witness, each.id) for each in rows)} of {len(rows)} operations gave "
          f"a success that is as documented; outside the specification: {dict(witness.outside)}")


def succeeded(witness, operation):
    return any(status < 400 for status in witness.statuses[operation])


def conformance(api):
    """The rows of spec/conformance.tsv for the operations that the documents have."""
    with open(CONFORMANCE, newline="") as file:
        return [row for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
                if row["api"] == "client-server" and row["operationId"] in {each.id for each in api.operations}]


def write_table(witness, path, server):
    rows = conformance(witness.api)
    done = [row for row in rows if succeeded(witness, row["operationId"])]
    lines = [
        f"# Endpoints against the OpenAPI documents, {datetime.date.today()}", "",
        f"`Tests/EndToEndTests/run.py --validate` of commit {script.commit()} on {server}: each request that was taken, and each answer, checked against",
        "its operation's schema in `spec/openapi`, which refuses properties that it does not name. What the documents leave to",
        "the prose is in `Tests/EndToEndTests/blackbox/openapi_exceptions.py`, with clauses.", "",
        f"{witness.seen} answers checked, {sum(map(len, witness.deviations.values()))} deviations. {len(done)} of {len(rows)}",
        "operations gave a success that is as documented; the others are below, with what the conformance table says of them.", "",
        "| operation | endpoint | proven by the cases of | answers that are as documented |", "| --- | --- | --- | --- |"]
    for row in rows:
        name = row["operationId"]
        if row in done:
            modules = ", ".join(sorted(witness.proven_by[name]))
            lines.append(f"| {name} | `{row['method']} {row['path'].strip()}` | {modules} | {told(witness.statuses[name])} |")
    lines += ["", "| without a success | endpoint | state | note |", "| --- | --- | --- | --- |"]
    lines += [f"| {row['operationId']} | `{row['method']} {row['path'].strip()}` | {row['state']} | {row['note']} |"
              for row in rows if row not in done]
    script.dated(path).write_text("\n".join(lines) + "\n")


def doubt():
    """A validator that finds nothing may be blind: it is shown what is wrong."""
    def complaints(method, path, sent, status, body, kind="application/json"):
        witness, headers = Witness(), email.message.Message()
        headers["Content-Type"], headers["Access-Control-Allow-Origin"] = kind, "*"
        witness(method, "/_matrix/client" + path, {}, json.dumps(sent).encode() if sent is not None else None,
                Answer(status, headers, json.dumps(body).encode()))
        return [text for each in witness.deviations.values() for text in each]

    right = {"joined_rooms": ["!a:example.org"]}
    expect(complaints("GET", "/v3/joined_rooms", None, 200, right) == [], "what is right is left alone")
    sync = {"next_batch": "s1", "rooms": {"join": {"!a:b": {"timeline": {"events": []}}}}}
    expect(complaints("GET", "/v3/sync?timeout=0", None, 200, sync) == [], "a sync that is right is left alone")
    error = {"errcode": "M_FORBIDDEN", "error": "no"}
    for what, arguments in {
        "a type": ("GET", "/v3/joined_rooms", None, 200, {"joined_rooms": [1]}),
        "a missing property": ("GET", "/v3/joined_rooms", None, 200, {}),
        "a property that nobody named": ("GET", "/v3/joined_rooms", None, 200, {**right, "surprise": 1}),
        "an identifier": ("GET", "/v3/account/whoami", None, 200, {"user_id": "@nobody"}),
        "a content type": ("GET", "/v3/joined_rooms", None, 200, right, "text/plain"),
        "a status": ("GET", "/v3/joined_rooms", None, 418, error),
        "a server error": ("GET", "/v3/joined_rooms", None, 500, {"errcode": "M_UNKNOWN", "error": "oh"}),
        "an error code": ("POST", "/v3/join/%23a:b", {}, 403, {"errcode": "M_SURPRISE", "error": "no"}),
        "an error without words": ("GET", "/v3/joined_rooms", None, 403, {"errcode": "M_FORBIDDEN"}),
        "a request": ("POST", "/v3/createRoom", {"visibility": 7}, 200, {"room_id": "!a:b"}),
        "a query": ("GET", "/v3/sync?timeout=soon", None, 200, sync),
        "the depth of a sync": ("GET", "/v3/sync", None, 200, {"next_batch": "s1", "rooms": {"join": {"!a:b": {"timeline": 1}}}}),
        "an event in a sync": ("GET", "/v3/sync", None, 200, {"next_batch": "s1", "rooms": {"join": {"!a:b": {"ephemeral": {
            "events": [{"type": "m.typing", "content": {"user_ids": "me"}}]}}}}}),
        "an endpoint that is none": ("GET", "/v3/nothing", None, 200, {}),
    }.items():
        expect(complaints(*arguments), f"{what} is wrong, and nobody saw it")
    twins()


def twins():
    """Two operations of one path are told apart by what they are sent."""
    def meant(method, path, sent):
        witness, headers = Witness(), email.message.Message()
        headers["Content-Type"], headers["Access-Control-Allow-Origin"] = "application/json", "*"
        witness(method, "/_matrix/client/v3" + path, {}, json.dumps(sent).encode() if sent is not None else None,
                Answer(403, headers, b'{"errcode":"M_FORBIDDEN","error":"no"}'))
        return set(witness.statuses)

    address = {"id_server": "id.example.org", "id_access_token": "x", "medium": "email", "address": "a@example.org"}
    for path, sent, operation in (("/rooms/!a:b/invite", {"user_id": "@a:b", "reason": "x"}, "inviteUser"),
                                  ("/rooms/!a:b/invite", {}, "inviteUser"), ("/rooms/!a:b/invite", address, "inviteBy3PID")):
        expect(meant("POST", path, sent) == {operation}, f"{path} with {sent}: {meant('POST', path, sent)}")
    for path, operation in (("/events?timeout=0", "getEvents"), ("/events?timeout=0&room_id=!a:b", "peekEvents")):
        expect(meant("GET", path, None) == {operation}, f"{path}: {meant('GET', path, None)}")
