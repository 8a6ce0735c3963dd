// Runs one kind of ../clients.mjs. Usage: client.mjs KIND; plan and results are
// those of client.py.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { clients } from "../clients.mjs";
import { bounded } from "../processes.mjs";

const CHECK_MS = 20000; // the inspector starts a process for each operation
const CONNECTIONS = 5, CALLS_EACH = 10; // of 50 callers at once
const LARGE = 100000;
const SPREAD_MS = 60; // from the first progress to the result, at least
const UNICODE = "Grüße, 日本 \"\\\u0001\u2028 \u{1f600}";

const kind = process.argv[2];
const { open, expected } = clients[kind];
const tmp = mkdtempSync(join(tmpdir(), "interop-python-"));
process.on("exit", () => rmSync(tmp, { recursive: true, force: true }));

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

const onlyText = (result) => {
	assert.ok(!result.isError, JSON.stringify(result));
	assert.equal(result.content.length, 1);
	assert.equal(result.content[0].type, "text");
	return result.content[0].text;
};

const named = (items, key, value) => {
	const found = items.filter((item) => item[key] === value);
	assert.equal(found.length, 1, `${value} in ${items.map((item) => item[key]).join(" ")}`);
	return found[0];
};

// One server as a client sees it.
const target = (client, { name, namespaced }) => ({
	client,
	name,
	prefix: namespaced ? `${name}_` : "",
	uri: (rest) => `test://${namespaced ? `${name}/` : ""}${rest}`,
	call: (tool, args = {}) => client.call(`${namespaced ? `${name}_` : ""}${tool}`, args),
	text: async (tool, args = {}) =>
		onlyText(await client.call(`${namespaced ? `${name}_` : ""}${tool}`, args)),
});

const echo = async (t, text) => assert.equal(await t.text("echo", { text }), text);

async function toolsList(t) {
	const tools = await t.client.tools();
	const tool = named(tools, "name", `${t.prefix}structured`);
	assert.deepEqual(tool.inputSchema.required, ["city"]);
	assert.deepEqual(Object.keys(tool.outputSchema.properties).sort(),
		["city", "conditions", "temperature"]);
}

async function structured(t) {
	const result = await t.call("structured", { city: "Zürich" });
	assert.deepEqual(result.structuredContent,
		{ city: "Zürich", temperature: 21.5, conditions: ["Grüße", "日本"] });
}

async function image(t) {
	const [content] = (await t.call("test_image_content")).content;
	assert.equal(content.mimeType, "image/png");
	assert.equal(Buffer.from(content.data, "base64").subarray(1, 4).toString(), "PNG");
}

async function isError(t) {
	const result = await t.call("test_error_handling");
	assert.equal(result.isError, true);
	assert.match(result.content[0].text, /intentionally returns an error/);
}

async function unknownTool(t) {
	await assert.rejects(t.call("no_such_tool"), { code: -32602 });
}

async function prompts(t) {
	const listed = named(await t.client.prompts(), "name", `${t.prefix}test_prompt_with_arguments`);
	assert.deepEqual(listed.arguments.map((argument) => argument.name), ["arg1", "arg2"]);
	const { messages: [message] } = await t.client.prompt(listed.name, { arg1: "hello", arg2: "Grüße" });
	assert.equal(message.content.text, "Prompt with arguments: arg1='hello', arg2='Grüße'");
}

async function resources(t) {
	const listed = await t.client.resources();
	assert.equal(named(listed, "uri", t.uri("static-binary")).mimeType, "image/png");
	const { contents: [content] } = await t.client.read(t.uri("static-text"));
	assert.equal(content.text, "This is the content of the static text resource.");
	const { contents: [binary] } = await t.client.read(t.uri("static-binary"));
	assert.equal(Buffer.from(binary.blob, "base64").subarray(1, 4).toString(), "PNG");
}

async function templates(t) {
	const { uriTemplate } = named(await t.client.templates(), "uriTemplate",
		t.uri("template/{id}/data"));
	const { contents: [content] } = await t.client.read(uriTemplate.replace("{id}", "7"));
	assert.equal(JSON.parse(content.text).data, "Data for ID: 7");
}

async function completion(t) {
	const ref = { type: "ref/prompt", name: `${t.prefix}test_prompt_with_arguments` };
	const result = await t.client.complete(ref, { name: "arg1", value: "par" });
	assert.deepEqual(result.completion.values, ["paris", "park", "party"]);
}

async function progress(t) {
	const seen = [];
	await t.client.progress(`${t.prefix}test_tool_with_progress`, {},
		(step) => seen.push({ ...step, at: performance.now() }));
	const end = performance.now();
	assert.deepEqual(seen.map((p) => [p.progress, p.total]), [[0, 100], [50, 100], [100, 100]]);
	assert.ok(end - seen[0].at > SPREAD_MS, `first progress ${end - seen[0].at} ms before the end`);
}

async function callers(t, url, server) {
	await Promise.all(Array.from({ length: CONNECTIONS }, async (_, n) => {
		const client = await open(url, undefined, tmp);
		const view = target(client, server);
		try {
			await client.tools();
			await Promise.all(Array.from({ length: CALLS_EACH }, (__, m) => echo(view, `${kind} ${n} ${m}`)));
		} finally {
			await client.close();
		}
	}));
}

const asks = (tool, answer) => async (t) =>
	assert.equal(await t.text(`test_input_required_result_${tool}`), answer);

// alive: for clients that live longer than one operation. every: of one
// operation, worth a process with each server; the others with the first only.
const checks = {
	tools_list: { run: toolsList },
	text: { run: async (t) => assert.equal(await t.text("test_simple_text"),
		"This is a simple text response for testing.") },
	unicode: { run: (t) => echo(t, UNICODE) },
	large: { run: (t) => echo(t, "ü".repeat(LARGE)), alive: true },
	structured: { run: structured, every: true },
	image: { run: image },
	is_error: { run: isError },
	unknown_tool: { run: unknownTool, alive: true },
	prompts: { run: prompts },
	resources: { run: resources },
	templates: { run: templates },
	completion: { run: completion, alive: true },
	progress: { run: progress, alive: true },
	elicitation: { run: asks("elicitation", "Hello, Ada!"), alive: true },
	sampling: { run: asks("sampling", "Paris"), alive: true },
	sampling_apart: { alive: true,
		run: async (t) => assert.equal(await t.text("sampling_apart"), "Paris") },
	roots: { run: asks("list_roots", "Roots: file:///interop"), alive: true },
	callers: { run: callers, alive: true },
};

async function attempt(name, run) {
	try {
		await bounded(CHECK_MS, "not done", run());
		say({ name, ok: true });
		return true;
	} catch (error) {
		console.error(error);
		say({ name, ok: false, text: error.message.split("\n")[0] });
		return false;
	}
}

async function withClient(name, url, token, use) {
	let client;
	const opened = await attempt(name, async () => {
		client = await open(url, token, tmp);
		if (expected)
			assert.equal(client.version, expected, "negotiated revision");
	});
	if (opened)
		await use(client);
	await bounded(CHECK_MS, "not closed", client?.close()).catch(console.error);
}

const alone = clients[kind].expected === undefined; // one process an operation

async function tryServer(group, server, token, first) {
	const name = `${kind}/${group}${server.name}`;
	const wanted = Object.entries(checks).filter(([check, { alive, every }]) =>
		server.checks.includes(check) && (!alone || (!alive && (first || every))));
	await withClient(`${name} connect`, server.url, token, async (client) => {
		const view = target(client, server);
		for (const [check, { run }] of wanted)
			await attempt(`${name} ${check}`, () => run(view, server.url, server));
	});
}

async function restarts(servers) {
	const { url } = servers[0];
	await withClient(`${kind}/all connect`, url, undefined, async (client) => {
		const views = servers.map((server) => target(client, server));
		const processes = () => Promise.all(views.map((view) => view.text("whoami")));
		await attempt(`${kind}/all backends`, async () =>
			assert.deepEqual((await processes()).map((line) => line.split(" ")[0]),
				servers.map((server) => server.name)));
		const before = await processes();
		say({ wait: "servers" });
		await input.next();
		for (const [n, view] of views.entries()) {
			await attempt(`${kind}/${view.name} after_restart`, () => echo(view, "still there"));
			if (servers[n].checks.includes("elicitation"))
				await attempt(`${kind}/${view.name} elicitation_after_restart`,
					() => checks.elicitation.run(view));
		}
		await attempt(`${kind}/all restarted`, async () =>
			(await processes()).forEach((line, n) => assert.notEqual(line, before[n])));
		say({ wait: "gateway" });
		await input.next();
		await attempt(`${kind}/${views[0].name} after_gateway_restart`, () => echo(views[0], "still there"));
	});
	await withClient(`${kind}/all reconnect`, url, undefined, (client) =>
		attempt(`${kind}/all reconnected`, () => echo(target(client, servers[0]), "again")));
}

const plan = JSON.parse((await input.next()).value);
for (const { name, token, servers } of plan.groups)
	for (const server of servers)
		await tryServer(name, server, token, server === servers[0]);
if (plan.restarts && !alone)
	await restarts(plan.groups[0].servers);
process.exit(0);
