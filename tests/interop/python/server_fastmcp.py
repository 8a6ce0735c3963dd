"""The catalogue on FastMCP. A tool that asks does it by a request to an older
client, and by an InputRequiredResult to one of 2026-07-28."""

from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.utilities.types import Image
from mcp_types import (CreateMessageRequest, CreateMessageRequestParams, ElicitRequest,
                       ElicitRequestFormParams, InputRequiredResult, ListRootsRequest,
                       SamplingMessage, TextContent)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

import catalogue

options = catalogue.arguments()
server = FastMCP(options.name)
catalogue.offer(server, options.name, Context, Image, ToolError)

QUESTION = [SamplingMessage(
    role="user", content=TextContent(type="text", text=catalogue.ASK_CAPITAL))]


def is_modern(ctx):
    return ctx.request_context.protocol_version in MODERN_PROTOCOL_VERSIONS


def ask(request):
    return InputRequiredResult(input_requests={"answer": request})


@server.tool()
async def test_input_required_result_elicitation(ctx: Context) -> str | InputRequiredResult:
    if not is_modern(ctx):
        answer = await ctx.elicit(catalogue.ASK_NAME, catalogue.Name)
        return f"Hello, {answer.data.name}!"
    if ctx.input_responses:
        return f"Hello, {ctx.input_responses['answer'].content['name']}!"
    return ask(ElicitRequest(params=ElicitRequestFormParams(
        message=catalogue.ASK_NAME,
        requested_schema=catalogue.Name.model_json_schema())))


@server.tool()
async def test_input_required_result_sampling(ctx: Context) -> str | InputRequiredResult:
    if not is_modern(ctx):
        answer = await ctx.session.create_message(
            QUESTION, max_tokens=100, related_request_id=ctx.request_id)
        return answer.content.text
    if ctx.input_responses:
        return ctx.input_responses["answer"].content.text
    return ask(CreateMessageRequest(params=CreateMessageRequestParams(
        messages=QUESTION, max_tokens=100)))


@server.tool()
async def test_input_required_result_list_roots(ctx: Context) -> str | InputRequiredResult:
    if not is_modern(ctx):
        answer = await ctx.session.list_roots()
    elif ctx.input_responses:
        answer = ctx.input_responses["answer"]
    else:
        return ask(ListRootsRequest())
    return catalogue.roots_text(root.uri for root in answer.roots)


@server.completion
def complete(ref, argument, context):
    return catalogue.words(argument)


catalogue.serve(server.http_app(
    path="/mcp", stateless_http=options.stateless, json_response=options.json), options.port)
