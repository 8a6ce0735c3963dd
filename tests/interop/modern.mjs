// A backend of 2026-07-28: a catalogue served by the v2 SDK, one server object
// per request. What the SDK does not know is done around it: tasks.

import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import * as v2 from "@modelcontextprotocol/server";
import { z } from "zod";

import { complete, read, TASKS, templates } from "./catalogue.mjs";
import { capabilities, find, listed } from "./offer.mjs";
import { Tasks } from "./tasks.mjs";

const NEEDS_TASKS = { requiredCapabilities: { extensions: { [TASKS]: {} } } };
const EVENTS = { // of the SDK's bus
	tools_list_changed: ["toolsListChanged", "notifications/tools/list_changed"],
	prompts_list_changed: ["promptsListChanged", "notifications/prompts/list_changed"],
	resources_list_changed: ["resourcesListChanged", "notifications/resources/list_changed"],
};

const refuse = (message) => new v2.ProtocolError(v2.ProtocolErrorCode.InvalidParams, message);
const knowsTasks = (declared) => TASKS in (declared.extensions ?? {});

// The SDK checks Mcp-Param-* headers for tools it knows by registerTool; ours
// are known by the catalogue. It gives each tool result a content.
class ModernServer extends v2.McpServer {
	constructor(name, offer, options) {
		super({ name, version: "1.0.0" }, options);
		this.toolInputSchemaJson = (tool) => find(offer.tools, tool)?.schema;
		const { server } = this;
		const wrap = server._wrapHandler;
		server._wrapHandler = (method, handler) => {
			const wrapped = wrap.call(server, method, handler);
			return async (...request) => {
				const result = await wrapped(...request);
				if (result.resultType === "task")
					delete result.content;
				return result;
			};
		};
	}
}

export class ModernBackend {
	#codec = v2.createRequestStateCodec({ key: randomBytes(32) });
	#listeners = new Set();
	#tasks = new Tasks((task) => this.#listeners.forEach((listener) => listener(task)));
	#handler = v2.createMcpHandler(() => this.#product(), { legacy: "reject" });

	constructor({ name, offer, changed, updated }) {
		Object.assign(this, { name, offer, changed, updated });
	}

	async serve(request) {
		const body = request.method === "POST" ? await request.clone().json().catch(() => {}) : undefined;
		const isListen = body?.method === "subscriptions/listen" && body.params?.notifications?.taskIds;
		const response = await this.#handler.fetch(request);
		return isListen && response.headers.get("content-type") === "text/event-stream"
			? this.#listen(body, response) : response;
	}

	notify(kind) {
		this.#handler.notify[`${kind}Changed`]();
	}

	notifyUpdated(uri) {
		this.#handler.notify.resourceUpdated(uri);
	}

	// Takes over a stream that asks for tasks: the SDK has judged the request.
	#listen({ id, params }, response) {
		response.body.cancel();
		const declared = params._meta[v2.CLIENT_CAPABILITIES_META_KEY];
		if (!knowsTasks(declared))
			return Response.json({ jsonrpc: "2.0", id, error: { code: -32021,
				message: "Needs the tasks extension", data: NEEDS_TASKS } }, { status: 400 });
		const wanted = { ...params.notifications,
			taskIds: params.notifications.taskIds.filter((task) => this.#tasks.get(task)) };
		let stop;
		const stream = new ReadableStream({
			start: (controller) => {
				const send = (method, rest) => controller.enqueue(new TextEncoder().encode(
					`event: message\ndata: ${JSON.stringify({ jsonrpc: "2.0", method,
						params: { ...rest, _meta: { [v2.SUBSCRIPTION_ID_META_KEY]: id } } })}\n\n`));
				const onTask = (task) => wanted.taskIds.includes(task.taskId) &&
					send("notifications/tasks", task);
				const leave = this.#handler.bus.subscribe((event) => {
					const [member, method] = EVENTS[event.kind] ?? [];
					if (wanted[member])
						send(method);
					if (event.kind === "resource_updated" && wanted.resourceSubscriptions?.includes(event.uri))
						send("notifications/resources/updated", { uri: event.uri });
				});
				stop = () => {
					leave();
					this.#listeners.delete(onTask);
				};
				send("notifications/subscriptions/acknowledged", { notifications: wanted });
				this.#listeners.add(onTask);
			},
			cancel: () => stop(),
		});
		return new Response(stream, { headers: { "content-type": "text/event-stream" } });
	}

	#context({ mcpReq }) {
		const declared = mcpReq.envelope?.[v2.CLIENT_CAPABILITIES_META_KEY] ?? {};
		const progressToken = mcpReq._meta?.progressToken;
		return {
			answers: mcpReq.inputResponses ?? {},
			state: mcpReq.requestState(),
			has: (capability) => capability in declared,
			knowsTasks: knowsTasks(declared),
			log: (level, data) => mcpReq.log(level, data, this.name),
			progress: async (progress, total) => progressToken !== undefined &&
				mcpReq.notify({ method: "notifications/progress",
					params: { progressToken, progress, total } }),
			closeStream: () => {},
			sleep: (ms) => sleep(ms, undefined, { signal: mcpReq.signal }),
			changed: this.changed,
			updated: this.updated,
			missing: (requiredCapabilities) => {
				throw new v2.MissingRequiredClientCapabilityError({ requiredCapabilities });
			},
		};
	}

	async #result(result) {
		if (!result.inputRequests)
			return result;
		return v2.inputRequired({
			inputRequests: result.inputRequests,
			...result.state && { requestState: await this.#codec.mint(result.state) },
		});
	}

	async #call(params, ctx) {
		const tool = find(this.offer.tools, params.name);
		if (!tool)
			throw refuse(`Unknown tool: ${params.name}`);
		if (tool.taskOnly && !ctx.knowsTasks)
			throw new v2.MissingRequiredClientCapabilityError(NEEDS_TASKS);
		const args = params.arguments ?? {};
		if (ctx.knowsTasks && tool.task?.(ctx))
			return this.#tasks.create(tool.run, args, ctx);
		return this.#result(await tool.run(args, ctx));
	}

	async #prompt(params, ctx) {
		const prompt = find(this.offer.prompts, params.name);
		if (!prompt)
			throw refuse(`Unknown prompt: ${params.name}`);
		return this.#result(prompt.get(params.arguments ?? {}, ctx));
	}

	#read(uri) {
		const contents = read(uri);
		if (!contents)
			throw new v2.ResourceNotFoundError(uri);
		return { contents };
	}

	#task(id, ctx) {
		if (!ctx.knowsTasks)
			throw new v2.MissingRequiredClientCapabilityError(NEEDS_TASKS);
		const task = this.#tasks.get(id);
		if (!task)
			throw refuse(`Unknown task: ${id}`);
		return task;
	}

	#product() {
		const product = new ModernServer(this.name, this.offer,
			{ capabilities: capabilities.modern, requestState: { verify: this.#codec.verify } });
		const { server } = product;
		const known = {
			"tools/list": () => ({ tools: listed.tools(this.offer) }),
			"tools/call": (params, ctx) => this.#call(params, ctx),
			"prompts/list": () => ({ prompts: listed.prompts(this.offer) }),
			"prompts/get": (params, ctx) => this.#prompt(params, ctx),
			"resources/list": () => ({ resources: listed.resources(this.offer) }),
			"resources/templates/list": () => ({ resourceTemplates: templates }),
			"resources/read": (params) => this.#read(params.uri),
			"completion/complete": (params) => complete(params.ref, params.argument),
		};
		for (const [method, handle] of Object.entries(known))
			server.setRequestHandler(method,
				async ({ params }, ctx) => handle(params, this.#context(ctx)));
		const ofTasks = {
			"tasks/get": (task) => task,
			"tasks/update": (task, ctx) => this.#tasks.update(task.taskId, ctx.answers),
			"tasks/cancel": (task) => this.#tasks.cancel(task.taskId),
		};
		for (const [method, handle] of Object.entries(ofTasks))
			server.setRequestHandler(method, { params: z.looseObject({ taskId: z.string() }) },
				async (params, { mcpReq }) => {
					const ctx = this.#context({ mcpReq });
					return handle(this.#task(params.taskId, ctx), ctx) ?? {};
				});
		return product;
	}
}
