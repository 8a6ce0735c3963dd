// A backend of the handshake revisions: a catalogue served by the v1 SDK, one
// server object per session.

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { WebStandardStreamableHTTPServerTransport }
	from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
import * as v1 from "@modelcontextprotocol/sdk/types.js";

import { complete, read, templates } from "./catalogue.mjs";
import { capabilities, find, listed } from "./offer.mjs";

const LEVELS = v1.LoggingLevelSchema.options;
const RETRY_MS = 100; // what a client waits before it resumes a stream
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
const wrong = (message) => new v1.McpError(v1.ErrorCode.InvalidParams, message);
const quietly = (promise) => promise.catch(() => {});

// Runs a tool or prompt, asking the client over the stream while it wants more.
async function converse(run, args, { session, extra, backend }) {
	const declared = session.server.getClientCapabilities() ?? {};
	const progressToken = extra._meta?.progressToken;
	const ask = (request) =>
		extra.sendRequest(request, CAPABILITY_OF[request.method][1]);
	const ctx = {
		answers: {},
		has: (capability) => capability in declared,
		log: async (level, data) => LEVELS.indexOf(level) >= LEVELS.indexOf(session.level) &&
			extra.sendNotification({ method: "notifications/message",
				params: { level, logger: backend.name, data } }),
		progress: async (progress, total) => progressToken !== undefined &&
			extra.sendNotification({ method: "notifications/progress",
				params: { progressToken, progress, total } }),
		closeStream: () => extra.closeSSEStream?.(),
		sleep: (ms) => sleep(ms, undefined, { signal: extra.signal }),
		changed: backend.changed,
		updated: backend.updated,
		// These revisions have no error for it: a server asks all the same,
		// and fails with what the client says.
		missing: ({ sampling }) => sampling && ask({ method: "sampling/createMessage",
			params: { messages: [], maxTokens: 1 } }),
	};
	for (;;) {
		const result = await run(args, ctx);
		if (!result.inputRequests)
			return result;
		ctx.state = result.state;
		const requests = Object.entries(result.inputRequests);
		for (const [, { method }] of requests)
			if (!ctx.has(CAPABILITY_OF[method][0]))
				return failure(`The client does not support ${CAPABILITY_OF[method][0]}`);
		await Promise.all(requests.map(async ([key, request]) => {
			ctx.answers[key] = await ask(request);
		}));
	}
}

const handlers = [
	[v1.ListToolsRequestSchema, (params, { backend }) => ({ tools: listed.tools(backend.offer) })],
	[v1.CallToolRequestSchema, (params, call) => {
		const tool = find(call.backend.offer.tools, params.name);
		if (!tool)
			throw wrong(`Unknown tool: ${params.name}`);
		return converse(tool.run, params.arguments ?? {}, call);
	}],
	[v1.ListPromptsRequestSchema, (params, { backend }) => ({ prompts: listed.prompts(backend.offer) })],
	[v1.GetPromptRequestSchema, (params, call) => {
		const prompt = find(call.backend.offer.prompts, params.name);
		if (!prompt)
			throw wrong(`Unknown prompt: ${params.name}`);
		return converse(prompt.get, params.arguments ?? {}, call);
	}],
	[v1.ListResourcesRequestSchema, (params, { backend }) => ({ resources: listed.resources(backend.offer) })],
	[v1.ListResourceTemplatesRequestSchema, () => ({ resourceTemplates: templates })],
	[v1.ReadResourceRequestSchema, (params) => {
		const contents = read(params.uri);
		if (!contents)
			throw new v1.McpError(-32002, "Resource not found", { uri: params.uri });
		return { contents };
	}],
	[v1.SubscribeRequestSchema, (params, { session }) => {
		session.watched.add(params.uri);
		return {};
	}],
	[v1.UnsubscribeRequestSchema, (params, { session }) => {
		session.watched.delete(params.uri);
		return {};
	}],
	[v1.SetLevelRequestSchema, (params, { session }) => {
		session.level = params.level;
		return {};
	}],
	[v1.CompleteRequestSchema, (params) => complete(params.ref, params.argument)],
];

const unknownSession = () => Response.json({ jsonrpc: "2.0", id: null,
	error: { code: -32001, message: "Session not found" } }, { status: 404 });

// changed(kind) and updated(uri) tell clients of all eras; notify and
// notifyUpdated those of this one.
export class LegacyBackend {
	#sessions = new Map();

	constructor({ name, offer, changed, updated }) {
		Object.assign(this, { name, offer, changed, updated });
	}

	knows(id) {
		return this.#sessions.has(id);
	}

	async serve(request) {
		const id = request.headers.get("mcp-session-id");
		if (id && !this.knows(id))
			return unknownSession();
		const session = id ? this.#sessions.get(id) : await this.#open();
		return session.transport.handleRequest(request);
	}

	notify(kind) {
		for (const { server } of this.#sessions.values())
			quietly(server.notification({ method: `notifications/${kind}/list_changed` }));
	}

	notifyUpdated(uri) {
		for (const { server, watched } of this.#sessions.values())
			if (watched.has(uri))
				quietly(server.sendResourceUpdated({ uri }));
	}

	async #open() {
		const session = { level: "debug", watched: new Set() };
		session.server = new Server({ name: this.name, version: "1.0.0" }, { capabilities: capabilities.legacy });
		for (const [schema, handle] of handlers)
			session.server.setRequestHandler(schema,
				async ({ params }, extra) => handle(params, { session, extra, backend: this }));
		session.transport = new WebStandardStreamableHTTPServerTransport({
			sessionIdGenerator: randomUUID,
			eventStore: new Events(),
			retryInterval: RETRY_MS,
			onsessioninitialized: (id) => this.#sessions.set(id, session),
			onsessionclosed: (id) => this.#sessions.delete(id),
		});
		await session.server.connect(session.transport);
		return session;
	}
}
