"""What every Python server here offers, with the names and contents of
../catalogue.mjs where it has them.

A server file brings the classes of its SDK, and the tools that ask the client,
which each SDK writes in its own way.
"""

import argparse
import asyncio
import base64
import json
import os
import socket

import uvicorn
from pydantic import BaseModel

STEP_S = 0.1         # after each progress message
LONGEST_WAIT_S = 30  # of the tool that waits to be cancelled
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAA"
    "DUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==")
WORDS = {"arg1": ["paris", "park", "party", "test"], "id": ["123", "124", "200"]}

ASK_NAME = "What is your name?"
ASK_CAPITAL = "What is the capital of France?"


class Name(BaseModel):
    name: str


class Weather(BaseModel):
    city: str
    temperature: float
    conditions: list[str]


def roots_text(uris):
    return "Roots: " + " ".join(str(uri) for uri in uris)


def words(argument):
    """Completions of prompt and template arguments."""
    known = WORDS.get(argument.name, [])
    return [word for word in known if word.startswith(argument.value)]


def offer(server, name, context, image, tool_error):
    """Registers everything that needs no answer from the client."""
    states = {}  # of calls to wait: nonce -> running, cancelled or ended

    @server.tool()
    def test_simple_text() -> str:
        return "This is a simple text response for testing."

    @server.tool()
    def echo(text: str) -> str:
        return text

    @server.tool()
    def whoami() -> str:
        return f"{name} {os.getpid()}"

    @server.tool()
    def structured(city: str) -> Weather:
        return Weather(city=city, temperature=21.5, conditions=["Grüße", "日本"])

    @server.tool()
    def test_image_content() -> image:
        return image(data=PNG, format="png")

    @server.tool()
    def test_error_handling() -> str:
        raise tool_error("This tool intentionally returns an error for testing")

    @server.tool()
    async def test_tool_with_progress(ctx: context) -> str:
        for done in (0, 50, 100):
            await ctx.report_progress(done, 100)
            await asyncio.sleep(STEP_S)
        return "done"

    @server.tool()
    async def test_tool_with_logging(ctx: context) -> str:
        for line in ("Tool execution started", "Tool processing data",
                     "Tool execution completed"):
            await ctx.info(line)
        return "Tool with logging executed"

    @server.tool()
    async def wait(nonce: str) -> str:
        states[nonce] = "running"
        try:
            await asyncio.sleep(LONGEST_WAIT_S)
            states[nonce] = "ended"
        except asyncio.CancelledError:
            states[nonce] = "cancelled"
            raise
        return "not cancelled"

    @server.tool()
    def state(nonce: str) -> str:
        return states.get(nonce, "unknown")

    @server.prompt()
    def test_simple_prompt() -> str:
        return "This is a simple prompt for testing."

    @server.prompt()
    def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
        return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"

    @server.resource("test://static-text", mime_type="text/plain")
    def static_text() -> str:
        return "This is the content of the static text resource."

    @server.resource("test://static-binary", mime_type="image/png")
    def static_binary() -> bytes:
        return PNG

    @server.resource("test://template/{id}/data", mime_type="application/json")
    def template(id: str) -> str:
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", required=True)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--stateless", action="store_true", help="no sessions")
    parser.add_argument("--json", action="store_true", help="no event streams")
    return parser.parse_args()


def serve(app, port):
    """Serves the application at 127.0.0.1 and prints 'listening PORT'."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(128)
    print("listening", listener.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(
        app, log_level="warning", timeout_graceful_shutdown=1,
    )).run(sockets=[listener])
