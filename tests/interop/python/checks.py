"""What each client must see and get of each server. A check is a function of a
Target; its name, as in the driver's tables, is that of the function."""

import asyncio
import base64
import copy
import json
import time

from clients import CAPITAL, NAME, ROOT, error_code, open_client

CONNECTIONS, CALLS_EACH = 5, 10  # of 50 callers at once
SEEN_S = 5         # until the backend has seen a call or its end
LATE_S = 1         # for what a client tells by tasks of its own
LARGE = 100_000    # twice in the answer; the SDKs take events of 1 MiB
SPREAD_S = 0.06    # at least, from the first progress to the end of 0.1 or 0.3 s
UNICODE = "Grüße, 日本 \"\\\u0001\u2028 \U0001f600"
METHOD_NOT_FOUND, INVALID_PARAMS = -32601, -32602


class Target:
    """One server as a client sees it. Through a gateway its names carry the
    name of the backend, and its URIs too."""

    def __init__(self, client, server, kind, url, token):
        self.client = client
        self.server = server["name"]
        self.node = server["node"]
        self.checks = server["checks"]
        self.prefix = f"{self.server}_" if server["namespaced"] else ""
        self.path = f"{self.server}/" if server["namespaced"] else ""
        self.kind, self.url, self.token = kind, url, token

    # The same server by another connection.
    def over(self, client):
        other = copy.copy(self)
        other.client = client
        return other

    def uri(self, rest):
        return f"test://{self.path}{rest}"

    def call(self, name, arguments=None, on_progress=None):
        return self.client.call(self.prefix + name, arguments or {}, on_progress)

    async def text(self, name, arguments=None):
        result = await self.call(name, arguments)
        assert not result.get("isError"), result
        return only_text(result)

    # The fixture for Node.js has no echo, but a tool that repeats all arguments.
    async def echo(self, text):
        if not self.node:
            return await self.text("echo", {"text": text})
        return json.loads(await self.text("json_schema_2020_12_tool", {"name": text}))["name"]


def only_text(result):
    content = result["content"]
    assert len(content) == 1 and content[0]["type"] == "text", result
    return content[0]["text"]


def same(found, expected):
    assert found == expected, f"{found!r} is not {expected!r}"


def named(items, key, value):
    found = [item for item in items if item[key] == value]
    assert len(found) == 1, f"{value}: {len(found)} in {[item[key] for item in items]}"
    return found[0]


async def until(condition, seconds):
    end = time.monotonic() + seconds
    while not await condition():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.02)
    return True


async def tools_list(target):
    tools = await target.client.tools()
    tool = named(tools, "name", target.prefix + "test_simple_text")
    same(tool["inputSchema"]["type"], "object")
    if not target.node:
        tool = named(tools, "name", target.prefix + "structured")
        same(tool["inputSchema"]["required"], ["city"])
        same(sorted(tool["outputSchema"]["properties"]), ["city", "conditions", "temperature"])


async def text(target):
    same(await target.text("test_simple_text"), "This is a simple text response for testing.")


async def unicode(target):
    same(await target.echo(UNICODE), UNICODE)


async def large(target):
    same(len(await target.echo("ü" * LARGE)), LARGE)


async def structured(target):
    result = await target.call("structured", {"city": "Zürich"})
    same(result["structuredContent"],
         {"city": "Zürich", "temperature": 21.5, "conditions": ["Grüße", "日本"]})


async def image(target):
    [content] = (await target.call("test_image_content"))["content"]
    same((content["type"], content["mimeType"]), ("image", "image/png"))
    same(base64.b64decode(content["data"])[1:4], b"PNG")


async def is_error(target):
    result = await target.call("test_error_handling")
    assert result["isError"], result
    assert "intentionally returns an error" in only_text(result), result


async def unknown_tool(target):
    try:
        result = await target.call("no_such_tool")
    except Exception as error:
        same(error_code(error), INVALID_PARAMS)
    else:
        raise AssertionError(f"answered: {result}")


async def prompts(target):
    listed = named(await target.client.prompts(), "name",
                   target.prefix + "test_prompt_with_arguments")
    same([argument["name"] for argument in listed["arguments"]], ["arg1", "arg2"])
    [simple] = (await target.client.prompt(target.prefix + "test_simple_prompt"))["messages"]
    same(simple["content"]["text"], "This is a simple prompt for testing.")
    [message] = (await target.client.prompt(
        listed["name"], {"arg1": "hello", "arg2": UNICODE}))["messages"]
    same(message["content"]["text"], f"Prompt with arguments: arg1='hello', arg2='{UNICODE}'")


async def resources(target):
    listed = await target.client.resources()
    named(listed, "uri", target.uri("static-text"))
    same(named(listed, "uri", target.uri("static-binary"))["mimeType"], "image/png")
    [content] = (await target.client.read(target.uri("static-text")))["contents"]
    same(content["text"], "This is the content of the static text resource.")
    [content] = (await target.client.read(target.uri("static-binary")))["contents"]
    same(base64.b64decode(content["blob"])[1:4], b"PNG")


async def templates(target):
    listed = named(await target.client.templates(), "uriTemplate",
                   target.uri("template/{id}/data"))
    [content] = (await target.client.read(listed["uriTemplate"].replace("{id}", "7")))["contents"]
    same(json.loads(content["text"]),
         {"id": "7", "templateTest": True, "data": "Data for ID: 7"})


async def completion(target):
    result = await target.client.complete(
        target.prefix + "test_prompt_with_arguments", {"name": "arg1", "value": "par"})
    same(result["completion"]["values"], ["paris", "park", "party"])


async def header_parameter(target):
    await target.client.tools()
    same(await target.text("test_header_parameter", {"region": "日本", "count": 7}),
         "region=日本 count=7")


async def progress(target):
    seen = []

    async def on_progress(done, total, message):
        seen.append((time.monotonic(), done, total))

    await target.call("test_tool_with_progress", None, on_progress)
    end = time.monotonic()
    same([step[1:] for step in seen], [(0, 100), (50, 100), (100, 100)])
    assert end - seen[0][0] > SPREAD_S, f"first progress {end - seen[0][0]:.3f} s before the end"


async def logging(target):
    target.client.logs.clear()
    same(await target.text("test_tool_with_logging"), "Tool with logging executed")

    async def all_there():
        return len(target.client.logs) >= 3

    await until(all_there, LATE_S)
    same(target.client.logs, ["Tool execution started", "Tool processing data",
                              "Tool execution completed"])


async def elicitation(target):
    same(await target.text("test_input_required_result_elicitation"), f"Hello, {NAME['name']}!")


async def sampling(target):
    same(await target.text("test_input_required_result_sampling"), CAPITAL)


async def sampling_apart(target):
    same(await target.text("sampling_apart"), CAPITAL)


async def roots(target):
    found = await target.text("test_input_required_result_list_roots")
    same(found.rstrip("/"), f"Roots: {ROOT}")


async def cancellation(target):
    nonce = f"{target.kind} {time.monotonic_ns()}"
    call = asyncio.create_task(target.call("wait", {"nonce": nonce}))

    async def is_in(wanted):
        return await target.text("state", {"nonce": nonce}) == wanted

    try:
        assert await until(lambda: is_in("running"), SEEN_S), "the call did not begin"
    finally:
        await target.client.cancel(call, target.prefix + "wait")
    assert await until(lambda: is_in("cancelled"), SEEN_S), \
        f"the backend says: {await target.text('state', {'nonce': nonce})}"
    same(await target.echo("after"), "after")


async def callers(target):
    async def caller(nonce, view):
        same(await view.echo(nonce), nonce)

    async def connection(number):
        async with open_client(target.kind, target.url, target.token) as client:
            view = target.over(client)
            await client.tools()  # or each first call asks for the whole list
            await asyncio.gather(*(caller(f"{target.kind} {number} {n}", view)
                                   for n in range(CALLS_EACH)))

    await asyncio.gather(*(connection(n) for n in range(CONNECTIONS)))


CHECKS = [tools_list, text, unicode, large, structured, image, is_error, unknown_tool, prompts,
          resources, templates, completion, header_parameter, progress, logging, elicitation,
          sampling, sampling_apart, roots, cancellation, callers]
