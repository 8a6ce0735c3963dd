"""The extension tasks: ids that lead back to the backend, and to their owner."""

import pytest

import backend as b
from backend import Backend, CoreTasks, Tasks
from harness import Gateway
from interactive import answer_all, call_modern, legacy_asker
from messages import (META, MODERN, TASKS, client_meta, declaring,
                      initialize_params, modern, sentinel)
from test_streams import listen as listen_for
from wire import eventually

KEY = "a-session-key-of-more-than-32-characters"
A, B = "token-of-user-a-0123456789", "token-of-user-b-0123456789"
REQUIRED = {"requiredCapabilities": {"extensions": {TASKS: {}}}}
META_TASKS = declaring(TASKS)


class Pair:
    """Two backends with tasks of the same id, and gateways before them."""

    def __init__(self, namespace):
        self.prefix = "alpha_" if namespace else ""
        self.backends = [Backend(name) for name in ("alpha", "beta")]
        self.tasks = [Tasks(backend) for backend in self.backends]
        for backend, tasks in zip(self.backends, self.tasks):
            job = "job" if namespace else "job_" + backend.name
            backend.tools = [b.tool("echo_" + backend.name),
                             b.tool(job, tasks.begin("one"))]
            backend.start()
        self.entries = [x.entry(namespace_tools=namespace)
                        for x in self.backends]
        self.jobs = ["alpha_job", "beta_job"] if namespace else [
            "job_alpha", "job_beta"]

    def gateway(self, **settings):
        return Gateway(*self.backends, entries=self.entries, **settings)

    def stop(self):
        for backend in self.backends:
            backend.stop()


@pytest.fixture(scope="module", params=[True, False],
                ids=["namespaced", "plain"])
def pair(request):
    pair = Pair(request.param)
    yield pair
    pair.stop()


@pytest.fixture(scope="module")
def gateway(pair):
    with pair.gateway() as g:
        yield g


@pytest.fixture
def client(gateway):
    with gateway.client() as c:
        yield c


def begin(client, name, meta=META_TASKS):
    return client.modern("tools/call", {"name": name, "arguments": {}},
                         meta=meta)


def ask(client, method, id, meta=META_TASKS, **params):
    return client.modern("tasks/" + method, {"taskId": id, **params},
                         meta=meta)


def refused(response, code=-32602, status=200):
    assert response.status == status, response.body
    assert response.json["error"]["code"] == code, response.body
    return response.json["error"]


# -- offered

def test_offered_to_modern_clients_only(client):
    found = client.modern("server/discover").result["capabilities"]
    assert found["extensions"] == {TASKS: {}}
    found = client.initialize()[0]["capabilities"]
    assert "extensions" not in found and "tasks" not in found


def test_not_there_without_a_backend_that_has_it():
    with Backend("alpha") as alpha, Gateway(alpha) as g, g.client() as c:
        found = c.modern("server/discover").result["capabilities"]
        assert "extensions" not in found
        refused(ask(c, "get", "x"), -32601, 404)


@pytest.mark.parametrize("method", ["result", "list"])
def test_methods_that_went(client, method):
    refused(ask(client, method, "x"), -32601, 404)


@pytest.mark.parametrize("method", ["get", "cancel", "result", "list",
                                    "update"])
def test_older_clients_have_none(client, method):
    r = client.legacy("tasks/" + method, {"taskId": "x"})
    refused(r, -32601)


# -- the life of a task

def test_a_task_from_beginning_to_end(pair, client):
    made = begin(client, pair.jobs[0]).result
    own = pair.tasks[0]["one"]
    assert made["resultType"] == "task" and made["status"] == "working"
    id = made["taskId"]
    assert id != "one" and all(0x21 <= ord(x) <= 0x7e for x in id)
    assert {**made, "taskId": "one"}.items() >= own.items()

    found = ask(client, "get", id).result
    assert found["resultType"] == "complete" and found["taskId"] == id
    last = pair.backends[0].last("tasks/get")
    assert last.params["taskId"] == "one"
    assert last.header("mcp-name") == "one"
    assert last.header("mcp-method") == "tasks/get"

    own.update(status="input_required", inputRequests={"k": {
        "method": "elicitation/create", "params": {
            "mode": "form", "message": "?", "requestedSchema": {
                "type": "object", "properties": {}}}}})
    both = declaring(TASKS, elicitation={})
    found = ask(client, "get", id, both).result
    assert found["inputRequests"] == own["inputRequests"]
    answers = {"k": {"action": "accept", "content": {"x": [1, 2.50]}}}
    done = ask(client, "update", id, both, inputResponses=answers).result
    assert done["resultType"] == "complete" and "taskId" not in done
    assert own["answers"] == answers
    assert pair.backends[0].last("tasks/update").params["taskId"] == "one"

    del own["inputRequests"]
    own.update(status="completed", result={
        "content": [{"type": "text", "text": "fine"}], "isError": True})
    found = ask(client, "get", id).result
    assert found["result"] == own["result"] and found["taskId"] == id
    assert ask(client, "cancel", id).result["resultType"] == "complete"
    assert own["status"] == "cancelled"


def test_the_same_id_at_two_backends(pair, client):
    ids = [begin(client, job).result["taskId"] for job in pair.jobs]
    assert ids[0] != ids[1]
    for tasks, word in zip(pair.tasks, ("first", "second")):
        tasks["one"]["statusMessage"] = word
    found = [ask(client, "get", id).result["statusMessage"] for id in ids]
    assert found == ["first", "second"]


def test_a_failed_task_and_its_error(pair, client):
    id = begin(client, pair.jobs[1]).result["taskId"]
    error = {"code": -32050, "message": "m", "data": {"taskId": "one"}}
    pair.tasks[1]["one"].update(status="failed", error=error)
    found = ask(client, "get", id).result
    assert found["error"] == error and found["status"] == "failed"


def test_a_result_too_large_for_a_window(pair, client):
    id = begin(client, pair.jobs[0]).result["taskId"]
    text = "x" * (1 << 20)
    pair.tasks[0]["one"].update(status="completed", result={
        "content": [{"type": "text", "text": text}]})
    found = ask(client, "get", id).result
    assert found["taskId"] == id
    assert found["result"]["content"][0]["text"] == text


def test_answers_as_events(pair, client):
    pair.backends[0].answers = "sse"
    try:
        id = begin(client, pair.jobs[0]).result["taskId"]
        assert ask(client, "get", id).result["taskId"] == id
    finally:
        pair.backends[0].answers = "json"


def test_ids_of_any_characters_and_length(pair, client):
    alpha, tasks = pair.backends[0], pair.tasks[0]
    usual = alpha.handler(pair.jobs[0][len(pair.prefix):])
    for own in ("t\u00e4sk /\u65e5", " x ", "\"\\\n", "=?base64?eA==?=",
                "x" * 512):
        alpha.set_handler(pair.jobs[0][len(pair.prefix):], tasks.begin(own))
        id = begin(client, pair.jobs[0]).result["taskId"]
        assert ask(client, "get", id).result["taskId"] == id
        assert alpha.last("tasks/get").params["taskId"] == own
        assert alpha.last("tasks/get").header("mcp-name") == sentinel(own)
    for own in ("", "x" * 513):
        def bad(exchange, own=own):
            exchange.result({"resultType": "task", "taskId": own,
                             "status": "working", "ttlMs": None})
        alpha.set_handler(pair.jobs[0][len(pair.prefix):], bad)
        assert "alpha" in refused(begin(client, pair.jobs[0]),
                                  -32603)["message"]
    alpha.set_handler(pair.jobs[0][len(pair.prefix):], usual)


# -- who has not declared it

@pytest.mark.parametrize("method", ["get", "update", "cancel"])
def test_methods_need_the_extension(client, pair, method):
    id = begin(client, pair.jobs[0]).result["taskId"]
    error = refused(ask(client, method, id, None), -32021, 400)
    assert error["data"] == REQUIRED


def test_no_task_for_who_did_not_declare_it(client, pair):
    error = refused(begin(client, pair.jobs[0], None), -32603)
    assert "alpha" in error["message"] and TASKS in error["message"]
    sent = pair.backends[0].last().meta[META + "clientCapabilities"]
    assert "extensions" not in sent
    r = client.legacy("tools/call", {"name": pair.jobs[0], "arguments": {}})
    assert "alpha" in refused(r, -32603)["message"]


def test_older_clients_that_say_they_can_get_none_either(client, pair):
    r = client.legacy("initialize", initialize_params(
        capabilities={"extensions": {TASKS: {}}}))
    r = client.legacy("tools/call", {"name": pair.jobs[0], "arguments": {}},
                      session=r.header("mcp-session-id"))
    refused(r, -32603)


def test_only_a_backend_that_has_it_is_told():
    with Backend("alpha") as alpha, Backend("beta") as beta:
        Tasks(alpha)
        with Gateway(alpha, beta) as g, g.client() as c:
            for name in ("alpha", "beta"):
                assert c.call(name + "_echo", {"nonce": "1"},
                              meta=META_TASKS) == "1"
        sent = [x.last().meta[META + "clientCapabilities"]
                for x in (alpha, beta)]
        assert sent == [{"extensions": {TASKS: {}}}, {}]


def test_a_backend_that_needs_it_says_so(pair, client):
    def needs(exchange):
        exchange.error(-32021, "tasks only", REQUIRED, status=400)
    name = pair.jobs[0]
    pair.backends[0].set_handler(name[len(pair.prefix):], needs)
    try:
        assert refused(begin(client, name, None), -32021, 400)["data"] \
            == REQUIRED
    finally:
        pair.backends[0].set_handler(name[len(pair.prefix):],
                                     pair.tasks[0].begin("one"))


# -- ids that do not hold

def test_names_in_the_head_must_agree(client, pair):
    id = begin(client, pair.jobs[0]).result["taskId"]
    for fields in ({"Mcp-Name": "one"}, {"Mcp-Name": id + "x"},
                   {"Mcp-Name": None}):
        r = client.modern("tasks/get", {"taskId": id}, meta=META_TASKS,
                          fields=fields)
        refused(r, -32020, 400)


def test_foreign_and_changed_ids(client, pair):
    id = begin(client, pair.jobs[0]).result["taskId"]
    before = sum(len(x.requests) for x in pair.backends)
    middle = len(id) // 2
    changed = id[:middle] + ("A" if id[middle] != "A" else "B") + \
        id[middle + 1:]
    for bad in ("one", "", changed, id[:-1], id + "A", "gw2.", "\u00e9",
                "x" * 4000):
        for method in ("get", "update", "cancel"):
            refused(ask(client, method, bad))
    for bad in (None, 7, {}, [id]):
        r = client.modern("tasks/get", {"taskId": bad}, meta=META_TASKS,
                          fields={"Mcp-Name": "x"})
        refused(r)
    r = client.modern("tasks/get", {}, meta=META_TASKS)
    refused(r)
    assert sum(len(x.requests) for x in pair.backends) == before


def test_a_session_id_is_no_task(client):
    _, session = client.initialize()
    refused(ask(client, "get", session))


def test_a_task_that_the_backend_forgot(client, pair):
    id = begin(client, pair.jobs[0]).result["taskId"]
    pair.tasks[0].tasks.clear()
    refused(ask(client, "get", id))


def test_answers_about_another_task(client, pair):
    id = begin(client, pair.jobs[0]).result["taskId"]
    pair.tasks[0]["one"]["taskId"] = "two"
    error = refused(ask(client, "get", id), -32603)
    assert "alpha" in error["message"] and "two" not in error["message"]


@pytest.mark.parametrize("requests, capabilities", [
    ({"k": {"method": "elicitation/create", "params": {"mode": "form"}}}, {}),
    ({"k": {"method": "elicitation/create", "params": {"mode": "url"}}},
     {"elicitation": {}}),
    ({"k": {"method": "sampling/createMessage", "params": {"tools": []}}},
     {"sampling": {}}),
    ({"k": {"method": "roots/list"}}, {"sampling": {}, "elicitation": {}}),
    ({"k": {"method": "tools/call", "params": {}}},
     {"sampling": {}, "elicitation": {}, "roots": {}}),
    ({"k": 5}, {"roots": {}}), ([], {}), ("x", {})])
def test_inputs_nobody_declared(client, pair, requests, capabilities):
    id = begin(client, pair.jobs[0]).result["taskId"]
    pair.tasks[0]["one"].update(status="input_required",
                                inputRequests=requests)
    refused(ask(client, "get", id, declaring(TASKS, **capabilities)), -32603)


def test_types_of_answers(client, pair):
    """"task" as some examples say is taken; another type is not."""
    id = begin(client, pair.jobs[0]).result["taskId"]
    own = pair.tasks[0]["one"]
    own["resultType"] = "task"
    assert ask(client, "get", id).result["resultType"] == "complete"
    own["resultType"] = "other"
    refused(ask(client, "get", id), -32603)


# -- whose it is

def users(pair, scopes=("work",), **more):
    jobs = {job: ["work"] for job in pair.jobs}
    return dict(auth={"enabled": True, "tool_scopes": jobs, "static_tokens": {
        A: {"client_id": "a", "scopes": list(scopes)},
        B: {"client_id": "b", "scopes": ["work"]}}}, session_key=KEY, **more)


def test_another_users_task(pair):
    with pair.gateway(**users(pair)) as g, g.client(A) as a, g.client(B) as o:
        id = begin(a, pair.jobs[0]).result["taskId"]
        before = len(pair.backends[0].requests)
        for method in ("get", "update", "cancel"):
            refused(ask(o, method, id))
        assert len(pair.backends[0].requests) == before
        assert ask(a, "get", id).result["taskId"] == id
        with g.client() as nobody:
            assert ask(nobody, "get", id).status == 401


def test_scopes_that_were_taken_away(pair):
    with pair.gateway(**users(pair)) as g, g.client(A) as a:
        id = begin(a, pair.jobs[0]).result["taskId"]
        assert ask(a, "get", id).status == 200
        g.reload(**users(pair, scopes=()))
        r = ask(a, "get", id)
        assert r.status == 403
        assert "work" in r.header("www-authenticate")
        g.reload(**users(pair))
        assert ask(a, "get", id).status == 200


@pytest.mark.parametrize("namespace", [True, False])
def test_a_tool_that_went_needs_its_scopes_still(namespace):
    pair = Pair(namespace)
    alpha = pair.backends[0]
    with pair.gateway(**users(pair)) as g, g.client(A) as a:
        id = begin(a, pair.jobs[0]).result["taskId"]
        alpha.tools = alpha.tools[:1]
        alpha.notify()
        eventually(lambda: pair.jobs[0] not in a.names(), "still there")
        assert ask(a, "get", id).status == 200
        g.reload(**users(pair, scopes=()))
        assert ask(a, "get", id).status == 403
    pair.stop()


def test_any_replica_with_the_same_key(pair):
    with pair.gateway(**users(pair)) as one, \
            pair.gateway(**users(pair)) as two, \
            pair.gateway(**{**users(pair), "session_key": KEY[::-1]}) as x:
        with one.client(A) as a:
            id = begin(a, pair.jobs[1]).result["taskId"]
        with two.client(A) as a:
            assert ask(a, "get", id).result["taskId"] == id
            assert ask(a, "cancel", id).status == 200
        with x.client(A) as a:
            refused(ask(a, "get", id))
        with two.client(B) as o:
            refused(ask(o, "get", id))


def test_a_backend_that_was_taken_out(pair):
    with pair.gateway(session_key=KEY) as g, g.client() as c:
        ids = [begin(c, job).result["taskId"] for job in pair.jobs]
        g.reload(entries=[pair.entries[1]])
        refused(ask(c, "get", ids[0]))
        assert ask(c, "get", ids[1]).result["taskId"] == ids[1]


def test_uris_in_the_result_of_a_task(pair, client):
    id = begin(client, pair.jobs[0]).result["taskId"]
    link = {"type": "resource_link", "uri": "x://r", "name": "r"}
    pair.tasks[0]["one"].update(status="completed",
                                result={"content": [link]})
    found = ask(client, "get", id).result["result"]["content"][0]
    public = "x://alpha/r" if pair.prefix else "x://r"
    assert found == {**link, "uri": public}


# -- listening

TASK = "notifications/tasks"
ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
UPDATED = "notifications/resources/updated"
URI = "test://alpha/r"


class Told:
    """A backend whose tool job makes tasks first, second, ..."""

    def __init__(self, **settings):
        self.alpha = Backend("alpha", resources=[b.resource(URI)])
        self.alpha.subscribe = True
        self.tasks = Tasks(self.alpha)
        for name in ("first", "second"):
            self.alpha.tools.append(b.tool("job_" + name,
                                           self.tasks.begin(name)))
        self.settings = settings

    def __enter__(self):
        self.alpha.start()
        self.gateway = Gateway(self.alpha, entries=[self.alpha.entry()],
                               **self.settings).__enter__()
        return self

    def __exit__(self, *_):
        self.gateway.__exit__(None, None, None)
        self.alpha.stop()

    def begin(self, name, token=None):
        with self.gateway.client(token) as c:
            return begin(c, "alpha_job_" + name).result["taskId"]

    def listen(self, ids, id="s", meta=META_TASKS, **more):
        return listen_for(self.gateway, wanted={"taskIds": ids}, id=id,
                          meta=meta, **more)

    def heard(self, id):
        """The backend knows that somebody wants to hear of it."""
        eventually(lambda: self.tasks.listeners(id), "%s is watched" % id)


def acknowledged(stream):
    first = stream.messages[0]
    assert first["method"] == ACKNOWLEDGED, first
    return first["params"]["notifications"]


def states(stream):
    return [(m["params"]["taskId"], m["params"]["status"])
            for m in stream.of(TASK)]


def test_each_state_of_a_task_is_told_to_who_wants_it():
    with Told() as t:
        first, again, second = t.begin("first"), t.begin("first"), \
            t.begin("second")
        with t.listen([first, "none"], id=7) as one, \
                t.listen([second, again], id="x") as two:
            assert acknowledged(one) == {"taskIds": [first]}
            assert acknowledged(two) == {"taskIds": [second, again]}
            # Who was told that it listens need not wait.
            link = {"type": "resource_link", "uri": URI, "name": "r"}
            t.tasks.tell("first", statusMessage="still")
            t.tasks.tell("second", status="cancelled")
            t.tasks.tell("first", status="completed",
                         result={"content": [link]})
            last = one.wait(TASK, 2)["params"]
            two.wait(TASK, 3)
            assert states(one) == [(first, "working"), (first, "completed")]
            # Each task's states in their order.
            assert sorted(states(two)) == sorted([
                (second, "cancelled"), (again, "working"),
                (again, "completed")])
            assert [state for id, state in states(two) if id == again] == [
                "working", "completed"]
            public = "test://alpha/alpha/r"
            assert last == {
                **t.tasks["first"], "taskId": first,
                "result": {"content": [{**link, "uri": public}]},
                "_meta": {META + "subscriptionId": 7, "other": 1}}
            for message in two.of(TASK):
                assert message["params"]["_meta"][
                    META + "subscriptionId"] == "x"


def test_tasks_and_resources_on_one_stream():
    with Told() as t:
        id, public = t.begin("first"), "test://alpha/alpha/r"
        wanted = {"taskIds": [id], "toolsListChanged": True}
        with listen_for(t.gateway, [public], wanted=wanted,
                        meta=META_TASKS) as stream:
            assert acknowledged(stream) == {
                **wanted, "resourceSubscriptions": [public]}
            t.heard("first")
            t.tasks.tell("first", status="failed", error={
                "code": -32050, "message": "m"})
            assert stream.wait(TASK)["params"]["error"]["code"] == -32050
            stream.hears(t.alpha, URI, public)


def test_listening_needs_the_extension():
    with Told() as t, t.gateway.client() as c:
        for ids in ([t.begin("first")], ["any"], [], None):
            r = c.modern("subscriptions/listen",
                         {"notifications": {"taskIds": ids}})
            assert refused(r, -32021, 400)["data"] == REQUIRED


@pytest.mark.parametrize("bad", [1, {}, [1], [None], "x", None,
                                 ["x"] * 129])
def test_bad_filters(client, bad):
    refused(client.modern("subscriptions/listen",
                          {"notifications": {"taskIds": bad}},
                          meta=META_TASKS))


def test_as_many_tasks_as_may_be():
    with Told() as t:
        id = t.begin("first")
        with t.listen(["x"] * 126 + [id, ""]) as stream:
            assert acknowledged(stream) == {"taskIds": [id]}


def hang(exchange):
    if exchange.request.rpc != "subscriptions/listen":
        return False
    exchange.peer_closed(within=60)
    return True


@pytest.mark.parametrize("slow", ["refuses", "forgot", "hangs"])
def test_a_backend_that_does_not_tell(slow):
    """The client is told that it listens all the same."""
    with Told() as t:
        id = t.begin("first")
        if slow == "refuses":
            t.alpha.listen_allowed = False
        elif slow == "forgot":
            t.tasks.tasks.clear()
        else:
            t.alpha.fault = hang
        with t.listen([id]) as stream:
            assert acknowledged(stream) == {"taskIds": [id]}


def test_who_may_listen():
    def settings(scopes):
        return dict(session_key=KEY, auth={
            "enabled": True, "tool_scopes": {"alpha_job_first": ["work"]},
            "static_tokens": {
                A: {"client_id": "a", "scopes": scopes},
                B: {"client_id": "b", "scopes": ["work"]}}})
    with Told(**settings(["work"])) as t:
        first, second = t.begin("first", A), t.begin("second", A)
        both = [first, second]
        mine = {"Authorization": "Bearer " + A}
        with t.listen(both, fields={"Authorization": "Bearer " + B}) \
                as foreign, t.listen(both, fields=mine) as own:
            assert acknowledged(foreign) == {}
            assert acknowledged(own) == {"taskIds": both}
            t.tasks.tell("first")
            own.wait(TASK)
            # Scopes that go: whoever listens comes again, and is judged.
            t.gateway.reload(**settings([]))
            own.wait_end()
            foreign.wait_end()
        with t.listen(both, fields=mine) as less:
            assert acknowledged(less) == {"taskIds": [second]}
            t.heard("second")
            t.tasks.tell("second")
            less.wait(TASK)
            assert states(less) == [(second, "working")]
        t.gateway.reload(**settings(["work"]))
        with t.listen(both, fields=mine) as own:
            # A tool that needs more from now on.
            more = settings(["work"])
            more["auth"]["tool_scopes"]["alpha_job_second"] = ["more"]
            t.gateway.reload(**more)
            eventually(lambda: not t.tasks.listeners("second"),
                       "second is not watched any more")
            t.heard("first")
            t.tasks.tell("first")
            own.wait(TASK)
            assert states(own) == [(first, "working")]


def test_listening_after_a_reload_and_a_restart_of_the_backend():
    with Told(session_key=KEY) as t:
        id = t.begin("first")
        with t.listen([id]) as stream:
            t.gateway.reload(session_key=KEY,
                             entries=[t.alpha.entry(
                                 headers={"X-Other": "1"})])

            def told(state):
                t.tasks.tell("first", statusMessage=state)
                return [m for m in stream.of(TASK)
                        if m["params"]["statusMessage"] == state]
            eventually(lambda: told("moved"), "it moved", every=0.1)
            t.alpha.stop()
            eventually(lambda: not t.tasks.listeners("first"))
            t.alpha.start()
            eventually(lambda: told("restarted"), "it is back", every=0.1)
            assert len(stream.of(ACKNOWLEDGED)) == 1


def test_a_forgotten_task_does_not_spoil_the_others():
    """One that the backend told of is asked for again and again."""
    with Told() as t:
        t.alpha.strict_listen = True
        first, second = t.begin("first"), t.begin("second")
        with t.listen([first]), listen_for(
                t.gateway, ["test://alpha/alpha/r"], wanted={}) as old:
            t.heard("first")
            del t.tasks.tasks["first"]
            with t.listen([second]) as stream:
                t.heard("second")
                t.tasks.tell("second", status="completed")
                stream.wait(TASK)
                old.hears(t.alpha, URI, "test://alpha/alpha/r")


def test_a_task_that_asks_for_what_the_listener_has_not_declared():
    asks = {"k": {"method": "elicitation/create", "params": {
        "mode": "form", "message": "?", "requestedSchema": {
            "type": "object", "properties": {}}}}}
    with Told() as t:
        id = t.begin("first")
        with t.listen([id]) as plain, t.listen(
                [id], meta=declaring(TASKS, elicitation={})) as able:
            t.tasks.tell("first", status="input_required",
                         inputRequests=asks)
            found = able.wait(TASK)["params"]
            assert found["inputRequests"] == asks
            del t.tasks["first"]["inputRequests"]
            t.tasks.tell("first", status="working")
            plain.wait(TASK)
            assert states(plain) == [(id, "working")]


# -- tools of 2025-11-25 that run as tasks only

@pytest.fixture
def core():
    with Backend("alpha", era="legacy") as alpha:
        tasks = CoreTasks(alpha)
        alpha.tools = [tasks.tool("job"), b.tool("echo")]
        with Gateway(alpha, workers=1) as g:
            yield g, alpha, tasks


@pytest.mark.parametrize("version", [MODERN, "2025-11-25"])
@pytest.mark.parametrize("answers", ["json", "sse"])
def test_a_tool_that_only_runs_as_a_task(core, version, answers):
    g, alpha, tasks = core
    alpha.answers = answers

    def answer(exchange):
        exchange.notify("notifications/progress", {
            "progressToken": tasks.token, "progress": 1})
        exchange.result({"content": [{"type": "text", "text": "done"}]})
    tasks.finish(answer)
    with g.client() as c:
        meta = {"progressToken": "p"}
        params = {"name": "alpha_job", "arguments": {"x": 1}}
        if version == MODERN:
            r = c.modern("tools/call", params, meta=client_meta(
                progressToken="p"))
        else:
            r = c.legacy("tools/call", {**params, "_meta": meta})
        last = r.messages[-1]["result"]
        assert last["content"][0]["text"] == "done"
        assert r.messages[0]["params"] == {"progressToken": "p", "progress": 1}
        assert c.call("alpha_echo", {"nonce": "n"}, version) == "n"
    first, second = alpha.last("tools/call"), alpha.last("tasks/result")
    assert alpha.calls("tools/call")[0].params["task"] == {}
    assert "task" not in first.params and first.params["name"] == "echo"
    assert second.message["id"] != alpha.calls("tools/call")[0].message["id"]


def test_a_task_that_asks(core):
    """What it asks comes on the stream of tasks/result; the client's answer
    belongs to the tools/call that it knows, and to no other."""
    g, alpha, tasks = core
    tasks.finish(legacy_asker("form", "roots", rounds=2))
    want = {"nonce": "n"}
    with g.client() as c:
        first = call_modern(c, "alpha_job", want).result
        assert first["resultType"] == "input_required"
        answers = answer_all(first)
        for name, arguments in (("alpha_job", {"nonce": "m"}),
                                ("alpha_job", {}),
                                ("alpha_echo", want)):
            r = call_modern(c, name, arguments, answers=answers)
            assert refused(r, -32602)["message"] == (
                "requestState belongs to another request")
        assert len(alpha.calls("tools/call")) == 1
        second = call_modern(c, "alpha_job", want, answers=answers).result
        assert second["resultType"] == "input_required"
        last = call_modern(c, "alpha_job", want, answers=answer_all(second))
        said = "accept Ada, file:///a"
        assert last.result["content"][0]["text"] == ", ".join(
            ["", said, said])
        # A used state is good for nothing.
        refused(call_modern(c, "alpha_job", want, answers=answers), -32602)
    assert len(alpha.calls("tools/call")) == 1
    assert len(alpha.calls("tasks/result")) == 1


def test_a_task_that_fails(core):
    g, alpha, tasks = core
    tasks.finish(lambda e: e.error(-31050, "it broke"))
    with g.client() as c:
        r = begin(c, "alpha_job", None)
        assert r.json["error"] == {"code": -31050, "message": "it broke"}


def test_a_client_that_does_not_wait_for_the_task(core):
    g, alpha, tasks = core
    with g.connect() as c:
        c.send(modern("tools/call", {"name": "alpha_job", "arguments": {}}))
        alpha.wait_for("tasks/result")
    last = alpha.wait_for("tasks/cancel")
    assert last.params == {"taskId": tasks.id}
    assert not alpha.calls("notifications/cancelled")


def test_a_task_nobody_asked_for_is_a_result(core):
    """What has a member task is a task only where one was asked for."""
    g, alpha, tasks = core
    odd = {"content": [], "task": {"taskId": "x"}}
    alpha.set_handler("echo", lambda e: e.result(odd))
    with g.client() as c:
        r = c.modern("tools/call", {"name": "alpha_echo", "arguments": {}})
        assert r.result["task"] == odd["task"]
    assert not alpha.calls("tasks/result")
