// The fixture server of the conformance runs: catalogue.mjs over Streamable
// HTTP at 127.0.0.1, path /mcp. Requests of the handshake revisions are served
// by the v1 SDK with sessions, 2026-07-28 requests by the v2 SDK.
//
// Usage: fixture.mjs [--port N] [--era both|legacy|modern] [--name NAME]
// Port 0, the default, takes a free one. Prints "listening PORT".

import { randomBytes, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { parseArgs } from "node:util";

import { toNodeHandler } from "@modelcontextprotocol/node";
import { Server as LegacyServer } from "@modelcontextprotocol/sdk/server/index.js";
import { WebStandardStreamableHTTPServerTransport }
	from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
import * as v1 from "@modelcontextprotocol/sdk/types.js";
import * as v2 from "@modelcontextprotocol/server";

import { complete, prompts, read, resources, templates, tools } from "./catalogue.mjs";

const { values: options } = parseArgs({ options: {
	port: { type: "string", default: "0" },
	era: { type: "string", default: "both" },
	name: { type: "string", default: "fixture" },
} });
const identity = { name: options.name, version: "1.0.0" };
const capabilities = {
	tools: { listChanged: true },
	prompts: { listChanged: true },
	resources: { listChanged: true, subscribe: true },
	completions: {},
	logging: {},
};
const LEVELS = v1.LoggingLevelSchema.options;

// Lists, without what only the server needs to know.

const listTools = (modern) => tools
	.filter((tool) => !tool.unlisted && (modern || !tool.modern))
	.map(({ name, description, schema }) =>
		({ name, description, inputSchema: schema ?? { type: "object", properties: {} } }));
const listPrompts = () => prompts.map(({ get, ...prompt }) => prompt);
const listResources = () => resources.map(({ text, blob, ...resource }) => resource);

const findTool = (name, modern) =>
	tools.find((tool) => tool.name === name && (modern || !tool.modern));
const findPrompt = (name) => prompts.find((prompt) => prompt.name === name);

// --- 2026-07-28: one server object per request -------------------------------

const codec = v2.createRequestStateCodec({ key: randomBytes(32) });

// The SDK checks Mcp-Param-* headers for tools it knows by registerTool; ours
// are known by the catalogue.
class ModernServer extends v2.McpServer {
	toolInputSchemaJson(name) {
		return findTool(name, true)?.schema;
	}
}

function modernContext({ mcpReq, http }) {
	const declared = mcpReq.envelope?.[v2.CLIENT_CAPABILITIES_META_KEY] ?? {};
	const progressToken = mcpReq._meta?.progressToken;
	return {
		answers: mcpReq.inputResponses ?? {},
		state: mcpReq.requestState(),
		has: (capability) => capability in declared,
		log: (level, data) => mcpReq.log(level, data, options.name),
		progress: async (progress, total) => progressToken !== undefined &&
			mcpReq.notify({ method: "notifications/progress",
				params: { progressToken, progress, total } }),
		closeStream: () => {},
		changed: announce,
		missing: (requiredCapabilities) => {
			throw new v2.MissingRequiredClientCapabilityError({ requiredCapabilities });
		},
	};
}

async function modernResult(result) {
	if (!result.inputRequests)
		return result;
	return v2.inputRequired({
		inputRequests: result.inputRequests,
		...result.state && { requestState: await codec.mint(result.state) },
	});
}

const refuse = (message) => new v2.ProtocolError(v2.ProtocolErrorCode.InvalidParams, message);

const modernHandlers = {
	"tools/list": () => ({ tools: listTools(true) }),
	"tools/call": async ({ params }, ctx) => {
		const tool = findTool(params.name, true);
		if (!tool)
			throw refuse(`Unknown tool: ${params.name}`);
		return modernResult(await tool.run(params.arguments ?? {}, modernContext(ctx)));
	},
	"prompts/list": () => ({ prompts: listPrompts() }),
	"prompts/get": async ({ params }, ctx) => {
		const prompt = findPrompt(params.name);
		if (!prompt)
			throw refuse(`Unknown prompt: ${params.name}`);
		return modernResult(prompt.get(params.arguments ?? {}, modernContext(ctx)));
	},
	"resources/list": () => ({ resources: listResources() }),
	"resources/templates/list": () => ({ resourceTemplates: templates }),
	"resources/read": ({ params }) => {
		const contents = read(params.uri);
		if (!contents)
			throw new v2.ResourceNotFoundError(params.uri);
		return { contents };
	},
	"completion/complete": ({ params }) => complete(params.ref, params.argument),
};

const modern = v2.createMcpHandler(() => {
	const product = new ModernServer(identity, { capabilities, requestState: { verify: codec.verify } });
	for (const [method, handler] of Object.entries(modernHandlers))
		product.server.setRequestHandler(method, async (request, ctx) => handler(request, ctx));
	return product;
}, { legacy: "reject" });

// --- 2025-11-25 and older: one server object per session ---------------------

const sessions = new Map();
const CAPABILITY_OF = {
	"elicitation/create": ["elicitation", v1.ElicitResultSchema],
	"sampling/createMessage": ["sampling", v1.CreateMessageResultSchema],
	"roots/list": ["roots", v1.ListRootsResultSchema],
};

// Keeps all events of a session, for resumption.
class Events {
	#events = [];

	async storeEvent(stream, message) {
		this.#events.push({ stream, message });
		return String(this.#events.length - 1);
	}

	async getStreamIdForEventId(id) {
		return this.#events[Number(id)]?.stream;
	}

	async replayEventsAfter(id, { send }) {
		const stream = this.#events[Number(id)]?.stream;
		for (let n = Number(id) + 1; n < this.#events.length; n++)
			if (this.#events[n].stream === stream && this.#events[n].message.jsonrpc)
				await send(String(n), this.#events[n].message);
		return stream;
	}
}

const failure = (message) => ({ isError: true, content: [{ type: "text", text: message }] });

// Runs a tool or prompt, asking the client over the stream while it wants more.
async function converse(run, args, session, extra) {
	const declared = session.server.getClientCapabilities() ?? {};
	const progressToken = extra._meta?.progressToken;
	const ctx = {
		answers: {},
		has: (capability) => capability in declared,
		log: async (level, data) => LEVELS.indexOf(level) >= LEVELS.indexOf(session.level) &&
			extra.sendNotification({ method: "notifications/message",
				params: { level, logger: options.name, data } }),
		progress: async (progress, total) => progressToken !== undefined &&
			extra.sendNotification({ method: "notifications/progress",
				params: { progressToken, progress, total } }),
		closeStream: () => extra.closeSSEStream?.(),
		changed: announce,
		missing: () => failure("The client lacks a capability"),
	};
	for (;;) {
		const result = await run(args, ctx);
		if (!result.inputRequests)
			return result;
		ctx.state = result.state;
		for (const [key, request] of Object.entries(result.inputRequests)) {
			const [capability, schema] = CAPABILITY_OF[request.method];
			if (!ctx.has(capability))
				return failure(`The client does not support ${capability}`);
			ctx.answers[key] = await extra.sendRequest(request, schema);
		}
	}
}

const wrong = (message) => new v1.McpError(v1.ErrorCode.InvalidParams, message);

const legacyHandlers = [
	[v1.ListToolsRequestSchema, () => ({ tools: listTools(false) })],
	[v1.CallToolRequestSchema, ({ params }, session, extra) => {
		const tool = findTool(params.name, false);
		if (!tool)
			throw wrong(`Unknown tool: ${params.name}`);
		return converse(tool.run, params.arguments ?? {}, session, extra);
	}],
	[v1.ListPromptsRequestSchema, () => ({ prompts: listPrompts() })],
	[v1.GetPromptRequestSchema, ({ params }, session, extra) => {
		const prompt = findPrompt(params.name);
		if (!prompt)
			throw wrong(`Unknown prompt: ${params.name}`);
		return converse(prompt.get, params.arguments ?? {}, session, extra);
	}],
	[v1.ListResourcesRequestSchema, () => ({ resources: listResources() })],
	[v1.ListResourceTemplatesRequestSchema, () => ({ resourceTemplates: templates })],
	[v1.ReadResourceRequestSchema, ({ params }) => {
		const contents = read(params.uri);
		if (!contents)
			throw new v1.McpError(-32002, "Resource not found", { uri: params.uri });
		return { contents };
	}],
	[v1.SubscribeRequestSchema, ({ params }, session) => {
		session.watched.add(params.uri);
		return {};
	}],
	[v1.UnsubscribeRequestSchema, ({ params }, session) => {
		session.watched.delete(params.uri);
		return {};
	}],
	[v1.SetLevelRequestSchema, ({ params }, session) => {
		session.level = params.level;
		return {};
	}],
	[v1.CompleteRequestSchema, ({ params }) => complete(params.ref, params.argument)],
];

async function openSession() {
	const session = { level: "debug", watched: new Set() };
	session.server = new LegacyServer(identity, { capabilities });
	for (const [schema, handler] of legacyHandlers)
		session.server.setRequestHandler(schema,
			async (request, extra) => handler(request, session, extra));
	session.transport = new WebStandardStreamableHTTPServerTransport({
		sessionIdGenerator: randomUUID,
		eventStore: new Events(),
		retryInterval: 100,
		onsessioninitialized: (id) => sessions.set(id, session),
		onsessionclosed: (id) => sessions.delete(id),
	});
	await session.server.connect(session.transport);
	return session;
}

function serveLegacy(request) {
	const id = request.headers.get("mcp-session-id");
	if (id && !sessions.has(id))
		return Response.json({ jsonrpc: "2.0", id: null,
			error: { code: -32001, message: "Session not found" } }, { status: 404 });
	const session = id ? sessions.get(id) : openSession();
	return Promise.resolve(session).then((s) => s.transport.handleRequest(request));
}

// --- both ---------------------------------------------------------------------

const quietly = (promise) => promise.catch(() => {});

// Tells every listener of both eras that something changed.
function announce(kind) {
	const changed = { tools: "toolsChanged", prompts: "promptsChanged", resources: "resourcesChanged" };
	modern.notify[changed[kind]]();
	if (kind === "resources")
		modern.notify.resourceUpdated("test://watched-resource");
	for (const { server, watched } of sessions.values()) {
		quietly(server.notification({ method: `notifications/${kind}/list_changed` }));
		if (kind === "resources" && watched.has("test://watched-resource"))
			quietly(server.sendResourceUpdated({ uri: "test://watched-resource" }));
	}
}

const serve = {
	legacy: serveLegacy,
	modern: (request) => modern.fetch(request),
	both: async (request) =>
		await v2.isLegacyRequest(request) ? serveLegacy(request) : modern.fetch(request),
}[options.era];
if (!serve)
	throw new Error(`unknown era ${options.era}`);

async function fetch(request) {
	if (new URL(request.url).pathname !== "/mcp")
		return new Response("Not found\n", { status: 404 });
	return v2.hostHeaderValidationResponse(request, v2.localhostAllowedHostnames()) ??
		v2.originValidationResponse(request, v2.localhostAllowedOrigins()) ??
		serve(request);
}

const listener = createServer(toNodeHandler({ fetch }));
listener.listen(Number(options.port), "127.0.0.1",
	() => console.log(`listening ${listener.address().port}`));
for (const signal of ["SIGINT", "SIGTERM"])
	process.on(signal, () => process.exit(0));
