"""MCP messages of both eras, as a well-behaved client writes them."""

import base64
import json

from wire import http

MODERN = "2026-07-28"
LEGACY = ("2025-11-25", "2025-06-18", "2025-03-26")
VERSIONS = (MODERN,) + LEGACY
META = "io.modelcontextprotocol/"
BOTH = "application/json, text/event-stream"

# Where the Mcp-Name of a request comes from.
NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri",
         "tasks/get": "taskId", "tasks/update": "taskId",
         "tasks/cancel": "taskId"}

# Identifiers of extensions, and what a client declares for all of them.
TASKS, UI, SKILLS = META + "tasks", META + "ui", META + "skills"
APP_TYPE = "text/html;profile=mcp-app"


def declaring(*names, **more):
    """The _meta of a client that has these extensions. more: other client
    capabilities."""
    settings = {name: {"mimeTypes": [APP_TYPE]} if name == UI else {}
                for name in names}
    return client_meta(capabilities={"extensions": settings, **more})


def compact(value):
    return json.dumps(value, separators=(",", ":"),
                      ensure_ascii=False).encode("utf-8")


def sentinel(value):
    """A value as Mcp-Name and Mcp-Param-* carry it."""
    if isinstance(value, bool):
        value = "true" if value else "false"
    text = str(value)
    plain = all(c == "\t" or " " <= c <= "~" for c in text)
    quoted = text.startswith("=?base64?") and text.endswith("?=")
    if plain and text == text.strip(" \t") and not quoted:
        return text
    return "=?base64?%s?=" % base64.b64encode(text.encode()).decode()


def unsentinel(value):
    if value.startswith("=?base64?") and value.endswith("?="):
        return base64.b64decode(value[9:-2], validate=True).decode("utf-8")
    return value


def client_meta(version=MODERN, capabilities=None, **more):
    """The _meta that every modern request carries. more: logLevel and so on,
    or progressToken, which has no prefix."""
    meta = {META + "protocolVersion": version,
            META + "clientCapabilities": capabilities or {},
            META + "clientInfo": {"name": "test", "version": "1"}}
    for key, value in more.items():
        meta[key if key == "progressToken" else META + key] = value
    return meta


def modern_body(method, params=None, id=1, meta=None):
    params = dict(params or {})
    params["_meta"] = client_meta() if meta is None else meta
    message = {"jsonrpc": "2.0", "id": id, "method": method, "params": params}
    if id is None:
        del message["id"]
    return message


def modern_fields(method, params=None, version=MODERN):
    fields = {"MCP-Protocol-Version": version, "Mcp-Method": method}
    if method in NAMED and params and NAMED[method] in params:
        fields["Mcp-Name"] = sentinel(params[NAMED[method]])
    return fields


def legacy_body(method, params=None, id=1):
    message = {"jsonrpc": "2.0", "id": id, "method": method}
    if params is not None:
        message["params"] = params
    if id is None:
        del message["id"]
    return message


def initialize_params(version=LEGACY[0], capabilities=None):
    return {"protocolVersion": version, "capabilities": capabilities or {},
            "clientInfo": {"name": "test", "version": "1"}}


def post(body, fields=None, path="/mcp", host="localhost"):
    """A POST; fields replace the usual ones, None takes one out."""
    merged = {"Host": host, "Content-Type": "application/json", "Accept": BOTH}
    for name, value in (fields or {}).items():
        for known in list(merged):
            if known.lower() == name.lower():
                del merged[known]
        merged[name] = value
    if not isinstance(body, bytes):
        body = compact(body)
    return http("POST", path, merged.items(), body)


def modern(method, params=None, id=1, fields=None, meta=None, **where):
    """The bytes of a modern request."""
    version = (meta or {}).get(META + "protocolVersion", MODERN)
    merged = modern_fields(method, params, version)
    merged.update(fields or {})
    return post(modern_body(method, params, id, meta), merged, **where)


def legacy(method, params=None, id=1, fields=None, version=LEGACY[0],
           session=None, **where):
    """The bytes of a request of the handshake era."""
    merged = {}
    if method != "initialize":
        merged["MCP-Protocol-Version"] = version
    if session:
        merged["Mcp-Session-Id"] = session
    merged.update(fields or {})
    return post(legacy_body(method, params, id), merged, **where)
