// The backend of the tests: catalogue.mjs over Streamable HTTP at 127.0.0.1,
// path /mcp. Requests of the handshake revisions are served by the v1 SDK with
// sessions, 2026-07-28 requests by the v2 SDK.
//
// Usage: fixture.mjs [--port N] [--era both|legacy|modern] [--name NAME]
// Port 0, the default, takes a free one. Prints "listening PORT".

import { parseArgs } from "node:util";

import * as v2 from "@modelcontextprotocol/server";

import { prompts, resources, tools } from "./catalogue.mjs";
import { LegacyBackend } from "./legacy.mjs";
import { listen } from "./listen.mjs";
import { ModernBackend } from "./modern.mjs";

const { values: options } = parseArgs({ options: {
	port: { type: "string", default: "0" },
	era: { type: "string", default: "both" },
	name: { type: "string", default: "fixture" },
} });

const everything = { tools, prompts, resources };
const older = { ...everything, tools: tools.filter((tool) => !tool.modern) };
const told = {
	name: options.name,
	changed: (kind) => [legacy, modern].forEach((backend) => backend.notify(kind)),
	updated: (uri) => [legacy, modern].forEach((backend) => backend.notifyUpdated(uri)),
};
const legacy = new LegacyBackend({ ...told, offer: options.era === "legacy" ? everything : older });
const modern = new ModernBackend({ ...told, offer: everything });

const serve = {
	legacy: (request) => legacy.serve(request),
	modern: (request) => modern.serve(request),
	both: async (request) => (await v2.isLegacyRequest(request) ? legacy : modern).serve(request),
}[options.era];
if (!serve)
	throw new Error(`unknown era ${options.era}`);

listen(Number(options.port), (request) =>
	v2.hostHeaderValidationResponse(request, v2.localhostAllowedHostnames()) ??
	v2.originValidationResponse(request, v2.localhostAllowedOrigins()) ??
	serve(request));
