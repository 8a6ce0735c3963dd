// The official clients behind one interface:
//
//	version			negotiated revision, undefined when not known
//	tools(), prompts(), resources(), templates()	lists, all pages
//	call(name, args), prompt(name, args), read(uri)
//	complete(ref, argument)				SDK clients only
//	progress(name)	calls a tool: { seen, end }, with times; SDK clients only
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
const identity = { name: "interop", version: "1.0.0" };
const capabilities = { elicitation: {}, sampling: {}, roots: {} };
const answers = {
	"elicitation/create": { action: "accept", content: { name: "Ada" } },
	"sampling/createMessage": { role: "assistant", model: "none", content: { type: "text", text: "Paris" } },
	"roots/list": { roots: [{ uri: "file:///interop", name: "interop" }] },
};

const transportOptions = (token) =>
	token ? { requestInit: { headers: { Authorization: `Bearer ${token}` } } } : {};

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
		call: (name, args) => client.callTool({ name, arguments: args }),
		prompt: (name, args) => client.getPrompt({ name, arguments: args }),
		read: (uri) => client.readResource({ uri }),
		complete: (ref, argument) => client.complete({ ref, argument }),
		close: () => client.close(),
	};
}

async function openV1(url, token) {
	const client = new ClientV1(identity, { capabilities });
	for (const schema of [v1.ElicitRequestSchema, v1.CreateMessageRequestSchema, v1.ListRootsRequestSchema])
		client.setRequestHandler(schema, async (request) => answers[request.method]);
	const transport = new TransportV1(new URL(url), transportOptions(token));
	await bounded(CALL_MS, "no connection", client.connect(transport));
	return {
		...wrap(client, transport.protocolVersion),
		progress: async (name) => {
			const seen = [];
			await client.callTool({ name, arguments: {} }, undefined,
				{ onprogress: (p) => seen.push({ ...p, at: performance.now() }) });
			return { seen, end: performance.now() };
		},
	};
}

const openV2 = (mode) => async (url, token) => {
	const client = new ClientV2(identity, { capabilities, versionNegotiation: { mode } });
	for (const [method, answer] of Object.entries(answers))
		client.setRequestHandler(method, async () => answer);
	await bounded(CALL_MS, "no connection",
		client.connect(new TransportV2(new URL(url), transportOptions(token))));
	return {
		...wrap(client, client.getNegotiatedProtocolVersion()),
		progress: async (name) => {
			const seen = [];
			await client.callTool({ name, arguments: {} },
				{ onprogress: (p) => seen.push({ ...p, at: performance.now() }) });
			return { seen, end: performance.now() };
		},
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
		{ ms: CALL_MS, env: { HOME: home } });
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
	await client.tools();
	return client;
};

const MODERN = "2026-07-28";
const LEGACY = "2025-11-25";

// expected: the revision the client and a gateway of all revisions agree on.
export const clients = {
	"client-v1": { open: openV1, expected: LEGACY },
	"client-v2-legacy": { open: openV2("legacy"), expected: LEGACY },
	"client-v2-auto": { open: openV2("auto"), expected: MODERN },
	"client-v2-modern": { open: openV2({ pin: MODERN }), expected: MODERN },
	"inspector-legacy": { open: openInspector("legacy") },
	"inspector-auto": { open: openInspector("auto") },
	"inspector-modern": { open: openInspector("modern") },
};
