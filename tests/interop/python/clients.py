"""The Python clients behind one interface. open_client(kind, url, token) is an
async context manager; what it gives has

    version                       negotiated revision
    logs                          texts of log messages, in order
    tools(), prompts(), resources(), templates()    all pages
    call(name, arguments, on_progress)              the result, isError or not
    cancel(task, name)            gives up a running call as the SDK does it
    prompt(name, arguments), read(uri), complete(ref, argument)

Results are what went over the wire: dictionaries with its names. Errors are
raised; error_code() gives their JSON-RPC code. SDKs are imported late, since
each has an environment of its own. verify=False: what is not needed for http://
and takes longer than all the rest of a connection.
"""

import asyncio
from contextlib import asynccontextmanager

NAME = {"name": "Ada"}
CAPITAL = "Paris"
ROOT = "file:///interop"
MODERN = "2026-07-28"
LEGACY = "2025-11-25"
CALL_S = 15

# kind: SDK, mode, the revision that it and a gateway of all revisions agree on.
KINDS = {
    "mcp1": ("v1", None, LEGACY),
    "mcp2-legacy": ("v2", "legacy", LEGACY),
    "mcp2-auto": ("v2", "auto", MODERN),
    "mcp2-modern": ("v2", MODERN, MODERN),
    "fastmcp-legacy": ("fastmcp", "legacy", LEGACY),
    "fastmcp-auto": ("fastmcp", "auto", MODERN),
}


def headers(token):
    return {"Authorization": f"Bearer {token}"} if token else {}


def error_code(error):
    """The JSON-RPC code, or None for an error of another kind."""
    return getattr(getattr(error, "error", None), "code", None)


# FastMCP's server wraps it.
def log_text(data):
    return data["msg"] if isinstance(data, dict) else data


def wire(model):
    return model.model_dump(by_alias=True, mode="json", exclude_none=True)


async def pages(ask, key):
    items, cursor = [], None
    while True:
        page = wire(await ask(cursor))
        items += page[key]
        cursor = page.get("nextCursor")
        if cursor is None:
            return items


class Session:
    """What the sessions of both SDKs have in common."""

    def __init__(self, session):
        self.session = session
        self.logs = []
        self.ids = {}

    def tools(self):
        return pages(self.list_page("list_tools"), "tools")

    def prompts(self):
        return pages(self.list_page("list_prompts"), "prompts")

    def resources(self):
        return pages(self.list_page("list_resources"), "resources")

    def templates(self):
        return pages(self.list_page("list_resource_templates"), "resourceTemplates")

    async def call(self, name, arguments, on_progress=None):
        return wire(await self.session.call_tool(
            name, arguments, progress_callback=on_progress))

    async def prompt(self, name, arguments=None):
        return wire(await self.session.get_prompt(name, arguments))

    async def read(self, uri):
        return wire(await self.session.read_resource(uri))

    async def cancel(self, task, name):
        task.cancel()
        await asyncio.wait([task])


class SessionV1(Session):
    def list_page(self, method):
        from mcp.types import PaginatedRequestParams
        return lambda cursor: getattr(self.session, method)(
            params=PaginatedRequestParams(cursor=cursor))

    async def complete(self, ref, argument):
        from mcp.types import PromptReference
        return wire(await self.session.complete(
            PromptReference(type="ref/prompt", name=ref), argument))

    # This SDK does not tell the server by itself, nor which id a call has: that
    # is the number it takes before anything else can run.
    async def cancel(self, task, name):
        from mcp.types import (CancelledNotification, CancelledNotificationParams,
                               ClientNotification)
        await self.session.send_notification(ClientNotification(CancelledNotification(
            params=CancelledNotificationParams(requestId=self.ids[name], reason="test"))))
        await super().cancel(task, name)

    async def call(self, name, arguments, on_progress=None):
        self.ids[name] = self.session._request_id
        return await super().call(name, arguments, on_progress)


class SessionV2(Session):
    def list_page(self, method):
        return lambda cursor: getattr(self.session, method)(cursor=cursor)

    async def complete(self, ref, argument):
        from mcp_types import PromptReference
        return wire(await self.session.complete(PromptReference(name=ref), argument))


class SessionFastMCP(Session):
    def list_page(self, method):
        return lambda cursor: getattr(self.session, f"{method}_mcp")(cursor=cursor)

    async def call(self, name, arguments, on_progress=None):
        return wire(await self.session.call_tool_mcp(name, arguments, on_progress))

    async def prompt(self, name, arguments=None):
        return wire(await self.session.get_prompt_mcp(name, arguments))

    async def read(self, uri):
        return wire(await self.session.read_resource_mcp(uri))

    async def complete(self, ref, argument):
        from mcp_types import PromptReference
        return wire(await self.session.complete_mcp(PromptReference(name=ref), argument))


def answers(types):
    """The callbacks that both SDKs take, under the names of their parameters."""
    async def elicit(context, params):
        return types.ElicitResult(action="accept", content=NAME)

    async def sample(context, params):
        return types.CreateMessageResult(
            role="assistant", model="none",
            content=types.TextContent(type="text", text=CAPITAL))

    async def roots(context):
        return types.ListRootsResult(roots=[types.Root(uri=ROOT)])

    return {"elicitation_callback": elicit, "sampling_callback": sample,
            "list_roots_callback": roots}


@asynccontextmanager
async def open_v1(mode, url, token):
    import httpx
    from mcp import ClientSession, types
    from mcp.client.streamable_http import streamable_http_client

    async def on_log(params):
        opened.logs.append(log_text(params.data))

    http = httpx.AsyncClient(headers=headers(token), timeout=CALL_S, verify=False)
    async with http, streamable_http_client(url, http_client=http) as (read, write, _):
        async with ClientSession(read, write, logging_callback=on_log,
                                 **answers(types)) as session:
            opened = SessionV1(session)
            opened.version = (await session.initialize()).protocolVersion
            yield opened


@asynccontextmanager
async def open_v2(mode, url, token):
    import httpx2
    import mcp_types as types
    from mcp.client import Client
    from mcp.client.streamable_http import streamable_http_client

    async def on_log(params):
        opened.logs.append(log_text(params.data))

    http = httpx2.AsyncClient(headers=headers(token), timeout=CALL_S, verify=False)
    async with http, Client(streamable_http_client(url, http_client=http), mode=mode,
                            logging_callback=on_log, log_level="info",
                            **answers(types)) as client:
        opened = SessionV2(client)
        opened.version = client.protocol_version
        yield opened


@asynccontextmanager
async def open_fastmcp(mode, url, token):
    from fastmcp import Client
    from fastmcp.client.transports import StreamableHttpTransport

    async def on_log(message):
        opened.logs.append(log_text(message.data))

    async def elicit(message, response_type, params, context):
        return NAME

    async def sample(messages, params, context):
        return CAPITAL

    transport = StreamableHttpTransport(url, headers=headers(token), verify=False)
    async with Client(transport, mode=mode, log_handler=on_log, timeout=CALL_S,
                      elicitation_handler=elicit, sampling_handler=sample,
                      roots=[ROOT]) as client:
        opened = SessionFastMCP(client)
        opened.version = client.protocol_version
        yield opened


OPEN = {"v1": open_v1, "v2": open_v2, "fastmcp": open_fastmcp}


def open_client(kind, url, token=None):
    sdk, mode, _ = KINDS[kind]
    return OPEN[sdk](mode, url, token)
