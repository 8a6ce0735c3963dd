// The official clients behind one interface:
//
//	version			negotiated revision, undefined when not known
//	interactive, tasks	lives longer than one operation; knows tasks
//	tools(), prompts(), resources(), templates()	lists, all pages
//	call(name, args, signal), prompt(name, args), read(uri)	signal: SDK clients only
//	complete(ref, argument)				SDK clients only
//	progress(name, args, each)	calls a tool, and each(progress); SDK clients only
//	hears(notification, uri, cause)	runs cause() and waits for the notification,
//			about the resource when a URI is given; SDK clients only
//	close()
//
// Errors are thrown; err.code is the JSON-RPC code where the client tells it.

import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 }
	from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as TransportV1 }
	from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import * as v1 from "@modelcontextprotocol/sdk/types.js";
import { mkdtempSync } from "node:fs";
import { join } from "node:path";

import { bounded, runProgram } from "./processes.mjs";

const CALL_MS = 10000;
const PROGRAM_MS = 30000; // the inspector: each operation is a process
const HEAR_MS = 5000;
const MODERN = "2026-07-28";
const LEGACY = "2025-11-25";
const identity = { name: "interop", version: "1.0.0" };
const capabilities = { elicitation: {}, sampling: {}, roots: {} };
const form = { name: "Ada", color: "green", ok: true, context: "tests", username: "ada", email: "ada@example.com" };
const answers = {
	"elicitation/create": ({ requestedSchema }) => ({ action: "accept", content: Object.fromEntries(
		Object.keys(requestedSchema.properties).map((name) => [name, form[name]])) }),
	"sampling/createMessage": () =>
		({ role: "assistant", model: "none", content: { type: "text", text: "Paris" } }),
	"roots/list": () => ({ roots: [{ uri: "file:///interop", name: "interop" }] }),
};
const UPDATED = "notifications/resources/updated";
const FILTERS = { // of a subscription, since 2026-07-28
	"notifications/tools/list_changed": () => ({ toolsListChanged: true }),
	"notifications/prompts/list_changed": () => ({ promptsListChanged: true }),
	"notifications/resources/list_changed": () => ({ resourcesListChanged: true }),
	[UPDATED]: (uri) => ({ resourceSubscriptions: [uri] }),
};

const NOTIFICATIONS = {
	"notifications/tools/list_changed": v1.ToolListChangedNotificationSchema,
	"notifications/prompts/list_changed": v1.PromptListChangedNotificationSchema,
	"notifications/resources/list_changed": v1.ResourceListChangedNotificationSchema,
	[UPDATED]: v1.ResourceUpdatedNotificationSchema,
};

const transportOptions = (token) =>
	token ? { requestInit: { headers: { Authorization: `Bearer ${token}` } } } : {};

// Until the client gets the notification; on(handler) registers for it.
function heard(on, notification, uri) {
	return bounded(HEAR_MS, `no ${notification}`, new Promise((resolve) =>
		on((params) => (uri === undefined || params.uri === uri) && resolve(params))));
}

// The handshake revisions: changes come on a stream that is always open.
const hearsLegacy = (client, on) => async (notification, uri, cause) => {
	const hearing = heard((handler) => on(notification, handler), notification, uri);
	hearing.catch(() => {}); // cause() may fail first
	if (notification === UPDATED)
		await client.subscribeResource({ uri });
	await cause();
	await hearing;
	if (notification === UPDATED)
		await client.unsubscribeResource({ uri });
};

const hearsModern = (client, on) => async (notification, uri, cause) => {
	const hearing = heard((handler) => on(notification, handler), notification, uri);
	hearing.catch(() => {});
	const subscription = await client.listen(FILTERS[notification](uri));
	await cause();
	await hearing;
	await subscription.close();
};

// Both SDKs have these methods under the same names; only v2 joins pages.
function wrap(client, version) {
	const all = async (list, key) => {
		const items = [];
		let cursor;
		do {
			const page = await list(cursor === undefined ? undefined : { cursor });
			items.push(...page[key]);
			cursor = page.nextCursor;
		} while (cursor !== undefined);
		return items;
	};
	return {
		version,
		interactive: true,
		tools: () => all((params) => client.listTools(params), "tools"),
		prompts: () => all((params) => client.listPrompts(params), "prompts"),
		resources: () => all((params) => client.listResources(params), "resources"),
		templates: () => all((params) => client.listResourceTemplates(params), "resourceTemplates"),
		prompt: (name, args) => client.getPrompt({ name, arguments: args }),
		read: (uri) => client.readResource({ uri }),
		complete: (ref, argument) => client.complete({ ref, argument }),
		close: () => client.close(),
	};
}

async function openV1(url, token) {
	const client = new ClientV1(identity, { capabilities });
	for (const schema of [v1.ElicitRequestSchema, v1.CreateMessageRequestSchema, v1.ListRootsRequestSchema])
		client.setRequestHandler(schema, async ({ method, params }) => answers[method](params));
	const transport = new TransportV1(new URL(url), transportOptions(token));
	await bounded(CALL_MS, "no connection", client.connect(transport));
	return {
		...wrap(client, transport.protocolVersion),
		call: (name, args, signal) => client.callTool({ name, arguments: args }, undefined, { signal }),
		hears: hearsLegacy(client, (notification, handler) => client.setNotificationHandler(
			NOTIFICATIONS[notification], ({ params }) => handler(params))),
		progress: (name, args, onprogress) =>
			client.callTool({ name, arguments: args }, undefined, { onprogress }),
	};
}

const openV2 = (mode) => async (url, token) => {
	const client = new ClientV2(identity, { capabilities, versionNegotiation: { mode } });
	for (const [method, answer] of Object.entries(answers))
		client.setRequestHandler(method, async ({ params }) => answer(params));
	await bounded(CALL_MS, "no connection",
		client.connect(new TransportV2(new URL(url), transportOptions(token))));
	const version = client.getNegotiatedProtocolVersion();
	const hears = version === MODERN ? hearsModern : hearsLegacy;
	return {
		...wrap(client, version),
		call: (name, args, signal) => client.callTool({ name, arguments: args }, { signal }),
		hears: hears(client, (notification, handler) => client.setNotificationHandler(
			notification, ({ params }) => handler(params))),
		progress: (name, args, onprogress) => client.callTool({ name, arguments: args }, { onprogress }),
	};
};

const INSPECTOR = join(import.meta.dirname,
	"node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js");

// One process per operation. The home directory is a fresh one: the inspector
// keeps a catalogue and tokens there.
const openInspector = (era) => async (url, token, tmp) => {
	const home = mkdtempSync(join(tmp, "inspector-"));
	const ask = async (method, ...args) => {
		const ran = await runProgram(process.execPath, [INSPECTOR, "--cli", url,
			"--transport", "http", "--format", "json", "-q", "--stored-auth-only",
			"--protocol-era", era, "--method", method, ...args,
			...token ? ["--header", `Authorization: Bearer ${token}`] : []],
		{ ms: PROGRAM_MS, env: { HOME: home } });
		if (ran.code !== 0 && ran.code !== 5) // 5: the tool says isError
			throw new Error(`inspector ${method} ended with ${ran.code}: ${ran.stderr || ran.stdout}`);
		const { result } = JSON.parse(ran.stdout || ran.stderr);
		if (!result)
			throw new Error(`inspector ${method}: ${ran.stdout || ran.stderr}`);
		return result;
	};
	const pairs = (args) => Object.entries(args ?? {}).map(([key, value]) => `${key}=${value}`);
	const client = {
		tools: async () => (await ask("tools/list")).tools,
		prompts: async () => (await ask("prompts/list")).prompts,
		resources: async () => (await ask("resources/list")).resources,
		templates: async () => (await ask("resources/templates/list")).resourceTemplates,
		call: (name, args) => ask("tools/call", "--tool-name", name, "--tool-args-json", JSON.stringify(args)),
		prompt: (name, args) => ask("prompts/get", "--prompt-name", name,
			...args ? ["--prompt-args", ...pairs(args)] : []),
		read: (uri) => ask("resources/read", "--uri", uri),
		close: async () => {},
	};
	const first = client.tools();
	await first;
	return { ...client, tools: () => first, tasks: era !== "legacy" };
};

// expected: the revision the client and a gateway of all revisions agree on.
// brief: ends up as another kind that has all checks; slow.
export const clients = {
	"client-v1": { open: openV1, expected: LEGACY },
	"client-v2-legacy": { open: openV2("legacy"), expected: LEGACY },
	"client-v2-auto": { open: openV2("auto"), expected: MODERN },
	"client-v2-modern": { open: openV2({ pin: MODERN }), expected: MODERN },
	"inspector-legacy": { open: openInspector("legacy") },
	"inspector-auto": { open: openInspector("auto"), brief: true },
	"inspector-modern": { open: openInspector("modern") },
};

// A client of the fixture itself, which sees the names of a gateway that has it
// as its backend "fx".
export function unprefixed(client) {
	const without = (name) => name.replace(/^fx_/, "");
	const named = async (list) => (await list()).map((item) => ({ ...item, name: `fx_${item.name}` }));
	const placed = (uri) => uri.replace("://", "://fx/");
	const real = (uri) => uri.replace("://fx/", "://");
	return {
		...client,
		tools: () => named(client.tools),
		prompts: () => named(client.prompts),
		resources: async () => (await client.resources()).map((item) => ({ ...item, uri: placed(item.uri) })),
		call: (name, ...rest) => client.call(without(name), ...rest),
		prompt: (name, args) => client.prompt(without(name), args),
		progress: (name, ...rest) => client.progress(without(name), ...rest),
		read: (uri) => client.read(real(uri)),
		hears: (notification, uri, cause) => client.hears(notification, uri && real(uri), cause),
	};
}
