"""The catalogue on the SDK that also speaks 2026-07-28 (mcp 2.x). What a tool
asks of the client is a parameter with a resolver: the SDK turns it into a
request or into input_required, as the revision wants it."""

from typing import Annotated

from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.resolve import Elicit, ListRoots, Resolve, Sample
from mcp_types import (Completion, CreateMessageResult, ListRootsResult,
                       SamplingMessage, TextContent)

import catalogue

options = catalogue.arguments()
server = MCPServer(options.name, log_level="WARNING")
catalogue.offer(server, options.name, Context, Image, ToolError)


def ask_name() -> Elicit[catalogue.Name]:
    return Elicit(catalogue.ASK_NAME, catalogue.Name)


def ask_capital() -> Sample:
    question = TextContent(type="text", text=catalogue.ASK_CAPITAL)
    return Sample([SamplingMessage(role="user", content=question)], max_tokens=100)


def ask_roots() -> ListRoots:
    return ListRoots()


@server.tool()
async def test_input_required_result_elicitation(
        answer: Annotated[catalogue.Name, Resolve(ask_name)]) -> str:
    return f"Hello, {answer.name}!"


@server.tool()
async def test_input_required_result_sampling(
        answer: Annotated[CreateMessageResult, Resolve(ask_capital)]) -> str:
    return answer.content.text


@server.tool()
async def test_input_required_result_list_roots(
        answer: Annotated[ListRootsResult, Resolve(ask_roots)]) -> str:
    return catalogue.roots_text(root.uri for root in answer.roots)


@server.completion()
async def complete(ref, argument, context):
    return Completion(values=catalogue.words(argument))


catalogue.serve(server.streamable_http_app(
    stateless_http=options.stateless, json_response=options.json), options.port)
