"""The catalogue on the SDK of the handshake revisions (mcp 1.x)."""

from mcp.server.fastmcp import Context, FastMCP, Image
from mcp.server.fastmcp.exceptions import ToolError
from mcp.types import Completion, SamplingMessage, TextContent

import catalogue

options = catalogue.arguments()
server = FastMCP(options.name, stateless_http=options.stateless,
                 json_response=options.json, log_level="WARNING")
catalogue.offer(server, options.name, Context, Image, ToolError)


@server.tool()
async def test_input_required_result_elicitation(ctx: Context) -> str:
    answer = await ctx.elicit(catalogue.ASK_NAME, catalogue.Name)
    return f"Hello, {answer.data.name}!"


async def ask_capital(ctx, **related):
    question = TextContent(type="text", text=catalogue.ASK_CAPITAL)
    answer = await ctx.session.create_message(
        [SamplingMessage(role="user", content=question)], max_tokens=100, **related)
    return answer.content.text


@server.tool()
async def test_input_required_result_sampling(ctx: Context) -> str:
    return await ask_capital(ctx, related_request_id=ctx.request_id)


# As the SDK's own manual has it: the request goes out on the stream that GET
# opened, and nothing in it says which call it belongs to.
@server.tool()
async def sampling_apart(ctx: Context) -> str:
    return await ask_capital(ctx)


# The SDK knows no other way for this one.
@server.tool()
async def test_input_required_result_list_roots(ctx: Context) -> str:
    answer = await ctx.session.list_roots()
    return catalogue.roots_text(root.uri for root in answer.roots)


@server.completion()
async def complete(ref, argument, context):
    return Completion(values=catalogue.words(argument))


catalogue.serve(server.streamable_http_app(), options.port)
