// A server program of the tests: fetch-style handlers at 127.0.0.1, path /mcp.

import { createServer } from "node:http";

import { toNodeHandler } from "@modelcontextprotocol/node";

// Prints "listening PORT"; SIGTERM ends the process.
export function listen(port, handle) {
	const fetch = async (request) => new URL(request.url).pathname === "/mcp"
		? handle(request) : new Response("Not found\n", { status: 404 });
	const server = createServer(toNodeHandler({ fetch }));
	server.listen(port, "127.0.0.1", () => console.log(`listening ${server.address().port}`));
	for (const signal of ["SIGINT", "SIGTERM"])
		process.on(signal, () => process.exit(0));
}
