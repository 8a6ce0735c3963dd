"""operations.txt and bodies.txt: which operations there are, what they take,
and the checks that follow from that alone."""

import datetime
import pathlib
import re
import urllib.parse

HERE = pathlib.Path(__file__).parent
FIELD = re.compile(r"([^:!=\[]+)(?::([^!=\[]*))?((?:\[\])*)(!?)(?:=(.*))?$")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d{1,2}:\d\d(:\d\d(\.\d+)?)?"
                  r"(Z|[+-]\d\d:?\d\d)$")
NUMBERS = {"int": int, "float": (int, float)}


class ServiceError(Exception):
    """An error as the services answer it."""

    def __init__(self, status, code, message, **more):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.more = more


def invalid(message):
    return ServiceError(400, "InvalidParameter", message)


def missing(name):
    return ServiceError(400, "MissingParameter",
                        "The %s parameter is required." % name)


def not_found():
    return ServiceError(404, "NotAuthorizedOrNotFound",
                        "Authorization failed or requested resource not found.")


def incorrect_state(message):
    return ServiceError(409, "IncorrectState", message)


class Field:
    def __init__(self, word):
        self.name, kind, lists, required, values = FIELD.match(word).groups()
        self.type = kind or "str"
        self.depth = len(lists) // 2
        self.required = bool(required)
        self.values = values.split("|") if values else None

    def parse(self, text):
        """The value of a query parameter."""
        if self.values and text not in self.values:
            raise invalid("%s must be one of %s" % (
                self.name, ", ".join(self.values)))
        if self.type == "bool":
            if text.lower() not in ("true", "false"):
                raise invalid("%s must be true or false" % self.name)
            return text.lower() == "true"
        if self.type == "int":
            if not re.match(r"-?\d+$", text):
                raise invalid("%s must be a number" % self.name)
            return int(text)
        if self.type == "time" and not TIME.match(text):
            raise invalid("%s must be a time as in RFC 3339" % self.name)
        return text


def read_time(text):
    """A datetime of RFC 3339, also with hours of one digit."""
    match = re.match(r"(\d{4})-(\d\d)-(\d\d)T(\d{1,2}):(\d\d)(?::(\d\d))?"
                     r"(?:\.(\d+))?(Z|[+-]\d\d:?\d\d)$", text)
    if not match:
        raise invalid("not a time: %s" % text)
    *numbers, fraction, zone = match.groups()
    try:
        moment = datetime.datetime(*(int(n or 0) for n in numbers),
                                   int((fraction or "0").ljust(6, "0")[:6]),
                                   datetime.timezone.utc)
    except ValueError as error:
        raise invalid("not a time: %s (%s)" % (text, error))
    if zone != "Z":
        minutes = int(zone[1:3]) * 60 + int(zone[-2:])
        moment -= datetime.timedelta(
            minutes=minutes if zone[0] == "+" else -minutes)
    return moment


def write_time(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + "%03dZ" % (
        moment.microsecond // 1000)


class Operation:
    def __init__(self, service, client, words):
        self.service, self.client = service, client
        self.name, self.method, self.path, self.result, *rest = words
        self.full_name = "%s.%s" % (service, self.name)
        self.body, self.body_required = None, False
        for word in rest:
            if word.startswith("body:"):
                self.body_required = word.endswith("!")
                self.body = word[5:].rstrip("!")
        self.flags = {word[1:] for word in rest if word.startswith("+")}
        self.query = {}
        self.shape = self.result[0] if self.result[0] in "[{" else ""
        model = self.result.strip("[]{}")
        if model.endswith("Summary"):
            model = model[:-len("Summary")]
        self.kind = "%s/%s" % (service, model)
        self.segments = self.path.strip("/").split("/")
        self.names = [s[1:-1] for s in self.segments if s[0] == "{"]

    def check_query(self, text):
        """Values by name, of the parameters that the operation knows."""
        out = {}
        if text:
            for name, value in urllib.parse.parse_qsl(
                    text, keep_blank_values=True):
                field = self.query.get(name)
                if not field:
                    out.setdefault(name, value)
                elif field.depth:
                    # Some lists repeat the name, others have commas.
                    for one in value.split(",") if field.values else [value]:
                        out.setdefault(name, []).append(field.parse(one))
                else:
                    out[name] = field.parse(value)
        for field in self.query.values():
            if field.required and out.get(field.name) in (None, ""):
                raise missing(field.name)
        return out


class Models:
    def __init__(self, path=HERE / "bodies.txt"):
        self.rows = {}
        for line in path.read_text().splitlines():
            if not line.startswith("#") and line:
                service, name, *words = line.split(" ")
                base = None
                if words and words[0].startswith("extends:"):
                    base = words.pop(0)[8:]
                self.rows[service, name] = base, [Field(w) for w in words]

    def fields(self, service, name):
        base, fields = self.rows[service, name]
        return (self.fields(service, base) if base else []) + fields

    def check(self, service, name, value, path=""):
        if not isinstance(value, dict):
            raise ServiceError(400, "CannotParseRequest",
                               "%s must be an object" % (path or "the body"))
        for field in self.fields(service, name):
            here = path + field.name
            if value.get(field.name) is None:
                if field.required:
                    raise missing(here)
                continue
            self.check_field(service, field, value[field.name], here,
                             field.depth)

    def check_field(self, service, field, value, path, depth):
        if depth:
            if not isinstance(value, list):
                raise ServiceError(400, "CannotParseRequest",
                                   "%s must be a list" % path)
            for i, item in enumerate(value):
                self.check_field(service, field, item, "%s[%d]" % (path, i),
                                 depth - 1)
        elif (service, field.type) in self.rows:
            self.check(service, field.type, value, path + ".")
        elif field.type == "bool" and not isinstance(value, bool) or \
                field.type in NUMBERS and (
                    isinstance(value, bool) or
                    not isinstance(value, NUMBERS[field.type])) or \
                field.type in ("str", "time") and not isinstance(value, str):
            raise ServiceError(400, "CannotParseRequest",
                               "%s must be a %s" % (path, field.type))
        elif field.values and value not in field.values:
            raise invalid("%s must be one of %s" % (
                path, ", ".join(field.values)))
        elif field.type == "time":
            read_time(value)


class Catalog:
    """Finds the operation of a request."""

    def __init__(self, path=HERE / "operations.txt"):
        self.operations, self.tree = {}, {}
        service = client = operation = None
        for line in path.read_text().splitlines():
            words = line.split()
            if not words or line.startswith("#"):
                continue
            if words[0] == "service":
                service, client = words[1].split(".")
            elif line.startswith("\t\t"):
                fields = [Field(word) for word in words]
                operation.query = {field.name: field for field in fields}
            else:
                operation = Operation(service, client, words)
                self.add(operation)

    def add(self, operation):
        # One client's name in two clients of a service: the first keeps it.
        if operation.full_name in self.operations:
            operation.full_name = "%s.%s.%s" % (
                operation.service, operation.client, operation.name)
        self.operations[operation.full_name] = operation
        node = self.tree
        for segment in operation.segments:
            node = node.setdefault("{}" if segment[0] == "{" else segment, {})
        node.setdefault(("method", operation.method), operation)

    def find(self, method, path):
        """(operation, path parameters), (None, False) when the path is known
        and the method is not, (None, None) when neither is."""
        parts = path[1:].split("/") if path != "/" else []
        if parts and not parts[-1]:
            parts.pop()
        found = walk(self.tree, parts, 0)
        if found is None:
            return None, None
        node, values = found
        operation = node.get(("method", method))
        if operation is None:
            return None, False
        return operation, dict(zip(operation.names, (
            urllib.parse.unquote(value) for value in values)))


def walk(node, parts, at):
    """The node under which methods stand, literal segments first; the name of
    an object may hold slashes."""
    if at == len(parts):
        return (node, []) if any(isinstance(k, tuple) for k in node) else None
    if parts[at] in node:
        found = walk(node[parts[at]], parts, at + 1)
        if found:
            return found
    if "{}" in node:
        found = walk(node["{}"], parts, at + 1)
        if found:
            return found[0], [parts[at]] + found[1]
        if parts[at - 1] in ("o", "u") and parts[0] == "n":
            return node["{}"], ["/".join(parts[at:])]
    return None
