"""Who is asking, and may they: static tokens, JWTs, scopes, refusals.

Every token that a test presents is looked for in the whole log when its
gateway stops (see harness.Gateway.check_log).
"""

import fnmatch
import random
import re
import string
import time

import pytest

import backend as b
import messages
import tokens
from backend import Backend
from harness import Gateway
from messages import LEGACY, MODERN, VERSIONS, modern
from wire import http

STATIC = "static-token-0123456789abcdef"
HASHED = "hashed-token-0123456789abcdef"
ISSUER = "https://issuer.example"
AUDIENCE = "https://gateway.example/mcp"
AS = "https://login.example"
OWN = ["gateway_audit_log", "gateway_health", "gateway_list_backends"]

CHALLENGE = re.compile(r'^Bearer( [a-z_]+="[^"\\]*"(, [a-z_]+="[^"\\]*")*)?$')


def challenge(response):
    """WWW-Authenticate, taken apart."""
    text = response.header("www-authenticate")
    assert text and CHALLENGE.match(text), text
    return dict(re.findall(r'([a-z_]+)="([^"]*)"', text))


@pytest.fixture(scope="module")
def alpha():
    with Backend("alpha", tools=[b.tool("echo"), b.tool("admin"),
                                 b.tool("write")]) as backend:
        yield backend


@pytest.fixture(scope="module")
def gateway(alpha):
    keys = [tokens.key(k).public for k in ("rsa", "p256", "p384", "ed25519")]
    with Gateway(alpha, public_url=AUDIENCE, access_log=True, auth={
            "enabled": True, "jwt_public_key_file": keys,
            "jwt_algorithms": ["RS256", "RS384", "RS512", "PS256", "ES256",
                               "ES384", "EdDSA"],
            "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE,
            "jwt_clock_skew": 30, "authorization_servers": [AS],
            "required_scopes": ["read:tools"],
            "tool_scopes": {"alpha_admin": ["admin:all"],
                            "alpha_wr*": ["write:tools"]},
            "static_tokens": {
                STATIC: {"client_id": "one", "subject": "s1",
                         "scopes": ["read:tools"]},
                tokens.hashed(HASHED): {"client_id": "two", "scopes": [
                    "read:tools", "write:tools", "admin:all"]}}}) as g:
        yield g


@pytest.fixture
def ask(gateway):
    """ask(token, ...) is one request with this token."""
    def do(token, method="tools/list", params=None, version=MODERN, **more):
        with gateway.client(token) as client:
            return client.era(version, method, params, **more)
    return do


def good(**claims):
    claims.setdefault("scope", "read:tools")
    kind = claims.pop("kind", "rsa")
    return tokens.key(kind).token(**claims)


# -- static tokens


@pytest.mark.parametrize("token", [STATIC, HASHED])
@pytest.mark.parametrize("version", VERSIONS)
def test_static_token(ask, token, version):
    assert ask(token, version=version).status == 200


@pytest.mark.parametrize("token", [
    STATIC[:-1], STATIC + "x", STATIC.upper(), STATIC[::-1],
    tokens.hashed(HASHED), tokens.hashed(STATIC), HASHED[:-1], "x" * 5000,
    "nothing"])
def test_wrong_static_token(ask, token):
    r = ask(token)
    assert r.status == 401
    assert challenge(r)["error"] == "invalid_token"


def test_bearer_in_any_case(gateway):
    for scheme in ("Bearer", "bearer", "BEARER"):
        with gateway.client() as c:
            r = c.modern("tools/list", fields={
                "Authorization": scheme + " " + STATIC})
            assert r.status == 200


@pytest.mark.parametrize("value", [
    "", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Bearer a b",
    "Bearer " + STATIC + " x", "Bearer\t" + STATIC, STATIC,
    "Bearer " + STATIC + ",Bearer x", "Digest x", "Bearer ä",
    'Bearer "' + STATIC + '"'])
def test_malformed_authorization(gateway, value):
    gateway.secrets.add(STATIC)
    with gateway.client() as c:
        r = c.modern("tools/list", fields={"Authorization": value})
        assert r.status in (400, 401)
        assert r.has("www-authenticate")


def test_two_authorization_fields(gateway):
    with gateway.connect() as c:
        data = modern("tools/list").replace(
            b"\r\n", b"\r\nAuthorization: Bearer %s\r\nAuthorization: Bearer "
            b"x\r\n" % STATIC.encode(), 1)
        assert c.ask(data).status in (400, 401)


@pytest.mark.parametrize("name", ["access_token", "token", "authorization"])
def test_token_in_the_query(gateway, name):
    with gateway.connect() as c:
        data = modern("tools/list", path="/mcp?%s=%s" % (name, STATIC))
        assert c.ask(data).status in (400, 401)
        gateway.secrets.add(STATIC)


# -- refusals in their forms


def test_no_token(ask):
    for version in VERSIONS:
        for method, params in (
                ("tools/list", None), ("tools/call", {"name": "alpha_echo"}),
                ("initialize", messages.initialize_params()),
                ("server/discover", None), ("ping", None), ("no/such", None)):
            r = ask(None, method, params, version)
            assert r.status == 401
            found = challenge(r)
            assert found["resource_metadata"] == (
                "https://gateway.example/.well-known/"
                "oauth-protected-resource/mcp")
            assert found["scope"].split() == ["read:tools"]
            assert "error" not in found  # nothing was wrong, only missing
            assert r.type == "application/json"
            assert r.error["message"]


def test_no_token_before_the_body(gateway):
    """A stranger's body is neither waited for nor read."""
    with gateway.connect() as c:
        head = modern("tools/list").split(b"\r\n\r\n")[0]
        head = re.sub(rb"Content-Length: \d+", b"Content-Length: 4000000", head)
        r = c.send(head + b"\r\n\r\n").read()
        assert r.status == 401
    with gateway.connect() as c:
        r = c.send(head + b"\r\nExpect: 100-continue\r\n\r\n").read()
        assert r.status == 401


def test_connection_is_kept_after_401(gateway):
    with gateway.connect() as c:
        assert c.ask(modern("tools/list")).status == 401
        r = c.ask(modern("tools/list", fields={
            "Authorization": "Bearer " + STATIC}))
        assert r.status == 200
        # And nothing is inferred from the request before.
        assert c.ask(modern("tools/list")).status == 401


def test_bad_token(ask):
    r = ask("no-such-token-0123456789")
    assert r.status == 401
    assert challenge(r)["error"] == "invalid_token"
    assert challenge(r)["resource_metadata"]
    assert r.error["message"]


def test_required_scope(ask):
    r = ask(good(scope="other"))
    assert r.status == 403
    found = challenge(r)
    assert found["error"] == "insufficient_scope"
    assert found["scope"].split() == ["read:tools"]
    assert found["resource_metadata"] and found["error_description"]
    assert r.error["message"]


@pytest.mark.parametrize("version", VERSIONS)
def test_tool_scope(ask, alpha, version):
    alpha.forget()
    for name, scope in (("alpha_admin", "admin:all"),
                        ("alpha_write", "write:tools")):
        r = ask(STATIC, "tools/call", {"name": name}, version)
        assert r.status == 403
        found = challenge(r)
        assert found["error"] == "insufficient_scope"
        assert scope in found["scope"].split()
        assert found["resource_metadata"]
    assert not alpha.calls()
    for name in ("alpha_admin", "alpha_write", "alpha_echo"):
        assert ask(HASHED, "tools/call", {"name": name}, version).result


def test_lists_are_filtered(gateway):
    few, all_ = gateway.client(STATIC), gateway.client(HASHED)
    for version in VERSIONS:
        assert few.names(version=version) == OWN + ["alpha_echo"]
        assert all_.names(version=version) == OWN + [
            "alpha_admin", "alpha_echo", "alpha_write"]
    # What differs by caller may not be shared between callers.
    assert few.modern("tools/list").result["cacheScope"] == "private"


def test_methods_need_the_token_too(ask):
    """Not only tools: everything that says something of the backends."""
    for method in ("prompts/list", "resources/list", "server/discover",
                   "resources/templates/list", "subscriptions/listen"):
        assert ask(None, method).status == 401


# -- metadata of the protected resource (RFC 9728)


@pytest.mark.parametrize("path", [
    "/.well-known/oauth-protected-resource/mcp",
    "/.well-known/oauth-protected-resource"])
def test_resource_metadata(gateway, path):
    r = gateway.get(path, {"MCP-Protocol-Version": LEGACY[0]})
    assert r.status == 200 and r.type == "application/json"
    assert r.json["resource"] == AUDIENCE
    assert r.json["authorization_servers"] == [AS]
    assert r.json["bearer_methods_supported"] == ["header"]
    assert "read:tools" in r.json.get("scopes_supported", ["read:tools"])
    assert "offline_access" not in r.json.get("scopes_supported", [])


def test_resource_metadata_of_another_path(gateway):
    for path in ("/.well-known/oauth-protected-resource/other",
                 "/.well-known/oauth-protected-resource/mcp/x"):
        r = gateway.get(path)
        assert r.status == 404 and r.type == "application/json"


def test_resource_metadata_from_host(alpha):
    """Without public_url the resource is what the client called it."""
    with Gateway(alpha, path="/p/mcp", allowed_hosts=["gw.example"], auth={
            "enabled": True, "authorization_servers": [AS],
            "static_tokens": {STATIC: {"client_id": "c"}}}) as g:
        r = g.get("/.well-known/oauth-protected-resource/p/mcp",
                  {"Host": "gw.example:9000"})
        assert r.status == 200
        assert r.json["resource"] == "http://gw.example:9000/p/mcp"
        with g.connect() as c:
            r = c.ask(modern("tools/list", path="/p/mcp",
                             host="gw.example:9000"))
            assert challenge(r)["resource_metadata"] == (
                "http://gw.example:9000/.well-known/"
                "oauth-protected-resource/p/mcp")


def test_no_metadata_without_servers(alpha):
    with Gateway(alpha, auth={"enabled": True, "static_tokens": {
            STATIC: {"client_id": "c"}}}) as g:
        r = g.get("/.well-known/oauth-protected-resource/mcp")
        assert r.status == 404 and r.json
        with g.connect() as c:
            r = c.ask(modern("tools/list"))
            assert r.status == 401 and r.has("www-authenticate")


def test_preflight_needs_no_token(alpha):
    with Gateway(alpha, auth={
            "enabled": True, "cors_origins": ["https://good.example"],
            "static_tokens": {STATIC: {"client_id": "c"}}}) as g:
        with g.connect() as c:
            r = c.ask(http("OPTIONS", "/mcp", [
                ("Host", "localhost"), ("Origin", "https://good.example"),
                ("Access-Control-Request-Method", "POST")]))
            assert r.status in (200, 204)
            r = c.ask(modern("tools/list", fields={
                "Origin": "https://good.example"}))
            assert r.status == 401
            assert r.header("access-control-allow-origin") == (
                "https://good.example")


# -- JWT


@pytest.mark.parametrize("kind, alg", [
    ("rsa", "RS256"), ("rsa", "RS384"), ("rsa", "RS512"), ("rsa", "PS256"),
    ("p256", "ES256"), ("p384", "ES384"), ("ed25519", "EdDSA")])
def test_algorithms(ask, kind, alg):
    token = tokens.key(kind).token(alg, scope="read:tools")
    for _ in range(3):  # verified, then remembered
        assert ask(token).status == 200
    head, payload, signature = token.split(".")
    flipped = ("A" if signature[5] != "A" else "B")
    bad = "%s.%s.%s" % (head, payload, signature[:5] + flipped + signature[6:])
    assert ask(bad).status == 401
    assert ask(token).status == 200


def claims_now(**more):
    now = int(time.time())
    return {"iss": ISSUER, "aud": AUDIENCE, "sub": "x", "exp": now + 600,
            "iat": now, "scope": "read:tools", **more}


def test_confused_algorithms(ask):
    """The token chooses nothing: not none, not HMAC with the public key, not
    an algorithm of another key type."""
    public = open(tokens.key("rsa").public, "rb").read()
    for token in (
            tokens.unsigned({"alg": "none"}, claims_now()),
            tokens.unsigned({"alg": "None"}, claims_now(), b"x" * 256),
            tokens.unsigned({"typ": "JWT"}, claims_now(), b"x" * 256),
            tokens.unsigned({"alg": ""}, claims_now(), b"x" * 256),
            tokens.unsigned({"alg": ["RS256"]}, claims_now(), b"x" * 256),
            tokens.hs256(public, {}, claims_now()),
            tokens.hs256(public.strip(), {}, claims_now()),
            tokens.hs256(b"", {}, claims_now())):
        r = ask(token)
        assert r.status == 401 and challenge(r)["error"] == "invalid_token"
    # Signed by our own key, but called something else.
    for kind, alg, said in (("rsa", "RS256", "PS256"),
                            ("rsa", "PS256", "RS256"),
                            ("rsa", "RS512", "RS256"),
                            ("p256", "ES256", "ES384"),
                            ("rsa", "RS256", "ES256"),
                            ("ed25519", "EdDSA", "ES256")):
        token = tokens.key(kind).token(alg, {"alg": said}, scope="read:tools")
        assert ask(token).status == 401


def test_algorithm_not_allowed(alpha):
    with Gateway(alpha, auth={
            "enabled": True, "jwt_public_key_file": tokens.key("rsa").public,
            "jwt_algorithms": ["RS256"]}) as g:
        for alg, status in (("RS256", 200), ("RS512", 401), ("PS256", 401)):
            with g.client(tokens.key("rsa").token(alg)) as c:
                assert c.modern("tools/list").status == status


def test_foreign_key(ask):
    for kind in ("rsa", "p256", "ed25519"):
        token = tokens.key(kind, 1).token(scope="read:tools")
        assert ask(token).status == 401


@pytest.mark.parametrize("header", [
    {"crit": ["exp"]}, {"crit": ["x"], "x": 1}, {"crit": []}])
def test_critical_extension(ask, header):
    assert ask(good(header=header)).status == 401


@pytest.mark.parametrize("header", [
    {"jku": "http://127.0.0.1:1/k"}, {"x5u": "http://127.0.0.1:1/c"},
    {"jwk": {"kty": "oct", "k": "AAAA"}}, {"kid": "../../../../etc/passwd"},
    {"kid": "x' OR 1=1"}])
def test_header_members_that_lead_elsewhere(ask, header):
    """Not looked at: the signature is checked with our key, or refused."""
    assert ask(good(header=header)).status in (200, 401)
    foreign = tokens.key("rsa", 1).token(header=header, scope="read:tools")
    assert ask(foreign).status == 401


def test_type_of_token(ask):
    assert ask(good(header={"typ": "at+jwt"})).status == 200
    assert ask(good(header={"typ": "application/at+jwt"})).status == 200
    assert ask(good(header={"typ": "dpop+jwt"})).status == 401


@pytest.mark.parametrize("claims, status", [
    ({"exp": +600}, 200), ({"exp": -15}, 200), ({"exp": -45}, 401),
    ({"exp": -100000}, 401), ({"nbf": -10}, 200), ({"nbf": +15}, 200),
    ({"nbf": +45}, 401), ({"iat": +15}, 200)])
def test_times(ask, claims, status):
    """The clocks may differ by jwt_clock_skew, 30 seconds here."""
    now = int(time.time())
    token = good(**{n: now + v for n, v in claims.items()})
    r = ask(token)
    assert r.status == status, r.body
    if status == 401:
        assert challenge(r)["error"] == "invalid_token"


@pytest.mark.parametrize("claims", [
    {"exp": None}, {"exp": "tomorrow"}, {"exp": True}, {"exp": -1},
    {"exp": 1e300}, {"nbf": "x"}, {"sub": None}, {"sub": ""}, {"sub": 5},
    {"sub": "a\nb"}, {"iss": None}, {"iss": "https://other.example"},
    {"iss": ISSUER + "/"}, {"iss": [ISSUER]}, {"aud": None},
    {"aud": "https://other.example/mcp"}, {"aud": AUDIENCE + "/"},
    {"aud": []}, {"aud": [["x"]]}, {"aud": {"x": AUDIENCE}},
    {"aud": AUDIENCE.upper()}])
def test_claims_refused(ask, claims):
    r = ask(good(**claims))
    assert r.status == 401 and challenge(r)["error"] == "invalid_token"


def test_audience_list(ask):
    assert ask(good(aud=["https://other.example", AUDIENCE])).status == 200


@pytest.mark.parametrize("form", [
    {"scope": "read:tools admin:all"}, {"scp": "read:tools admin:all"},
    {"scp": ["read:tools", "admin:all"]},
    {"scopes": ["read:tools", "admin:all"]},
    {"scopes": "read:tools admin:all"}])
def test_forms_of_scopes(ask, form):
    token = tokens.key("p256").token(**form)
    assert ask(token, "tools/call", {"name": "alpha_admin"}).result
    assert ask(token, "tools/call", {"name": "alpha_write"}).status == 403


@pytest.mark.parametrize("scope", [
    "read:toolsx", "xread:tools", "READ:TOOLS", "read:tools,admin:all", "",
    None, "read: tools"])
def test_scopes_are_compared_whole(ask, scope):
    assert ask(tokens.key("p256").token(scope=scope)).status == 403


@pytest.mark.parametrize("text", [
    "a.b", "a.b.c.d", "..", "a..c", ".", "e30.e30.", "e30.e30.AA",
    "%%%.e30.AA", "e30=.e30.AA"])
def test_malformed_tokens(ask, text):
    assert ask(text).status in (400, 401)


def test_claims_twice(ask):
    key = tokens.key("p256")
    now = int(time.time())
    payload = ('{"iss":"%s","sub":"x","aud":"%s","exp":1,"exp":%d,"scope":'
               '"read:tools"}' % (ISSUER, AUDIENCE, now + 600))
    text = "%s.%s" % (tokens.b64(b'{"alg":"ES256"}'),
                      tokens.b64(payload.encode()))
    token = "%s.%s" % (text, tokens.b64(key.sign(text.encode(), "ES256")))
    assert ask(token).status == 401


def test_token_expires_while_remembered(alpha):
    """The cache of verified tokens does not make them live longer."""
    with Gateway(alpha, auth={
            "enabled": True, "jwt_public_key_file": tokens.key("p256").public,
            "jwt_algorithms": ["ES256"], "jwt_clock_skew": 0}) as g:
        token = tokens.key("p256").token(exp=int(time.time()) + 2)
        with g.client(token) as c:
            assert c.modern("tools/list").status == 200
            end = time.monotonic() + 5
            while c.modern("tools/list").status == 200:
                assert time.monotonic() < end, "lives on"
                time.sleep(0.05)
            assert c.modern("tools/list").status == 401


# -- list and call agree, whatever the rules


def test_list_is_what_may_be_called(alpha):
    """Random rules and tokens: a tool is listed exactly if its call is not
    refused."""
    dice = random.Random(20260728)
    scopes = ["s%d" % i for i in range(6)]
    names = ["alpha", "alphabet", "beta_x", "x", "xy", "read_it", "write_it"]
    everything = ["a_" + n for n in names] + OWN
    patterns = ["*", "a_*", "a_alpha*", "a_*x*", "a_x", "*_it", "a_b*_x",
                "gateway_*", "gateway_health", "a_x*y", "nothing_*"]

    def pick(of, most):
        return dice.sample(of, dice.randint(0, most))

    with Backend("a", tools=[b.tool(n) for n in names]) as backend:
        with Gateway(backend, auth={"enabled": True, "static_tokens": {
                STATIC: {"client_id": "x"}}}, workers=1) as g:
            for round in range(8):
                rules = {p: pick(scopes, 2) for p in pick(patterns, 5)}
                needs = pick(scopes, 1)
                own_needs = pick(scopes, 1)
                holders = {"token-%02d-0123456789abcdef" % i: {
                    "client_id": "c%d" % i, "scopes": pick(scopes, 6)}
                    for i in range(5)}
                g.entries = [backend.entry(required_scopes=own_needs)]
                g.set(auth={"tool_scopes": None, "static_tokens": None,
                            "required_scopes": None})
                g.reload(auth={"tool_scopes": rules,
                               "required_scopes": needs,
                               "static_tokens": holders})
                for token, holder in holders.items():
                    have = set(holder["scopes"])
                    client = g.client(token)
                    r = client.modern("tools/list")
                    if not set(needs) <= have:
                        assert r.status == 403
                        continue
                    listed = client.names(version=dice.choice(VERSIONS))
                    for name in everything:
                        wanted = {s for p, ss in rules.items()
                                  if fnmatch.fnmatchcase(name, p) for s in ss}
                        if name.startswith("a_"):
                            wanted |= set(own_needs)
                        r = client.era(dice.choice(VERSIONS), "tools/call",
                                       {"name": name})
                        assert (name in listed) == (wanted <= have), (
                            rules, own_needs, holder, name)
                        assert (r.status == 403) == (name not in listed), (
                            name, r.status)
                    client.close()


# -- sessions are not identities


def test_session_of_somebody_else(gateway):
    """A session works only for who opened it (404), and never without a
    token."""
    one, two, nobody = (gateway.client(t) for t in (STATIC, HASHED, None))
    _, session = one.initialize()
    if session is None:
        return  # nothing to steal
    assert one.legacy("tools/list", session=session).status == 200
    assert two.legacy("tools/list", session=session).status == 404
    assert nobody.legacy("tools/list", session=session).status == 401
    for i in range(0, len(session), 7):
        letter = "A" if session[i] != "A" else "B"
        bad = session[:i] + letter + session[i + 1:]
        assert one.legacy("tools/list", session=bad).status == 404, i
    for bad in (session[:-1], session + "A", "", "x" * 5000):
        r = one.legacy("tools/list", fields={"Mcp-Session-Id": bad})
        assert r.status in (400, 404)


def test_nonsense_tokens_are_cheap_and_harmless(gateway):
    dice = random.Random(1)
    with gateway.connect() as c:
        for _ in range(300):
            token = "".join(dice.choices(string.ascii_letters + "._-=/+~",
                                         k=dice.randint(1, 200)))
            r = c.ask(modern("tools/list", fields={
                "Authorization": "Bearer " + token}))
            assert r.status in (400, 401)


def test_verifications_are_capped(alpha):
    """A flood of tokens that look good costs a bounded number of signature
    checks, and those who are known are served."""
    key = tokens.key("p256")
    with Gateway(alpha, workers=1, auth={
            "enabled": True, "jwt_public_key_file": key.public,
            "jwt_algorithms": ["ES256"], "verifications_per_second": 20,
            "static_tokens": {STATIC: {"client_id": "c"}}}) as g:
        known = key.token(sub="known")
        with g.client(known) as c:
            assert c.modern("tools/list").status == 200
        payload = claims_now()
        statuses = set()
        with g.connect() as c:
            for i in range(200):
                payload["jti"] = i
                token = tokens.unsigned({"alg": "ES256"}, payload, b"x" * 64)
                r = c.ask(modern("tools/list", fields={
                    "Authorization": "Bearer " + token}))
                statuses.add(r.status)
        assert statuses <= {401, 429, 503} and statuses & {429, 503}, statuses
        for token in (known, STATIC):
            with g.client(token) as c:
                assert c.modern("tools/list").status == 200


def test_nobody_gets_in_without_keys_or_tokens(alpha):
    """Authentication on and nobody known: everybody is refused."""
    with Gateway(alpha, auth={"enabled": True}) as g:
        with g.connect() as c:
            assert c.ask(modern("tools/list")).status == 401
        g.wait_log(level="warning")
