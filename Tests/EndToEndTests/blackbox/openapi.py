"""Checks requests and answers against the specification's OpenAPI documents (spec/openapi, JSON Schema 2020-12).

Needs PyYAML and jsonschema-rs: `Tests/PeerTests/install openapi` has them. What the documents get wrong, or leave to the
prose, is in openapi_exceptions.py, each entry with its clause; everything else that they do not say is a deviation.
"""
import collections
import itertools
import json
import pathlib
import re
import urllib.parse

import jsonschema_rs
import yaml

from . import openapi_exceptions as known
from .identifiers import FORMATS

ROOT = pathlib.Path(__file__).resolve().parents[3] / "spec/openapi"
SCHEME = "https://spec.invalid/"
METHODS = {"get", "put", "post", "delete"}
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# Where JSON Schema has schemas below a schema: by name, as a list, as one.
BY_NAME, AS_LIST, AS_ONE = {"properties", "patternProperties", "$defs"}, {"allOf", "oneOf", "anyOf"}, {"items", "additionalProperties"}
LEFT_OUT = {"example", "examples", "description", "title", "summary"}
# A name with a dot in it, or of a proposal, is a namespace of its own, which any object may have.
NAMESPACED = {"\\.|^msc[0-9]+_": True}


def closed(schema, shut=True):
    """The schema, which now also refuses properties that it does not name (`shut`), at every depth. Objects of which
    nothing is named stay open, as does what says itself what more it may have."""
    if not isinstance(schema, dict):
        return schema
    made = {}
    for key, value in schema.items():
        if key in LEFT_OUT:
            continue
        if key in BY_NAME:
            made[key] = {name: closed(each, name not in known.OPEN_PROPERTIES) for name, each in value.items()}
        elif key in AS_LIST:
            made[key] = [closed(each, False) for each in value]
            shut = shut and not any(each == {"type": "object"} for each in made[key])
        elif key in AS_ONE:
            made[key] = closed(value)
        else:
            made[key] = value
    says = made.keys() & {"properties", "$ref", "allOf", "oneOf", "anyOf"}
    if shut and says and not made.keys() & {"additionalProperties", "unevaluatedProperties", "patternProperties"}:
        made["unevaluatedProperties"] = False
        made["patternProperties"] = NAMESPACED
    return made


_documents = {}


def document(path):
    if path not in _documents:
        content = yaml.load((ROOT / path).read_text(), LOADER)
        for file, where, value, _ in known.AMENDMENTS:
            if file == path:
                target = content
                for part in where[:-1]:
                    target = target[part]
                target[where[-1]] = value
        _documents[path] = content
    return _documents[path]


def whole(value, content):
    """The value, where it or a part of it is a `$ref` into the same document (parameters, responses)."""
    while isinstance(value, dict) and value.get("$ref", "").startswith("#/"):
        target = content
        for part in value["$ref"][2:].split("/"):
            target = target[part]
        value = {**target, **{key: each for key, each in value.items() if key != "$ref"}}
    return value


def retrieve(uri):
    """What a `$ref` leads to: a file whose whole is a schema."""
    path = urllib.parse.unquote(uri[len(SCHEME):])
    content = document(path)
    if "openapi" in content:
        return {"components": {"schemas": {name: from_outside(closed(each, shut=False), path.rsplit("/", 1)[1])
                                           for name, each in content["components"]["schemas"].items()}}}
    return closed(content, shut=False)


def from_outside(value, file):
    """A schema taken out of its document: what it refers to there is named with the file."""
    if isinstance(value, dict):
        return {key: file + each if key == "$ref" and each.startswith("#/") else from_outside(each, file)
                for key, each in value.items()}
    return [from_outside(each, file) for each in value] if isinstance(value, list) else value


def validator(schema, path):
    return jsonschema_rs.Draft202012Validator(
        from_outside(closed(schema), path.rsplit("/", 1)[1]), retriever=retrieve, base_uri=f"{SCHEME}{path}?part",
        formats=FORMATS, validate_formats=True)


def complaints(of, instance):
    """What is wrong with the instance, a few at most."""
    errors = [(list(error.instance_path), error.message) for error in itertools.islice(of.iter_errors(instance), 50)]

    def follows(place, message):
        """Where a property is wrong, it also counts as one that nobody named: said once is enough."""
        return message.startswith("Unevaluated") and any(
            other[:len(place)] == place and (len(other) > len(place) or not told.startswith("Unevaluated"))
            for other, told in errors)

    return ["/" + "/".join(map(str, place)) + ": " + message[:300]
            for place, message in errors if not follows(place, message)][:3]


class Operation:
    """One endpoint: its route, and what it takes and answers."""

    def __init__(self, path, base, route, method, value):
        self.file, self.method, self.value = path, method.upper(), value
        self.id = value["operationId"]
        self.route = base + route.strip()
        self.parts = self.route.split("/")
        self.parameters = {(each["in"], each["name"]): each for each in value["parameters"]}
        self.codes = set(re.findall(r"\bM_[A-Z_]+\b", json.dumps(value, default=str)))
        for name in re.findall(r"definitions/(?:errors/)?\w+\.yaml", json.dumps(value, default=str)):
            self.codes |= set(re.findall(r"\bM_[A-Z_]+\b", (ROOT / "api/client-server" / name).read_text()
                                         if (ROOT / "api/client-server" / name).exists() else ""))
        self._validators = {}

    def schema_validator(self, key, schema):
        if key not in self._validators:
            self._validators[key] = validator(schema, self.file)
        return self._validators[key]

    @property
    def statuses(self):
        return {int(status) for status in self.value["responses"]}

    @property
    def rank(self):
        """Of two routes that fit one path, the one with the earlier literal part is meant."""
        return tuple(part.startswith("{") for part in self.parts)

    def fits(self, parts):
        if len(parts) != len(self.parts):
            return False
        return all(ours.startswith("{") or ours == theirs for ours, theirs in zip(self.parts, parts))

    def misfit(self, query, body):
        """How little a request looks like one of this operation: two may share a path, and differ in what they are sent."""
        names = {name for place, name in self.parameters if place == "query"}
        missing = [name for (place, name), each in self.parameters.items()
                   if place == "query" and each.get("required") and name not in query]
        return len(missing) + len(query.keys() - names - {"access_token"}) + len(self.body_complaints(body, None))

    def query_complaints(self, query):
        found = []
        for (place, name), parameter in self.parameters.items():
            if place != "query" or name not in query:
                continue
            schema = parameter["schema"]
            value = query[name] if schema.get("type") == "array" else query[name][-1]
            try:
                if schema.get("type") in ("integer", "number"):
                    value = int(value)
                elif schema.get("type") == "boolean":
                    value = {"true": True, "false": False}[value]
            except (ValueError, KeyError):
                pass
            found += [f"?{name}{each}" for each in complaints(self.schema_validator(("query", name), schema), value)]
        return found

    def body_complaints(self, body, content_type):
        """What is wrong with a request that the server took."""
        wanted = self.value.get("requestBody")
        if not wanted:
            return []
        if not body:
            return ["the body is missing"] if wanted.get("required") and "application/json" in wanted["content"] else []
        json_content = wanted["content"].get("application/json")
        if not json_content:
            return []
        try:
            value = json.loads(body)
        except ValueError:
            return ["the body is no JSON"]
        return complaints(self.schema_validator("body", json_content["schema"]), value)

    def answer_complaints(self, status, headers, body):
        """What is wrong with an answer whose status is documented."""
        response = self.value["responses"][str(status)]
        found = []
        for name, header in response.get("headers", {}).items():
            if header.get("required") and not headers.get(name):
                found.append(f"the header {name} is missing")
        content = response.get("content")
        kind = (headers.get("Content-Type") or "").split(";")[0].strip().lower()
        if not content or status in (301, 302, 307, 308):
            return found
        if kind not in content:
            if "application/json" in content or status >= 400:
                found.append(f"Content-Type is {kind or 'missing'}, documented: {', '.join(content)}")
            return found
        if kind == "application/json":
            try:
                value = json.loads(body)
            except ValueError:
                return found + ["the body is no JSON"]
            if status >= 400 and isinstance(value, dict):
                own = known.ERROR_KEYS.get(value.get("errcode"), ())
                value = {key: each for key, each in value.items() if key not in own}
            found += complaints(self.schema_validator(("answer", status), content[kind].get("schema", {})), value)
        return found


class Api:
    """All operations of the client-server API and of the push gateway."""

    def __init__(self):
        self.operations = []
        for folder in ("api/client-server", "api/push-gateway"):
            for file in sorted((ROOT / folder).glob("*.yaml")):
                path = str(file.relative_to(ROOT))
                content = document(path)
                base = content["servers"][0]["variables"]["basePath"]["default"]
                for route, item in content["paths"].items():
                    shared = item.get("parameters", [])
                    for method in METHODS & item.keys():
                        value = dict(item[method])
                        value["parameters"] = [whole(each, content) for each in shared + value.get("parameters", [])]
                        value["responses"] = {status: whole(each, content) for status, each in value["responses"].items()}
                        value["requestBody"] = whole(value.get("requestBody"), content)
                        self.operations.append(Operation(path, base, route, method, value))

    def on_path(self, path):
        parts = path.split("/")
        return sorted((each for each in self.operations if each.fits(parts)), key=lambda each: each.rank)

    def find(self, method, path):
        """The operations of one route and method (two where the documents have a path twice), and the methods that the
        path knows."""
        here = self.on_path(path)
        best = [each for each in here if each.rank == here[0].rank]
        return [each for each in best if each.method == method], {each.method for each in best}


_server_made = {}


def event_complaints(value):
    """Of the events that a server makes itself, what is wrong with them; at any depth."""
    found = []
    if isinstance(value, dict):
        kind, content = value.get("type"), value.get("content")
        if kind in known.SERVER_MADE_EVENTS and isinstance(content, dict):
            path = f"event-schemas/schema/{kind}.yaml"
            if kind not in _server_made:
                _server_made[kind] = jsonschema_rs.Draft202012Validator(
                    closed({"$ref": path.rsplit("/", 1)[1]}, shut=False), retriever=retrieve, base_uri=f"{SCHEME}{path}?part",
                    formats=FORMATS, validate_formats=True)
            found += [f"{kind}{each}" for each in complaints(_server_made[kind], value)]
        for each in value.values():
            found += event_complaints(each)
    elif isinstance(value, list):
        for each in value:
            found += event_complaints(each)
    return found[:5]


class Witness:
    """Sees every request of a run and its answer; keeps what was wrong, and what was proven."""

    def __init__(self, judges_requests=True):
        self.api, self.judges_requests = Api(), judges_requests
        self.case = "before the first case"
        self.module = None
        self.seen = 0
        self.outside = collections.Counter()
        self.statuses = collections.defaultdict(collections.Counter)          # operation id -> status -> how many were right
        self.proven_by = collections.defaultdict(collections.Counter)         # operation id -> module -> right successes
        self.deviations = collections.defaultdict(dict)                       # operation id -> text -> (count, first case)
        self.excused = collections.Counter()

    def enter(self, case):
        self.case, self.module = case.sentence, case.function.__module__.removeprefix("cases.")

    def deviation(self, operation, text):
        clause = known.excuse(operation, text, self.case)
        if clause:
            self.excused[clause] += 1
            return
        count, case = self.deviations[operation].get(text, (0, self.case))
        self.deviations[operation][text] = (count + 1, case)

    def __call__(self, method, target, sent_headers, sent, answer):
        path, _, query = target.partition("?")
        path = re.sub(r"^/_matrix/(client|media)/r0/", r"/_matrix/\1/v3/", path)       # said by clients older than v1.1
        if not path.startswith(("/_matrix/client", "/_matrix/media", "/.well-known/matrix/client",
                                "/.well-known/matrix/support", "/.well-known/matrix/policy")) or method == "OPTIONS":
            self.outside[path.split("/")[1]] += 1
            return
        self.seen += 1
        if known.is_unstable(path, urllib.parse.parse_qs(query, keep_blank_values=True)):
            self.outside["unstable"] += 1
            if answer.status >= 500:
                self.deviation(f"{method} {path}", f"{answer.status} {answer.errcode}")
            return
        operations, methods = self.api.find(method, path)
        if len(operations) > 1:
            asked = urllib.parse.parse_qs(query, keep_blank_values=True)
            operations = [min(operations, key=lambda each: each.misfit(asked, sent))]
        name = " or ".join(each.id for each in operations) or "no documented operation"
        found = [] if answer.headers.get("Access-Control-Allow-Origin") == "*" else ["the answer has no CORS header"]
        if not operations:
            found += self.unknown(method, path, methods, answer)
        else:
            found += self.answered(operations, query, sent_headers, sent, answer)
        for text in found:
            self.deviation(name, text)
        if operations and not found:
            for each in operations:
                self.statuses[each.id][answer.status] += 1
                if answer.status < 400 and self.module:
                    self.proven_by[each.id][self.module] += 1

    def unknown(self, method, path, methods, answer):
        """What is outside the specification is refused as the specification says."""
        wanted = 405 if methods else 404
        if (answer.status, answer.errcode) == (wanted, "M_UNRECOGNIZED"):
            return []
        return [f"{method} {path}: {answer.status} {answer.errcode}, wanted {wanted} M_UNRECOGNIZED"]

    def answered(self, operations, query, sent_headers, sent, answer):
        status = answer.status
        found = []
        if status < 300 and self.judges_requests:
            asked = urllib.parse.parse_qs(query, keep_blank_values=True)
            wrong = [each.query_complaints(asked) + each.body_complaints(sent, sent_headers.get("Content-Type"))
                     for each in operations]
            if all(wrong):
                found += [f"{status} to a request that is wrong: {each}" for each in min(wrong, key=len)]
        documented = [each for each in operations if status in each.statuses]
        wrong = [each.answer_complaints(status, answer.headers, answer.body) for each in documented]
        if not documented or all(wrong):
            common = known.common_error(operations, status, answer)
            if common is None:
                pass
            elif not documented:
                found.append(common)
            else:
                found += [f"{status}: {each}" for each in min(wrong, key=len)]
        elif status >= 400:
            code = known.undocumented_code(operations, answer)
            if code:
                found.append(code)
        if status == 200 and "json" in (answer.headers.get("Content-Type") or ""):
            try:
                found += event_complaints(json.loads(answer.body))
            except ValueError:
                pass
        return found
