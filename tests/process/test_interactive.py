"""Elicitation, sampling and roots between clients and backends of both eras:
the answers find their call, on any worker and any replica, and every end is a
clear one."""

import os
import signal
import threading
import time

import pytest

from backend import Backend, echo, tool
from harness import Gateway, Pair
from interactive import (ANSWERS, FULL, answer_all, ask, asker, await_answer,
                         call_modern, describe, modern_asker, nonce_of,
                         run_legacy, run_modern, session_of)
from messages import legacy_body, modern, post
from wire import DEADLINE, eventually

KINDS = ["form", "url", "sampling", "roots"]
SAID = {"form": "accept Ada", "url": "accept None", "sampling": "Paris",
        "roots": "file:///a"}


def expected(kinds, rounds=1, nonce=""):
    return ", ".join([nonce] + [SAID[k] for k in kinds] * rounds)


def code_of(message):
    assert "error" in message, message
    return message["error"]["code"]


# ---- what works ----

@pytest.mark.parametrize("era", ["legacy", "modern"])
@pytest.mark.parametrize("kinds", [[k] for k in KINDS] + [
    ["form", "sampling", "roots"]], ids="+".join)
def test_modern_client(era, kinds):
    with Backend("alpha", era, tools=[asker(era, *kinds)]) as alpha, \
            Gateway(alpha) as g:
        for turn in range(3):
            text = run_modern(g.client(), arguments={"nonce": "n%d" % turn},
                              other=g.client())
            assert text == expected(kinds, nonce="n%d" % turn)


@pytest.mark.parametrize("era", ["legacy", "modern"])
@pytest.mark.parametrize("kinds", [[k] for k in KINDS] + [
    ["form", "sampling", "roots"]], ids="+".join)
def test_legacy_client(era, kinds):
    with Backend("alpha", era, tools=[asker(era, *kinds)]) as alpha, \
            Gateway(alpha) as g:
        session = session_of(g.client())
        for turn in range(3):
            message = run_legacy(g.client(), session,
                                 arguments={"nonce": "n%d" % turn})
            assert message["result"]["content"][0]["text"] == expected(
                kinds, nonce="n%d" % turn)
            assert "resultType" not in message["result"]


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_rounds(era):
    with Backend("alpha", era, tools=[
            asker(era, "form", "roots", rounds=3)]) as alpha, \
            Gateway(alpha) as g:
        want = expected(["form", "roots"], 3)
        assert run_modern(g.client(), other=g.client()) == want
        message = run_legacy(g.client(), session_of(g.client()))
        assert message["result"]["content"][0]["text"] == want


@pytest.mark.parametrize("version", ["2025-06-18", "2025-03-26"])
@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_older_clients(era, version):
    kinds = ["sampling", "roots"] + (["form"] if version > "2025-06" else [])
    with Backend("alpha", era, tools=[asker(era, *kinds)]) as alpha, \
            Gateway(alpha) as g:
        session = session_of(g.client(), version)
        message = run_legacy(g.client(), session, version=version)
        assert message["result"]["content"][0]["text"] == expected(kinds)


def test_older_client_is_not_asked_what_its_revision_does_not_have():
    with Backend("alpha", "modern", tools=[asker("modern", "form")]) as alpha, \
            Gateway(alpha) as g:
        session = session_of(g.client(), "2025-03-26")
        message = run_legacy(g.client(), session, version="2025-03-26")
        assert code_of(message) == -32603
        meta = alpha.last().meta
        assert "elicitation" not in meta[
            "io.modelcontextprotocol/clientCapabilities"]


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_a_thousand_users_do_not_cross(era):
    users, threads = 1000, 20
    with Backend("alpha", era, tools=[asker(era, "form")]) as alpha, \
            Gateway(alpha, workers=3) as g:
        done, failures = [], []

        def work(first):
            a, b = g.client(), g.client()
            for n in range(first, users, threads):
                nonce = "nonce-%d" % n
                answers = {**ANSWERS, "form": {
                    "action": "accept", "content": {"name": "user-%d" % n}}}
                said = None
                for who in (a, b):
                    r = call_modern(who, arguments={"nonce": nonce},
                                    answers=said).result
                    if r["resultType"] == "input_required":
                        said = answer_all(r, answers)
                text = r.get("content", [{}])[0].get("text")
                if text != "%s, accept user-%d" % (nonce, n):
                    failures.append((n, text))
                done.append(n)
        workers = [threading.Thread(target=work, args=(i,))
                   for i in range(threads)]
        for t in workers:
            t.start()
        for t in workers:
            t.join()
        assert not failures, failures[:5]
        assert len(done) == users


@pytest.mark.parametrize("kinds", [["form"], ["form", "sampling", "roots"]],
                         ids="+".join)
def test_answers_do_not_wait_for_the_connection_of_their_call(kinds):
    with Backend("alpha", "legacy", tools=[
            asker("legacy", *kinds, rounds=2)]) as alpha, \
            Gateway(alpha.entry(max_connections=1), workers=1) as g:
        assert run_modern(g.client()) == expected(kinds, 2)
        message = run_legacy(g.client(), session_of(g.client()))
        assert message["result"]["content"][0]["text"] == expected(kinds, 2)


@pytest.mark.parametrize("last", [False, True])
def test_a_question_over_256_kib(last):
    """Its state is sealed like that of a small one; and when it comes too
    late for that, it does not go out at all."""
    big = {"messages": [{"role": "user", "content": {
        "type": "text", "text": "x" * 400000}}], "maxTokens": 10}
    requests = {"k": {"method": "sampling/createMessage", "params": big}}

    def handler(exchange):
        if "inputResponses" in exchange.request.params:
            assert exchange.request.params["requestState"] == "own-state"
            return echo(exchange)
        if last:
            return exchange.result({
                "_meta": {"x": "x" * 400000}, "inputRequests": {},
                "requestState": "own-state", "resultType": "input_required"})
        return exchange.result({
            "resultType": "input_required", "inputRequests": requests,
            "requestState": "own-state"})

    with Backend("alpha", "modern", tools=[tool("ask", handler)]) as alpha, \
            Gateway(alpha, workers=1) as g:
        alpha.pieces = 10000
        if last:
            with g.connect() as c:
                c.send(modern("tools/call", {
                    "name": "alpha_ask", "arguments": {}}))
                got = c.reader.rest()
            assert b"x" * 1000 in got and b"own-state" not in got
            assert not got.endswith(b"0\r\n\r\n"), "it is complete"
            return
        r = call_modern(g.client(), arguments={"nonce": "n"})
        assert b"own-state" not in r.body
        assert r.result["inputRequests"] == requests
        assert run_modern(g.client(), arguments={"nonce": "n"}) == "n"
        message = run_legacy(g.client(), session_of(g.client()),
                             arguments={"nonce": "n"})
        assert message["result"]["content"][0]["text"] == "n"


# ---- questions beside the call's own stream ----

def apart_asker(*kinds):
    """Asks on the stream that GET opened in the session, as some libraries
    do."""
    def handler(exchange):
        session = exchange.request.header("mcp-session-id")
        said = []
        for kind in kinds:
            # Its head is out before the backend counts it.
            streams = eventually(lambda: [
                e for e, _ in list(exchange.backend.listeners)
                if e.request.header("mcp-session-id") == session],
                "a stream of the session")
            number = ask(streams[-1], kind)
            said.append(describe(await_answer(exchange, number)))
        return exchange.result({"content": [{
            "type": "text", "text": ", ".join([nonce_of(exchange)] + said)}]})
    return tool("ask", handler)


@pytest.mark.parametrize("sessions", ["shared", "per_client"])
def test_questions_apart(sessions):
    with Backend("alpha", "legacy", tools=[
            apart_asker("form", "roots"), tool("echo")]) as alpha, \
            Gateway(alpha.entry(sessions=sessions), workers=1) as g:
        for turn in range(3):
            assert run_modern(g.client(), arguments={"nonce": str(turn)}) == \
                expected(["form", "roots"], nonce=str(turn))
        session = session_of(g.client())
        for turn in range(3):
            message = run_legacy(g.client(), session)
            assert message["result"]["content"][0]["text"] == expected(
                ["form", "roots"])


def test_questions_apart_that_nobody_can_place():
    gate = threading.Event()

    def waits(exchange):
        gate.wait(DEADLINE)
        echo(exchange)

    with Backend("alpha", "legacy", tools=[
            apart_asker("form"), tool("waits", waits)]) as alpha, \
            Gateway(alpha, workers=1) as g:
        assert run_modern(g.client()) == expected(["form"])
        other = threading.Thread(target=lambda: call_modern(
            g.client(), "alpha_waits"))
        other.start()
        eventually(lambda: [r for r in alpha.calls()
                            if r.params["name"] == "waits"], "it runs")
        r = call_modern(g.client())
        assert "error -32603" in r.result["content"][0]["text"]
        gate.set()
        other.join()
        assert run_modern(g.client()) == expected(["form"])


def test_a_backend_without_such_a_stream():
    with Backend("alpha", "legacy", tools=[asker("legacy", "form")]) as alpha, \
            Gateway(alpha) as g:
        alpha.listen_allowed = False
        assert run_modern(g.client()) == expected(["form"])


# ---- replicas ----

@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_two_replicas(era):
    with Backend("alpha", era, tools=[asker(era, "form", rounds=2)]) as alpha, \
            Pair(alpha) as (one, two):
        for _ in range(4):
            text = run_modern(one.client(), other=two.client())
            assert text == expected(["form"], 2)
        session = session_of(one.client())
        for _ in range(4):
            message = run_legacy(one.client(), session,
                                 answer_by=two.client())
            assert message["result"]["content"][0]["text"] == expected(
                ["form"], 2)


def test_a_replica_is_killed():
    with Backend("alpha", "legacy", tools=[asker("legacy", "form")]) as alpha, \
            Pair(alpha, workers=1) as (one, two):
        answers = answer_all(call_modern(one.client()).result)
        for pid in one.children() + [one.pid]:
            os.kill(pid, signal.SIGKILL)
        one.process.wait()
        before = time.monotonic()
        message = call_modern(two.client(), answers=answers).message
        assert code_of(message) == -32603
        assert time.monotonic() - before < DEADLINE
        assert run_modern(two.client()) == expected(["form"])
        one.process.returncode = 0  # we did that


# ---- bad input ----

def changed(text, at):
    return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1:]


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_states_that_do_not_hold(era):
    tools = [asker(era, "form"), tool("other", asker(era, "form").handler)]
    with Backend("alpha", era, tools=tools) as alpha, Gateway(
            alpha, auth={"enabled": True, "static_tokens": {
                "token-of-ann-0123456789": {"client_id": "ann",
                                            "subject": "x"},
                "token-of-an-01234567890": {"client_id": "an",
                                            "subject": "nx"}}}) as g:
        ann = g.client("token-of-ann-0123456789")
        an = g.client("token-of-an-01234567890")
        answers = answer_all(call_modern(
            ann, arguments={"nonce": "1"}).result)
        calls = len(alpha.calls())

        def refused(who=ann, name="alpha_ask", nonce="1", **more):
            r = call_modern(who, name, {"nonce": nonce}, answers={
                **answers, **more})
            assert r.status == 200 and r.code == -32602, r.body

        state = answers["requestState"]
        refused(an)
        for at in range(0, len(state), 7):
            refused(requestState=changed(state, at))
        for bad in ("", "x", state[:-1], state + "A", state[4:], "gw2.",
                    "gw2." + "A" * 100000, 7, None, {}, [state]):
            refused(requestState=bad)
        refused(name="alpha_other")
        refused(nonce="2")
        refused(inputResponses=[])
        assert len(alpha.calls()) == calls
        # And it is still good for its own.
        r = call_modern(ann, arguments={"nonce": "1"}, answers=answers)
        assert r.result["content"][0]["text"] == "1, accept Ada"
        if era == "legacy":
            refused()  # once


def test_missing_and_unknown_answers():
    with Backend("alpha", "legacy", tools=[
            asker("legacy", "form", "roots")]) as alpha, Gateway(alpha) as g:
        c = g.client()
        first = call_modern(c).result
        answers = answer_all(first)
        by_method = {v["method"]: k for k, v in first["inputRequests"].items()}
        form = by_method["elicitation/create"]
        second = call_modern(c, answers={
            "requestState": answers["requestState"], "inputResponses": {
                form: answers["inputResponses"][form], "nobody": {},
                by_method["roots/list"]: "no object"}}).result
        assert second["resultType"] == "input_required"
        assert [v["method"] for v in second["inputRequests"].values()] == [
            "roots/list"]
        third = call_modern(c, answers=answer_all(second)).result
        assert third["content"][0]["text"] == expected(["form", "roots"])


def test_undeclared_kinds_are_not_asked():
    with Backend("alpha", "legacy", tools=[asker("legacy", "form")]) as alpha, \
            Backend("beta", "modern", tools=[asker("modern", "form")]) as beta, \
            Gateway(alpha, beta) as g:
        for name in ("alpha_ask", "beta_ask"):
            r = call_modern(g.client(), name, capabilities={"roots": {}})
            if name == "alpha_ask":
                # It is told, and may find another way.
                assert "error -32601" in r.result["content"][0]["text"]
            else:
                assert r.code == -32603 and "beta" in r.error["message"]
        session = session_of(g.client(), capabilities={"roots": {}})
        message = run_legacy(g.client(), session)
        assert "error -32601" in message["result"]["content"][0]["text"]
        message = run_legacy(g.client(), session, "beta_ask")
        assert code_of(message) == -32603


def test_a_call_that_fails_for_want_of_a_capability():
    def handler(exchange):
        message = await_answer(exchange, ask(exchange, "sampling"))
        exchange.error(message["error"]["code"], message["error"]["message"])

    with Backend("alpha", "legacy", tools=[tool("ask", handler)]) as alpha, \
            Gateway(alpha) as g:
        # The error's status needs a head that is not sent yet.
        r = call_modern(g.client(), capabilities={"roots": {}})
        assert (r.status, r.code) == (400, -32021)
        assert r.error["data"] == {"requiredCapabilities": {"sampling": {}}}


@pytest.mark.parametrize("answers", ["json", "sse"])
@pytest.mark.parametrize("pieces", [0, 5, 1000])
def test_input_required_in_every_form(answers, pieces):
    with Backend("alpha", "modern", tools=[asker("modern", "form")],
                 answers=answers) as alpha, Gateway(alpha) as g:
        alpha.pieces = pieces
        message = run_legacy(g.client(), session_of(g.client()))
        assert message["result"]["content"][0]["text"] == expected(["form"])
        assert run_modern(g.client()) == expected(["form"])


def test_forged_ids_of_questions_go_nowhere():
    with Backend("alpha", "modern", tools=[asker("modern", "form")]) as alpha, \
            Gateway(alpha) as g:
        session = session_of(g.client())
        c = g.client()
        for bad in ("x", "gw2." + "A" * 200, 1, "", "gw2." + "A" * 100000):
            r = c.post({"jsonrpc": "2.0", "id": bad, "result": {}},
                       {"Mcp-Session-Id": session})
            assert r.status == 202
        assert run_legacy(c, session)["result"]
        assert not [r for r in alpha.requests if r.rpc is None]


# ---- every end is a clear one ----

def test_a_client_that_never_comes_back():
    with Backend("alpha", "legacy", tools=[
            asker("legacy", "form"), tool("echo")]) as alpha, \
            Gateway(alpha, interactive_timeout=0.3) as g:
        answers = answer_all(call_modern(g.client()).result)
        alpha.wait_for("notifications/cancelled")
        eventually(lambda: [r for r in alpha.requests if r.rpc is None and
                            r.message.get("result") == {"action": "cancel"}],
                   "the elicitation is cancelled")
        r = call_modern(g.client(), answers=answers)
        assert r.code == -32602
        assert g.client().call("alpha_echo", {"nonce": "n"}) == "n"


def test_a_legacy_client_that_does_not_answer():
    with Backend("alpha", "modern", tools=[asker("modern", "form")]) as alpha, \
            Gateway(alpha, interactive_timeout=0.3) as g:
        c = g.client()
        session = session_of(g.client())
        c.send(post(legacy_body("tools/call", {"name": "alpha_ask"}, 7),
                    {"Mcp-Session-Id": session}))
        asked, withdrawn, answer = c.connection.head().messages
        assert withdrawn["method"] == "notifications/cancelled"
        assert withdrawn["params"]["requestId"] == asked["id"]
        assert code_of(answer) == -32603 and answer["id"] == 7


@pytest.mark.parametrize("kind,code", [("form", None), ("sampling", -32603)])
def test_a_legacy_client_that_refuses(kind, code):
    with Backend("alpha", "modern", tools=[asker("modern", kind)]) as alpha, \
            Gateway(alpha) as g:
        session = session_of(g.client())
        message = run_legacy(g.client(), session, answers={
            kind: {"error": {"code": -1, "message": "User rejected"}}})
        if code:
            assert code_of(message) == code
        else:
            assert message["result"]["content"][0]["text"] == ", cancel None"


def test_a_modern_client_that_leaves():
    """Closing the stream is the cancellation, also in a later round."""
    gate = threading.Event()
    with Backend("alpha", "legacy", tools=[
            asker("legacy", "form", gate=gate)]) as alpha, \
            Gateway(alpha) as g:
        c = g.client()
        answers = answer_all(call_modern(c).result)
        params = {"name": "alpha_ask", "arguments": {}, **answers}
        from messages import client_meta, modern
        c.send(modern("tools/call", params,
                      meta=client_meta(capabilities=FULL)))
        eventually(lambda: [r for r in alpha.requests if r.rpc is None],
                   "the answer arrives")
        c.close()
        alpha.wait_for("notifications/cancelled")
        gate.set()


def test_a_worker_that_keeps_a_call_is_killed():
    with Backend("alpha", "legacy", tools=[asker("legacy", "form")]) as alpha, \
            Gateway(alpha, workers=2) as g:
        waiting = [answer_all(call_modern(g.client()).result)
                   for _ in range(8)]
        for pid in g.workers():
            os.kill(pid, signal.SIGKILL)
        since = time.monotonic()
        for answers in waiting:
            def again():
                try:
                    return call_modern(g.client(), answers=answers)
                except OSError:
                    return None
            r = eventually(again, "an answer", DEADLINE)
            assert r.code == -32603, r.body
            assert "make the call again" in r.error["message"]
        assert time.monotonic() - since < 2 * DEADLINE
        assert run_modern(g.client()) == expected(["form"])


def test_calls_are_counted_once():
    """Also when another worker than the first one answers."""
    name = "oci_mcp_gateway_backend_calls_total"
    with Backend("alpha", "legacy", tools=[asker("legacy", "form")]) as alpha, \
            Gateway(alpha, workers=3) as g:
        before = g.metrics().find(name, backend="alpha")
        for _ in range(12):
            assert run_modern(g.client(),
                              other=g.client()) == expected(["form"])
        # A question and an answer each.
        eventually(lambda: g.metrics().find(
            name, backend="alpha") == before + 24, "24 calls")


def test_the_backend_is_killed_while_a_call_is_parked():
    with Backend("alpha", "legacy", tools=[asker("legacy", "form")]) as alpha, \
            Gateway(alpha) as g:
        answers = answer_all(call_modern(g.client()).result)
        alpha.stop()
        r = call_modern(g.client(), answers=answers)
        assert r.code == -32603 and "alpha" in r.error["message"]
        alpha.start()


def test_too_many_wait():
    with Backend("alpha", "legacy", tools=[
            asker("legacy", "form"), tool("echo", echo)]) as alpha, \
            Gateway(alpha, workers=1, limits={"waiting_calls": 2}) as g:
        waiting = [answer_all(call_modern(g.client()).result)
                   for _ in range(2)]
        r = call_modern(g.client())
        assert r.code == -32603 and "waiting_calls" in r.error["message"]
        assert g.client().call("alpha_echo", {"nonce": "n"}) == "n"
        for answers in waiting:
            r = call_modern(g.client(), answers=answers)
            assert r.result["content"][0]["text"] == expected(["form"])
        assert run_modern(g.client()) == expected(["form"])


def test_fewer_workers_while_calls_are_parked():
    """A worker that has to go waits for what it keeps."""
    with Backend("alpha", "legacy", tools=[asker("legacy", "form")]) as alpha, \
            Gateway(alpha, workers=3) as g:
        waiting = [answer_all(call_modern(g.client()).result)
                   for _ in range(12)]
        g.reload(workers=1)
        for answers in waiting:
            r = call_modern(g.client(), answers=answers)
            assert r.result["content"][0]["text"] == expected(["form"])
        eventually(lambda: len(g.workers()) == 1, "the others have gone")


def test_a_reload_while_a_call_is_parked():
    with Backend("alpha", "legacy", tools=[asker("legacy", "form")]) as alpha, \
            Gateway(alpha) as g:
        answers = answer_all(call_modern(g.client()).result)
        g.reload(list_ttl=61)
        r = call_modern(g.client(), answers=answers)
        assert r.result["content"][0]["text"] == expected(["form"])


# ---- URLs by an error (2025-11-25) ----

def url_error(exchange):
    exchange.error(-32042, "visit", {"elicitations": [{
        "mode": "url", "elicitationId": "e1", "message": "Sign in",
        "url": "https://x.example/y"}]})


def test_url_elicitation_by_error():
    seen = []

    def handler(exchange):
        seen.append(exchange.request.params)
        (url_error if len(seen) == 1 else echo)(exchange)

    with Backend("alpha", "legacy", tools=[tool("ask", handler)]) as alpha, \
            Gateway(alpha) as g:
        c = g.client()
        result = call_modern(c, arguments={"nonce": "n"}).result
        assert [r["params"] for r in result["inputRequests"].values()] == [
            {"mode": "url", "message": "Sign in",
             "url": "https://x.example/y"}]
        r = call_modern(c, arguments={"nonce": "n"},
                        answers=answer_all(result))
        assert r.result["content"][0]["text"] == "n"
        assert seen[0] == seen[1]


def test_url_elicitation_by_error_for_a_client_that_cannot():
    with Backend("alpha", "legacy", tools=[tool("ask", url_error)]) as alpha, \
            Gateway(alpha) as g:
        r = call_modern(g.client(), capabilities={"elicitation": {}})
        assert r.code == -32603 and "URL" in r.error["message"]


# ---- prompts and resources ask as well ----

def test_states_without_questions_are_tried_again():
    def handler(exchange):
        if exchange.request.params.get("requestState") == "later":
            return echo(exchange)
        return exchange.result({"resultType": "input_required",
                                "requestState": "later"})

    with Backend("alpha", "modern", tools=[tool("ask", handler)]) as alpha, \
            Gateway(alpha) as g:
        session = session_of(g.client())
        message = run_legacy(g.client(), session, arguments={"nonce": "n"})
        assert message["result"]["content"][0]["text"] == "n"
        assert len(alpha.calls()) == 2


def test_an_endless_questioner():
    with Backend("alpha", "modern", tools=[
            tool("ask", modern_asker("form", rounds=1000))]) as alpha, \
            Gateway(alpha) as g:
        message = run_legacy(g.client(), session_of(g.client()))
        assert code_of(message) == -32603
        assert len(alpha.calls()) < 50
