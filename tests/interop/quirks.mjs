// A backend with the habits of the conformance suite's own reference server,
// which is not published: both eras with different catalogues, and a 2026-07-28
// side written by hand that
//
//	calls		answers as an event stream, without resultType, but for the tools
//			that only this side has
//	listens		as application/json, one message per line, with a
//			subscription id that is always a string
//	streams		test_streaming_elicitation as two lines of application/json,
//			the first of them a progress notification without its token
//	refuses		transport errors with id null; -32021 with status 400;
//			any Host but a local one
//	overlooks	Mcp-Method, Mcp-Name and Mcp-Param-* fields
//	hides		the tools that change a list, which can be called
//
// and gives a request with a known session id to the older side, whatever it says.
//
// Usage: quirks.mjs [--port N]. Prints "listening PORT".

import { createHmac, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

import * as v2 from "@modelcontextprotocol/server";

import { complete as suggest, prompts, read, resources, templates, tools } from "./catalogue.mjs";
import { LegacyBackend } from "./legacy.mjs";
import { listen } from "./listen.mjs";
import { find, listed } from "./offer.mjs";

const { values: options } = parseArgs({ options: { port: { type: "string", default: "0" } } });

const MODERN = "2026-07-28";
const META = "io.modelcontextprotocol/";
const identity = { name: "quirks", version: "1.0.0" };
const LEVELS = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

// --- what it offers ------------------------------------------------------------

const older = tools.filter(({ name }) => name === "json_schema_2020_12_tool" ||
	/^test_(?!input_|trigger_|missing_|streaming_|logging_|header_|app)/.test(name) &&
	name !== "test_tool_with_task");
const newer = tools.filter(({ name }) =>
	/^test_(input_required_result|missing_capability|streaming_elicitation|logging_tool)/.test(name));
const triggers = tools.filter(({ name }) => /_(tool|prompt)_change$/.test(name))
	.map((tool) => ({ ...tool, unlisted: true }));
const asksNot = (tool) => !["test_sampling", "test_elicitation"].includes(tool.name) ? tool : {
	...tool, run: () => ({ isError: true, content: [{ type: "text", text: "Not supported" }] }) };

const offers = {
	legacy: {
		tools: [...older, ...triggers],
		prompts: prompts.filter(({ name }) => name !== "test_input_required_result_prompt"),
		resources: resources.filter(({ unlisted }) => !unlisted),
	},
	modern: {
		tools: [...older, ...newer, ...triggers].map(asksNot),
		prompts,
		resources: [...resources.filter(({ unlisted }) => !unlisted),
			{ ...resources[0], uri: "test://static-text?modern", name: "modern-text" }],
	},
};

// --- answers -------------------------------------------------------------------

class Refusal extends Error {
	constructor(status, code, message, data) {
		super(message);
		Object.assign(this, { status, code, data });
	}
}

const line = (message) => `${JSON.stringify(message)}\n`;
const event = (message) => `event: message\ndata: ${JSON.stringify(message)}\n\n`;
const notification = (method, params) => ({ jsonrpc: "2.0", method, params });
const response = (id, result) => ({ jsonrpc: "2.0", id, result });
const refused = (id, { status = 200, code = -32603, message, data }) =>
	Response.json({ jsonrpc: "2.0", id, error: { code, message, data } }, { status });

// A body that `write` is given functions for: send(text), done().
function streamed(type, write, cancel) {
	const encoder = new TextEncoder();
	const body = new ReadableStream({
		start: (controller) => write((text) => controller.enqueue(encoder.encode(text)),
			() => controller.close()),
		cancel,
	});
	return new Response(body, { headers: { "content-type": type } });
}

// --- changes -------------------------------------------------------------------

const listeners = new Set();

function listenTo({ id, params }) {
	const wanted = params.notifications ?? {};
	const _meta = { [`${META}subscriptionId`]: String(id) };
	let tell;
	return streamed("application/json", (send) => {
		tell = (kind) => wanted[`${kind}ListChanged`] &&
			send(line(notification(`notifications/${kind}/list_changed`, { _meta })));
		send(line(notification("notifications/subscriptions/acknowledged",
			{ notifications: wanted, _meta })));
		listeners.add(tell);
	}, () => listeners.delete(tell));
}

const told = {
	changed: (kind) => {
		legacy.notify(kind);
		listeners.forEach((tell) => tell(kind));
	},
	updated: (uri) => legacy.notifyUpdated(uri),
};
const legacy = new LegacyBackend({ name: identity.name, offer: offers.legacy, ...told });

// --- the state of what it asks ---------------------------------------------------

const key = randomBytes(32);
const seal = (text) => `${text}.${createHmac("sha256", key).update(text).digest("base64url")}`;
const mint = (state) => seal(Buffer.from(JSON.stringify(state)).toString("base64url"));

function verify(sealed) {
	if (sealed === undefined)
		return undefined;
	const [text] = sealed.split(".");
	if (seal(text) !== sealed)
		throw new Refusal(200, -32602, "requestState is not ours");
	return JSON.parse(Buffer.from(text, "base64url"));
}

const asked = (result, ended) => result.inputRequests ? { resultType: "input_required",
	inputRequests: result.inputRequests,
	...result.state && { requestState: mint(result.state) } } : { ...ended, ...result };
const complete = { resultType: "complete" };

function context({ params }, send) {
	const { _meta: meta } = params;
	const declared = meta[`${META}clientCapabilities`];
	const least = LEVELS.indexOf(meta[`${META}logLevel`]);
	return {
		answers: params.inputResponses ?? {},
		state: verify(params.requestState),
		has: (capability) => capability in declared,
		log: async (level, data) => least >= 0 && LEVELS.indexOf(level) >= least &&
			send(notification("notifications/message", { level, data })),
		progress: async (progress, total) => meta.progressToken !== undefined &&
			send(notification("notifications/progress",
				{ progressToken: meta.progressToken, progress, total })),
		closeStream: () => {},
		sleep,
		...told,
		missing: (requiredCapabilities) => {
			throw new Refusal(400, -32021, "Missing required client capability", { requiredCapabilities });
		},
	};
}

// --- methods -------------------------------------------------------------------

const cached = { ...complete, ttlMs: 0, cacheScope: "private" };
const capabilities = { tools: { listChanged: true }, prompts: { listChanged: true },
	resources: {}, completions: {} };

// What a tool tells before it ends is kept until then: the status is known
// only when the tool has run.
async function callTool(request) {
	const { id, params } = request;
	const tool = find(offers.modern.tools, params.name);
	if (!tool)
		throw new Refusal(200, -32602, `Unknown tool: ${params.name}`);
	const before = [];
	const result = asked(
		await tool.run(params.arguments ?? {}, context(request, (message) => before.push(message))),
		newer.includes(tool) ? complete : {});
	if (tool.name === "test_streaming_elicitation")
		return streamed("application/json", (send, done) => {
			send(line(notification("notifications/progress", { message: "Working" })));
			send(line(response(id, result)));
			done();
		});
	return streamed("text/event-stream", (send, done) => {
		[...before, response(id, result)].forEach((message) => send(event(message)));
		done();
	});
}

const results = {
	"server/discover": () => ({ ...cached, supportedVersions: [MODERN], capabilities,
		_meta: { [`${META}serverInfo`]: identity } }),
	"tools/list": () => ({ ...cached, tools: listed.tools(offers.modern) }),
	"prompts/list": () => ({ ...cached, prompts: listed.prompts(offers.modern) }),
	"resources/list": () => ({ ...cached, resources: listed.resources(offers.modern) }),
	"resources/templates/list": () => ({ ...cached, resourceTemplates: templates }),
	"resources/read": ({ params: { uri } }) => {
		const contents = uri.endsWith("?modern") ? read(resources[0].uri) : read(uri);
		if (!contents)
			throw new Refusal(200, -32602, "Resource not found", { uri });
		return { ...cached, contents };
	},
	"prompts/get": (request) => {
		const prompt = find(offers.modern.prompts, request.params.name);
		if (!prompt)
			throw new Refusal(200, -32602, `Unknown prompt: ${request.params.name}`);
		return asked(prompt.get(request.params.arguments ?? {}, context(request, () => {})), complete);
	},
	"completion/complete": ({ params }) =>
		({ ...complete, ...suggest(params.ref, params.argument) }),
};

function judge({ params }, header) {
	const { [`${META}protocolVersion`]: version, [`${META}clientCapabilities`]: declared } = params?._meta ?? {};
	if (typeof version !== "string" || typeof declared !== "object")
		throw new Refusal(400, -32602, "Invalid _meta");
	if (header !== version)
		throw new Refusal(400, -32020, "MCP-Protocol-Version differs from _meta");
	if (version !== MODERN)
		throw new Refusal(400, -32022, "Unsupported protocol version",
			{ supported: [MODERN], requested: version });
}

async function serveModern(request, body) {
	try {
		judge(body, request.headers.get("mcp-protocol-version"));
		if (body.method === "tools/call")
			return await callTool(body);
		if (body.method === "subscriptions/listen")
			return listenTo(body);
		if (!results[body.method])
			throw new Refusal(404, -32601, "Method not found");
		return Response.json(response(body.id, results[body.method](body)));
	} catch (error) {
		return refused(body.id, error);
	}
}

const claimsModern = (request, body) => body?.params?._meta?.[`${META}protocolVersion`] !== undefined ||
	request.headers.get("mcp-protocol-version") === MODERN;

async function serve(request) {
	if (request.method !== "POST" || legacy.knows(request.headers.get("mcp-session-id")))
		return legacy.serve(request);
	let body;
	try {
		body = await request.clone().json();
	} catch {
		return refused(null, { status: 400, code: -32700, message: "Parse error" });
	}
	if (!claimsModern(request, body))
		return legacy.serve(request);
	if (body.id === undefined)
		return new Response(null, { status: 202 });
	return serveModern(request, body);
}

listen(Number(options.port), (request) =>
	v2.hostHeaderValidationResponse(request, v2.localhostAllowedHostnames()) ?? serve(request));
