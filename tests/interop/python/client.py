"""Runs one kind of client. Usage: client.py KIND, with a plan as one line of
JSON on standard input (driver.py describes it). Writes a line of JSON for each
result, and {"wait": ...} where it goes on after a line on standard input."""

import asyncio
import json
import re
import sys
import traceback

from checks import CHECKS, Target, elicitation, same
from clients import KINDS, open_client

CHECK_S = 10    # less than what the clients give a call
CONNECT_S = 15
RESTARTS_S = 600
# What the SDKs make of 401.
REFUSED = re.compile(r"401|unauthori|Server returned an error response", re.I)

kind = sys.argv[1]


def say(**line):
    print(json.dumps(line), flush=True)


# Task groups of the SDKs wrap what went wrong.
def reason(error):
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    text = str(error).split("\n")[0]
    return f"{type(error).__name__}: {text}"[:400]


async def attempt(name, work, seconds=CHECK_S):
    try:
        async with asyncio.timeout(seconds):
            await work
        say(name=name, ok=True)
        return True
    except (Exception, asyncio.CancelledError) as error:
        traceback.print_exc()
        say(name=name, ok=False, text=reason(error))
        return False


async def try_server(group, server, url, token):
    """All checks over one connection; after one that failed over a new one."""
    name = f"{kind}/{group}{server['name']}"
    checks = [check for check in CHECKS if check.__name__ in server["checks"]]
    expected = server.get("version") or KINDS[kind][2]
    step = "connect"
    while step == "connect" or checks:
        try:
            async with asyncio.timeout(CONNECT_S + CHECK_S * len(checks)), \
                    open_client(kind, url, token) as client:
                if step == "connect":
                    say(name=f"{name} connect", ok=client.version == expected,
                        text=f"{client.version}, not {expected}")
                step = "close"
                target = Target(client, server, kind, url, token)
                good = True
                while checks and good:
                    check = checks.pop(0)
                    good = await attempt(f"{name} {check.__name__}", check(target))
        except (Exception, asyncio.CancelledError) as error:
            traceback.print_exc()
            say(name=f"{name} {step}", ok=False, text=reason(error))
            if step == "connect":
                return


async def refused(url):
    async with open_client(kind, url) as client:
        await client.tools()
        raise AssertionError("served without a token")


async def try_refused(group, url):
    name = f"{kind}/{group}no-token"
    try:
        async with asyncio.timeout(CONNECT_S):
            await refused(url)
    except AssertionError as error:
        say(name=name, ok=False, text=reason(error))
    except (Exception, asyncio.CancelledError) as error:
        say(name=name, ok=bool(REFUSED.search(reason(error))), text=reason(error))


async def all_backends(views):
    """Every backend's own names in one list, and each call goes to its own."""
    names = [tool["name"] for tool in await views[0].client.tools()]
    same(len(set(names)), len(names))
    for view in views:
        assert view.prefix + "test_simple_text" in names, view.server
    python = [view for view in views if not view.node]
    said = await asyncio.gather(*(view.text("whoami") for view in python for _ in range(3)))
    same([line.split()[0] for line in said],
         [view.server for view in python for _ in range(3)])


async def forgotten(views):
    """The connection outlives the servers, and their sessions, and the gateway."""
    async def processes():
        return {view.server: (await view.text("whoami")).split()[1]
                for view in views if not view.node}

    before = await processes()
    say(wait="servers")
    await wait()
    for view in views:
        await attempt(f"{kind}/{view.server} after_restart", still_there(view))
        if "elicitation" in view.checks:
            await attempt(f"{kind}/{view.server} elicitation_after_restart", elicitation(view))
    after = await processes()
    same({name: pid for name, pid in after.items() if pid == before[name]}, {})
    say(wait="gateway")
    await wait()
    for view in views[:1]:
        await attempt(f"{kind}/{view.server} after_gateway_restart", still_there(view))


async def still_there(view):
    same(await view.echo("still there"), "still there")


async def wait():
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


async def restarts(url, servers):
    async with open_client(kind, url) as client:
        views = [Target(client, server, kind, url, None) for server in servers]
        await attempt(f"{kind}/all backends", all_backends(views))
        await attempt(f"{kind}/all restarts", forgotten(views), RESTARTS_S)
    async with open_client(kind, url) as client:
        views = [Target(client, server, kind, url, None) for server in servers]
        await attempt(f"{kind}/all reconnect", all_backends(views))


async def main():
    plan = json.loads(sys.stdin.readline())
    for group in plan["groups"]:
        if group["token"]:
            await try_refused(group["name"], group["servers"][0]["url"])
        for server in group["servers"]:
            await try_server(group["name"], server, server["url"], group["token"])
    if plan["restarts"]:
        servers = plan["groups"][0]["servers"]
        try:
            await restarts(servers[0]["url"], servers)
        except (Exception, asyncio.CancelledError) as error:
            traceback.print_exc()
            say(name=f"{kind}/all connection", ok=False, text=reason(error))


asyncio.run(main())
