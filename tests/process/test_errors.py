"""The exact code and status of everything that can be wrong with a message,
and the connection goes on where the framing is intact."""

import json

import pytest

import backend as b
import messages
from backend import Backend
from harness import Gateway
from messages import (LEGACY, META, MODERN, client_meta, compact, legacy,
                      legacy_body, modern, modern_body, modern_fields, post)

# HTTP status, JSON-RPC code
PARSE = (400, -32700)
INVALID = (400, -32600)
HEADER = (400, -32020)
VERSION = (400, -32022)
META_MISSING = (400, -32602)
NO_METHOD = (404, -32601)
PARAMS = (200, -32602)

X_REGION = {"type": "object", "properties": {
    "region": {"type": "string", "x-mcp-header": "Region"},
    "count": {"type": "integer", "x-mcp-header": "Count"},
    "sure": {"type": "boolean", "x-mcp-header": "Sure"},
    "outer": {"type": "object", "properties": {
        "inner": {"type": "string", "x-mcp-header": "Inner"}}}}}


@pytest.fixture(scope="module")
def alpha():
    with Backend("alpha", tools=[
            b.tool("echo"), b.tool("mirror", inputSchema=X_REGION)],
            prompts=[b.prompt("p")],
            resources=[b.resource("x://one")]) as backend:
        yield backend


@pytest.fixture(scope="module")
def gateway(alpha):
    with Gateway(alpha, workers=1) as g:
        yield g


@pytest.fixture
def connection(gateway):
    with gateway.connect() as c:
        yield c
        # Whatever was sent, this connection still works.
        r = c.ask(legacy("ping", id="after"))
        assert r.json == {"jsonrpc": "2.0", "id": "after", "result": {}}


def expect(connection, data, status_code, id=None):
    status, code = status_code
    r = connection.ask(data)
    assert (r.status, r.code) == (status, code), r.body[:500]
    assert r.error["message"], "an error says what to do"
    assert r.type == "application/json"
    message = r.message
    assert message.get("id") == id
    if id is None:
        assert "id" not in message or message["id"] is None
    return r.error


# -- modern: rows 5 to 14 of the table, in their order


def meta_without(name):
    meta = client_meta()
    del meta[META + name]
    return meta


def body_with(**changes):
    body = modern_body("tools/list", id=7)
    for name, value in changes.items():
        if value is None:
            del body[name]
        else:
            body[name] = value
    return body


LIST = modern_fields("tools/list")
CALL = {"name": "alpha_echo", "arguments": {}}


@pytest.mark.parametrize("body", [
    b"", b" ", b"{", b"}", b'{"jsonrpc":"2.0",', b"tools/list", b"'x'",
    b'{"a":01}', b'{"a":1.}', b'{"a":.5}', b'{"a":+1}', b'{"a":NaN}',
    b'{"a":1e}', b'{"a":"\t"}', b'{"a":"\\x"}', b'{"a":"\\u12"}', b'{a:1}',
    b'{"a":1,}', b'{"a" 1}', b'{"a":"\xff"}', b'{"a":"\xc0\x80"}',
    b'{"a":"\xed\xa0\x80"}', b'{"a":"\xf4\x90\x80\x80"}', b'{"a":truE}',
    b"\xff\xfe{\0}\0", b'{"a":1} {"b":2}', b'{"a":1}x', b"[1,]", b"nul",
    b'/**/{"a":1}', b'{"a":1}\0'])
def test_not_json(connection, body):
    expect(connection, post(body, LIST), PARSE)


@pytest.mark.parametrize("body", [
    b"1", b'"x"', b"null", b"true", b"{}", b"[]",
    compact([modern_body("tools/list")]),
    compact(body_with(method=None, result={})),
    compact(body_with(method=None, error={"code": 1, "message": "x"})),
])
def test_not_a_request(connection, body):
    r = connection.ask(post(body, LIST))
    assert (r.status, r.code) == INVALID, r.body


@pytest.mark.parametrize("changes", [
    {"jsonrpc": "1.0"}, {"jsonrpc": 2.0}, {"jsonrpc": None},
    {"method": 1}, {"method": ["tools/list"]}, {"method": {}},
    {"id": 1.5}, {"id": True}, {"id": {}}, {"id": [1]},
    {"id": "x" * 5000}, {"params": []}, {"params": "x"}, {"params": 1}])
def test_bad_members(connection, changes):
    r = connection.ask(post(body_with(**changes), LIST))
    assert r.status == 400
    assert r.code == -32600 or "params" in changes and r.code == -32602


def test_null_id(connection):
    text = compact(body_with()).replace(b'"id":7', b'"id":null')
    expect(connection, post(text, LIST), INVALID)


@pytest.mark.parametrize("id", [0, -1, 7, 2 ** 53 - 1, "", "x", "ä" * 20,
                                "a\"b\\c", "\u2028"])
def test_id_comes_back(connection, id):
    r = connection.ask(modern("tools/list", id=id))
    assert r.message["id"] == id
    r = connection.ask(modern("no/such", id=id))
    assert r.message["id"] == id
    r = connection.ask(modern("tools/call", CALL, id=id))
    assert r.message["id"] == id and "result" in r.message


def test_big_integer_id_keeps_its_digits(connection):
    """Or is refused: beyond 2^53 not every client can read it back."""
    text = compact(body_with()).replace(b'"id":7', b'"id":9007199254740993')
    r = connection.ask(post(text, LIST))
    assert b'"id":9007199254740993' in r.body or (r.status, r.code) == INVALID


@pytest.mark.parametrize("name", ["protocolVersion", "clientCapabilities"])
def test_meta_is_required(connection, name):
    data = modern("tools/list", id=3, meta=meta_without(name),
                  fields={"MCP-Protocol-Version": MODERN})
    expect(connection, data, META_MISSING, 3)


def test_no_meta_at_all(connection):
    body = legacy_body("tools/list", id=3)
    for params in ({}, {"params": {}}, {"params": {"_meta": {}}}):
        expect(connection, post({**body, **params}, LIST), META_MISSING, 3)


@pytest.mark.parametrize("name, value", [
    ("protocolVersion", 1), ("protocolVersion", None),
    ("clientCapabilities", []), ("clientCapabilities", "x"),
    ("clientCapabilities", None), ("logLevel", "loud"), ("logLevel", 3)])
def test_meta_of_a_wrong_type(connection, name, value):
    meta = client_meta()
    meta[META + name] = value
    data = post(modern_body("tools/list", id=4, meta=meta), LIST)
    r = connection.ask(data)
    assert r.code == -32602 and r.status in (200, 400), r.body
    assert r.message["id"] == 4


def test_client_info_is_not_required(connection):
    r = connection.ask(modern("tools/list", meta=meta_without("clientInfo")))
    assert r.status == 200 and r.result["tools"]


@pytest.mark.parametrize("version", [
    None, "2025-11-25", "2099-01-01", "", "2026-07-28x", "2026-07-28, "
    "2026-07-28"])
def test_version_field_differs(connection, version):
    data = modern("tools/list", id=5, fields={"MCP-Protocol-Version": version})
    expect(connection, data, HEADER, 5)


def test_version_field_twice(connection):
    data = modern("tools/list", id=5)
    line = b"MCP-Protocol-Version: 2026-07-28\r\n"
    expect(connection, data.replace(line, line + line), HEADER, 5)


@pytest.mark.parametrize("version", ["2099-01-01", "2026-07-27", "x", ""])
def test_unsupported_version(connection, version):
    error = expect(connection, modern("tools/list", id=6,
                                      meta=client_meta(version)), VERSION, 6)
    assert error["data"]["requested"] == version
    supported = connection.ask(modern("server/discover")).result[
        "supportedVersions"]
    assert MODERN in error["data"]["supported"]
    assert set(error["data"]["supported"]) <= set(supported)


@pytest.mark.parametrize("fields", [
    {"Mcp-Method": None}, {"Mcp-Method": "tools/call"}, {"Mcp-Method": ""},
    {"Mcp-Method": "Tools/List"}, {"Mcp-Method": "tools/list, tools/list"}])
def test_method_field(connection, fields):
    expect(connection, modern("tools/list", id=8, fields=fields), HEADER, 8)


@pytest.mark.parametrize("name", [
    None, "", "alpha_Echo", "echo", "alpha_echo,alpha_echo",
    "=?base64?YWxwaGFfZWNo?=", "=?base64?YWxwaGFfZWNobw?=",
    "=?base64?YWxwaGFfZWNobw==", "=?BASE64?YWxwaGFfZWNobw==?=",
    "=?base64?YWxwaGFf ZWNobw==?=", "=?base64??="])
def test_name_field(connection, alpha, name):
    alpha.forget()
    expect(connection, modern("tools/call", CALL, id=9,
                              fields={"Mcp-Name": name}), HEADER, 9)
    assert not alpha.calls()


def test_name_field_encoded_and_padded(connection):
    for name in ("=?base64?YWxwaGFfZWNobw==?=", " \t alpha_echo \t "):
        r = connection.ask(modern("tools/call", CALL,
                                  fields={"Mcp-Name": name}))
        assert r.status == 200 and r.result, name


def test_field_names_in_any_case(connection):
    data = modern("tools/call", CALL)
    head, body = data.split(b"\r\n\r\n")
    for change in (bytes.upper, bytes.lower):
        lines = head.split(b"\r\n")
        lines = lines[:1] + [change(n) + b":" + v for n, _, v in (
            line.partition(b":") for line in lines[1:])]
        r = connection.ask(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        assert r.status == 200 and r.result


@pytest.mark.parametrize("method", [
    "no/such", "initialize", "ping", "logging/setLevel",
    "resources/subscribe", "resources/unsubscribe", "tasks/list", "tools",
    "Tools/list", "tools/list/", "", "notifications/progress",
    "sampling/createMessage", "rpc.discover"])
def test_unknown_and_removed_methods(connection, method):
    expect(connection, modern(method, id=10), NO_METHOD, 10)


def test_method_from_a_strange_alphabet(connection):
    for method in ("tοols/list", "tools/lıst", "tools\u200b/list"):
        body = modern_body(method, id=10)
        r = connection.ask(post(body, {
            **LIST, "Mcp-Method": messages.sentinel(method)}))
        assert r.status in (400, 404) and r.code in (-32601, -32020)


@pytest.mark.parametrize("params", [
    {"name": "alpha_nothing"}, {"name": "echo"}, {"name": "beta_echo"},
    {"name": "alpha_echo "}, {"name": "ALPHA_ECHO"}, {"name": ""},
    {"name": "аlpha_echo"}, {"name": "alpha\u200b_echo"},
    {"name": "x" * 10000}])
def test_unknown_tool(connection, alpha, params):
    alpha.forget()
    data = modern("tools/call", params, id=11)
    if len(data) > 16000:
        data = post(modern_body("tools/call", params, 11), {
            **modern_fields("tools/call"), "Mcp-Name": "x"})
        r = connection.ask(data)
        assert r.code in (-32602, -32020)
    else:
        expect(connection, data, PARAMS, 11)
    assert not alpha.calls()


@pytest.mark.parametrize("name", [1, None, {}, [], True])
def test_tool_name_of_a_wrong_type(connection, name):
    body = modern_body("tools/call", {"name": name}, id=12)
    r = connection.ask(post(body, modern_fields("tools/call")))
    assert r.status in (200, 400) and r.code in (-32602, -32020)
    assert r.message["id"] == 12


@pytest.mark.parametrize("arguments", [1, "x", [], True, None])
def test_arguments_of_a_wrong_type(connection, arguments):
    r = connection.ask(modern("tools/call", {
        "name": "alpha_echo", "arguments": arguments}, id=13))
    if "error" in r.message:
        assert r.status == 200 and r.code == -32602


def test_arguments_may_be_absent(connection, alpha):
    alpha.forget()
    r = connection.ask(modern("tools/call", {"name": "alpha_echo"}))
    assert r.status == 200 and r.result
    assert alpha.last().params.get("arguments", {}) == {}


def test_unknown_prompt_and_resource(connection):
    expect(connection, modern("prompts/get", {"name": "alpha_x"}, id=14),
           PARAMS, 14)
    for uri in ("x://two", "x://alpha/two", "y", "", "x://alpha/../one"):
        error = expect(connection, modern("resources/read", {"uri": uri},
                                          id=15), PARAMS, 15)
        if "data" in error:
            # As it was asked for, or as the backend calls it.
            assert error["data"]["uri"] in (uri, uri.replace("alpha/", ""))


@pytest.mark.parametrize("cursor", [
    "x", "AAAA", "=" * 100, "x" * 4000, "../..", "\0", "1"])
@pytest.mark.parametrize("method", [
    "tools/list", "prompts/list", "resources/list",
    "resources/templates/list"])
def test_bad_cursor(connection, method, cursor):
    expect(connection, modern(method, {"cursor": cursor}, id=16), PARAMS, 16)


@pytest.mark.parametrize("cursor", [1, {}, [], True])
def test_cursor_of_a_wrong_type(connection, cursor):
    expect(connection, modern("tools/list", {"cursor": cursor}, id=17),
           PARAMS, 17)


# -- arguments that travel in a header too


def mirrored(arguments, **fields):
    sent = {"region": "Mcp-Param-Region", "count": "Mcp-Param-Count",
            "sure": "Mcp-Param-Sure"}
    out = {sent[n]: messages.sentinel(v) for n, v in arguments.items()
           if n in sent and v is not None}
    if "outer" in arguments:
        out["Mcp-Param-Inner"] = messages.sentinel(arguments["outer"]["inner"])
    out.update({"Mcp-Param-" + n: v for n, v in fields.items()})
    return modern("tools/call", {"name": "alpha_mirror",
                                 "arguments": arguments}, id=18, fields=out)


@pytest.mark.parametrize("arguments", [
    {}, {"region": "us west 1"}, {"region": " us-west1"}, {"region": "日本"},
    {"region": "line1\nline2"}, {"region": "=?base64?literal?="},
    {"region": ""}, {"count": 42}, {"count": -7}, {"sure": True},
    {"sure": False}, {"region": None}, {"outer": {"inner": "x"}},
    {"region": "a", "count": 1, "sure": True, "outer": {"inner": "b"}}])
def test_mirrored_arguments(connection, alpha, arguments):
    """The backend checks that the fields came with them (see backend.py)."""
    r = connection.ask(mirrored(arguments))
    assert r.status == 200 and r.result, r.body
    assert alpha.last().arguments == arguments


@pytest.mark.parametrize("arguments, fields", [
    ({"region": "a"}, {"Region": None}), ({"region": "a"}, {"Region": "b"}),
    ({"region": "a"}, {"Region": "A"}), ({}, {"Region": "a"}),
    ({"region": None}, {"Region": "a"}), ({"count": 1}, {"Count": "2"}),
    ({"count": 1}, {"Count": "x"}), ({"sure": True}, {"Sure": "false"}),
    ({"sure": True}, {"Sure": "1"}), ({"region": "日"}, {"Region": "?"}),
    ({"region": "Hello"}, {"Region": "=?base64?SGVsbG8?="}),
    ({"outer": {"inner": "x"}}, {"Inner": "y"})])
def test_mirrored_arguments_differ(connection, alpha, arguments, fields):
    alpha.forget()
    expect(connection, mirrored(arguments, **fields), HEADER, 18)
    assert not alpha.calls()


def test_mirrored_integer_compares_as_a_number(connection):
    for value in ("42.0", "42"):
        r = connection.ask(mirrored({"count": 42}, Count=value))
        assert r.status == 200 and r.result, value


def test_unknown_param_field_is_forwarded(connection, alpha):
    r = connection.ask(mirrored({}, Other="kept"))
    assert r.status == 200
    assert alpha.last().header("mcp-param-other") == "kept"


# -- legacy: JSON-RPC errors in 200, transport faults with their own status


@pytest.mark.parametrize("version", LEGACY)
def test_legacy_errors_are_200(connection, version):
    def rpc(method, params=None, id=20):
        return legacy(method, params, id=id, version=version)

    for method in ("no/such", "server/discover", "subscriptions/listen", ""):
        expect(connection, rpc(method), (200, -32601), 20)
    expect(connection, rpc("tools/call", {"name": "nothing"}), PARAMS, 20)
    expect(connection, rpc("tools/call"), PARAMS, 20)
    expect(connection, rpc("prompts/get", {"name": "nothing"}), PARAMS, 20)
    expect(connection, rpc("tools/list", {"cursor": "x"}), PARAMS, 20)
    r = connection.ask(rpc("resources/read", {"uri": "x://nothing"}))
    assert r.status == 200 and r.code in (-32602, -32002)
    expect(connection, rpc("logging/setLevel", {"level": "loud"}), PARAMS, 20)


def test_legacy_without_version_field(connection):
    r = connection.ask(legacy("tools/list",
                              fields={"MCP-Protocol-Version": None}))
    assert r.status == 200 and r.result["tools"]


@pytest.mark.parametrize("version", ["2024-01-01", "x", "", "2025-11-26"])
def test_legacy_unsupported_version_field(connection, version):
    r = connection.ask(legacy("tools/list", version=version))
    assert r.status == 400 and r.code is not None


def test_legacy_faults(connection):
    for body, codes in ((b"{", (-32700,)), (b"[]", (-32600,)), (b"1", (-32600,)),
                        (b'{"jsonrpc":"2.0","id":1}', (-32600,)),
                        (b'{"jsonrpc":"2.0","id":{},"method":"ping"}',
                         (-32600,))):
        r = connection.ask(post(body))
        assert r.status == 400 and r.code in codes, r.body


def test_legacy_unknown_session(connection):
    """404 where sessions are handed out; ignored where there are none."""
    opened = connection.ask(legacy("initialize", messages.initialize_params()))
    r = connection.ask(legacy("tools/list", session="no-such-session"))
    if opened.has("mcp-session-id"):
        assert r.status == 404 and r.code is not None
    else:
        assert r.status == 200 and not r.has("mcp-session-id")


def test_legacy_accept_that_allows_nothing(connection):
    r = connection.ask(legacy("ping", fields={"Accept": "text/html"}))
    assert r.status == 406


def test_legacy_response_and_notification(connection):
    """An answer to a question nobody asked is accepted, or refused clearly."""
    r = connection.ask(post({"jsonrpc": "2.0", "id": 1, "result": {}}))
    assert r.status in (202, 400, 404)
    for method in ("notifications/initialized", "notifications/cancelled",
                   "notifications/unheard-of"):
        r = connection.ask(legacy(method, {"requestId": 99}, id=None))
        assert r.status == 202 and r.body == b""


# -- what two JSON readers read differently: refused, or made canonical


def raw_call(text, name="alpha_echo"):
    return post(text.encode("utf-8", "surrogatepass"), {
        **modern_fields("tools/call"), "Mcp-Name": name})


CLAIM = '"_meta":' + json.dumps(client_meta())
DIFFERENTIAL = {
    "method twice": '{"jsonrpc":"2.0","id":1,"method":"ping","method":'
                    '"tools/call","params":{"name":"alpha_echo",%s}}',
    "params twice": '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":'
                    '{},"params":{"name":"alpha_echo",%s}}',
    "id twice": '{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/call",'
                '"params":{"name":"alpha_echo",%s}}',
    "name twice": '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":'
                  '{"name":"alpha_echo","name":"alpha_other",%s}}',
    "name twice, escaped": '{"jsonrpc":"2.0","id":1,"method":"tools/call",'
                           '"params":{"name":"alpha_echo","n\\u0061me":'
                           '"alpha_other",%s}}',
    "folded method": '{"jsonrpc":"2.0","id":1,"Method":"tools/call",'
                     '"method":"tools/call","params":{"name":"alpha_echo",'
                     '%s}}',
    "folded params": '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":'
                     '{"name":"alpha_echo",%s},"PARAMS":{}}',
    "folded name": '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":'
                   '{"name":"alpha_echo","Name":"alpha_other",%s}}',
    "long s": '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":'
              '{"name":"alpha_echo",%s},"param\u017f":{"name":"x"}}',
    "folded arguments": '{"jsonrpc":"2.0","id":1,"method":"tools/call",'
                        '"params":{"name":"alpha_echo","arguments":{},'
                        '"Arguments":{"a":1},%s}}',
    "two roots": '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":'
                 '{"name":"alpha_echo",%s}}{"jsonrpc":"2.0"}',
    "trailing data": '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":'
                     '{"name":"alpha_echo",%s}} x',
    "byte order mark": '\ufeff{"jsonrpc":"2.0","id":1,"method":"tools/call",'
                       '"params":{"name":"alpha_echo",%s}}',
    "comment": '{/**/"jsonrpc":"2.0","id":1,"method":"tools/call","params":'
               '{"name":"alpha_echo",%s}}',
    "surrogate in a name": '{"jsonrpc":"2.0","id":1,"method":"tools/call",'
                           '"params":{"name":"alpha_echo\\ud800",%s}}',
    "NUL in a name": '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":'
                     '{"name":"alpha_echo\\u0000x",%s}}',
    "surrogate as bytes": '{"jsonrpc":"2.0","id":1,"method":"tools/call",'
                          '"params":{"name":"alpha_echo","arguments":'
                          '{"a":"\ud800"},%s}}',
}


@pytest.mark.parametrize("name", DIFFERENTIAL)
def test_differential(connection, alpha, name):
    alpha.forget()
    r = connection.ask(raw_call(DIFFERENTIAL[name] % CLAIM))
    assert r.status in (200, 400) and r.code in (
        -32700, -32600, -32602, -32020), r.body
    assert not alpha.calls(), "it went upstream"


@pytest.mark.parametrize("text", [
    '{"jsonrpc":"2.0","id":1,"m\\u0065thod":"tools/call","params":'
    '{"name":"alpha_echo",%s}}',
    '{"jsonrpc":"2.0","id":1,"method":"tools\\/call","params":'
    '{"name":"alpha_echo",%s}}',
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":'
    '{"n\\u0061me":"alpha_echo",%s}}',
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":'
    '{"name":"alpha\\u005fecho",%s}}'])
def test_escaped_names_are_refused_or_rewritten(connection, alpha, text):
    """What goes on is written by the gateway: nothing is left to decode."""
    alpha.forget()
    r = connection.ask(raw_call(text % CLAIM))
    if r.status == 200 and "result" in r.message:
        body = alpha.last().body
        assert b'"method":"tools/call"' in body and b'"name":"echo"' in body
    else:
        assert r.status in (200, 400, 404) and not alpha.calls()


@pytest.mark.parametrize("opening, closing", [
    ("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_depth_bomb(connection, alpha, opening, closing):
    alpha.forget()
    for depth in (1000, 50000):
        bomb = opening * depth + "1" + closing * depth
        r = connection.ask(raw_call(
            '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":'
            '"alpha_echo","arguments":{"a":%s},%s}}' % (bomb, CLAIM)))
        assert r.status == 400 and r.code in (-32700, -32600)
    assert not alpha.calls()


def test_lone_surrogates_in_arguments(connection, alpha):
    """Legal JSON text (RFC 8259, 8.2): kept as it is, or refused."""
    alpha.forget()
    r = connection.ask(raw_call(
        '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":'
        '"alpha_echo","arguments":{"a":"\\ud800x","b":"\\udc00\\ud800"},%s}}'
        % CLAIM))
    if r.status == 200:
        assert alpha.last().arguments_bytes == (
            b'{"a":"\\ud800x","b":"\\udc00\\ud800"}')
    else:
        assert r.status == 400 and not alpha.calls()


def test_error_text_is_not_an_echo(connection):
    """Nothing a client sends comes back unescaped or at length."""
    for evil in ("<script>alert(1)</script>", "\x1b[31m", "a\r\nb: c",
                 "x" * 2000):
        body = modern_body("tools/call", {"name": evil}, id=1)
        r = connection.ask(post(body, {
            **modern_fields("tools/call"),
            "Mcp-Name": messages.sentinel(evil)}))
        assert len(r.body) < 1500
        assert b"\x1b" not in r.body and b"\r\nb: c" not in r.head
        assert r.header("x-content-type-options", "nosniff") == "nosniff"
