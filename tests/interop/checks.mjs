// What every client must see and get through a gateway in front of two
// backends: the fixture, named "fx", and server-everything, named "every".
// Names are taken from the lists, never made up from rules.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

const FX = "fx";
const EVERY = "every";
const UNTIL_MS = 5000;

const find = (items, key, value) => {
	const found = items.find((item) => item[key] === value);
	assert.ok(found, `${value} is not listed: ${items.map((item) => item[key]).join(" ")}`);
	return found;
};

// A listed URI of this backend whose rest ends so.
const findUri = (items, key, scheme, backend, end) => {
	const found = items.find((item) =>
		item[key].startsWith(`${scheme}://${backend}/`) && item[key].endsWith(end));
	assert.ok(found, `no ${scheme}://${backend}/...${end} in ${items.map((item) => item[key]).join(" ")}`);
	return found[key];
};

const onlyText = (result) => {
	assert.equal(result.content?.length, 1, JSON.stringify(result));
	assert.equal(result.content[0].type, "text");
	return result.content[0].text;
};

async function toolsList(client) {
	const tools = await client.tools();
	const names = tools.map((tool) => tool.name);
	assert.equal(new Set(names).size, names.length, "a name is listed twice");
	for (const name of ["test_simple_text", "test_image_content", "test_header_parameter"])
		find(tools, "name", `${FX}_${name}`);
	for (const name of ["echo", "get-sum", "get-structured-content"])
		find(tools, "name", `${EVERY}_${name}`);
	const schema = find(tools, "name", `${FX}_json_schema_2020_12_tool`).inputSchema;
	assert.equal(schema.$schema, "https://json-schema.org/draft/2020-12/schema");
	assert.equal(schema.$defs.address.$anchor, "addressDef");
	assert.deepEqual(schema.allOf, [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }]);
	assert.equal(schema.additionalProperties, false);
	const sum = find(tools, "name", `${EVERY}_get-sum`);
	assert.equal(sum.title, "Get Sum Tool");
	assert.equal(sum.annotations.readOnlyHint, true);
	assert.deepEqual([...sum.inputSchema.required].sort(), ["a", "b"]);
}

async function toolsCall(client) {
	assert.equal(onlyText(await client.call(`${FX}_test_simple_text`, {})),
		"This is a simple text response for testing.");
	assert.equal(onlyText(await client.call(`${EVERY}_echo`, { message: "Grüße, 日本 \"\\\u0001" })),
		"Echo: Grüße, 日本 \"\\\u0001");
	assert.equal(onlyText(await client.call(`${EVERY}_get-sum`, { a: 2, b: 40.5 })),
		"The sum of 2 and 40.5 is 42.5.");
	const mixed = await client.call(`${FX}_test_multiple_content_types`, {});
	assert.deepEqual(mixed.content.map((item) => item.type), ["text", "image", "resource"]);
	assert.equal(mixed.content[2].resource.text, '{"test":"data","value":123}');
}

async function toolsHeader(client) {
	assert.equal(onlyText(await client.call(`${FX}_test_header_parameter`, { region: "日本", count: 7 })),
		"region=日本 count=7");
}

async function toolsStructured(client) {
	const result = await client.call(`${EVERY}_get-structured-content`, { location: "Chicago" });
	assert.deepEqual(result.structuredContent,
		{ temperature: 36, conditions: "Light rain / drizzle", humidity: 82 });
}

async function toolsError(client) {
	const result = await client.call(`${FX}_test_error_handling`, {});
	assert.equal(result.isError, true);
	assert.equal(onlyText(result), "This tool intentionally returns an error for testing");
	if (client.interactive)
		await assert.rejects(client.call(`${FX}_no_such_tool`, {}), { code: -32602 });
}

async function prompts(client) {
	const list = await client.prompts();
	find(list, "name", `${FX}_test_simple_prompt`);
	find(list, "name", `${EVERY}_simple-prompt`);
	const wanted = find(list, "name", `${FX}_test_prompt_with_arguments`);
	assert.deepEqual(wanted.arguments.map((a) => a.name), ["arg1", "arg2"]);
	const mine = await client.prompt(wanted.name, { arg1: "hello", arg2: "world" });
	assert.equal(mine.messages[0].content.text, "Prompt with arguments: arg1='hello', arg2='world'");
	const other = await client.prompt(`${EVERY}_args-prompt`, { city: "Bern" });
	assert.equal(other.messages[0].content.text, "What's weather in Bern?");
}

async function resources(client) {
	const list = await client.resources();
	const text = findUri(list, "uri", "test", FX, "static-text");
	const binary = findUri(list, "uri", "test", FX, "static-binary");
	const document = findUri(list, "uri", "demo", EVERY, "architecture.md");
	assert.equal((await client.read(text)).contents[0].text,
		"This is the content of the static text resource.");
	const [image] = (await client.read(binary)).contents;
	assert.equal(image.mimeType, "image/png");
	assert.equal(Buffer.from(image.blob, "base64").subarray(1, 4).toString(), "PNG");
	assert.match((await client.read(document)).contents[0].text, /Everything Server/);
	if (client.interactive)
		await assert.rejects(client.read(`test://${FX}/no-such-resource`));
}

async function templates(client) {
	const list = await client.templates();
	const template = findUri(list, "uriTemplate", "test", FX, "template/{id}/data");
	const [content] = (await client.read(template.replace("{id}", "7"))).contents;
	assert.deepEqual(JSON.parse(content.text), { id: "7", templateTest: true, data: "Data for ID: 7" });
	const numbered = findUri(list, "uriTemplate", "demo", EVERY, "dynamic/text/{resourceId}");
	const [made] = (await client.read(numbered.replace("{resourceId}", "3"))).contents;
	assert.match(made.text, /^Resource 3: /);
}

async function completion(client) {
	const result = await client.complete({ type: "ref/prompt", name: `${FX}_test_prompt_with_arguments` },
		{ name: "arg1", value: "par" });
	assert.deepEqual(result.completion.values, ["paris", "park", "party"]);
}

async function progress(client) {
	const seen = [];
	await client.progress(`${FX}_test_tool_with_progress`, {}, (step) => seen.push(step));
	assert.deepEqual(seen.map((p) => [p.progress, p.total]), [[0, 100], [50, 100], [100, 100]]);
}

// The call ends only when its notification came through before its result.
async function stream(client) {
	const args = { label: randomUUID() };
	const release = () => client.call(`${FX}_test_release`, args);
	assert.equal(onlyText(await client.progress(`${FX}_test_held`, args, release)), "released");
}

async function elicitation(client) {
	assert.equal(onlyText(await client.call(`${FX}_test_input_required_result_elicitation`, {})),
		"Hello, Ada!");
}

async function sampling(client) {
	assert.equal(onlyText(await client.call(`${FX}_test_sampling`, { prompt: "capital?" })),
		"LLM response: Paris");
}

async function questions(client) {
	const call = async (name) => onlyText(await client.call(`${FX}_test_input_required_result_${name}`, {}));
	assert.equal(await call("multiple_inputs"), "Paris Ada, 1 roots");
	assert.equal(await call("multi_round"), "Ada likes green");
	assert.equal(await call("request_state"), "state-ok");
	assert.equal(await call("list_roots"), "Roots: file:///interop");
	assert.equal(await call("capabilities"), "answered: client_roots greeting user_name");
}

async function promptQuestion(client) {
	const { messages } = await client.prompt(`${FX}_test_input_required_result_prompt`);
	assert.equal(messages[0].content.text, "Context: tests");
}

async function app(client) {
	const { _meta: meta } = find(await client.tools(), "name", `${FX}_test_app`);
	assert.deepEqual(meta.ui.visibility, ["model", "app"]);
	assert.match(meta.ui.resourceUri, /^ui:\/\//);
	assert.ok(!(await client.resources()).some(({ uri }) => uri === meta.ui.resourceUri), "the app is listed");
	const [content] = (await client.read(meta.ui.resourceUri)).contents;
	assert.equal(content.mimeType, "text/html;profile=mcp-app");
	assert.deepEqual(content._meta, { ui: { prefersBorder: true } });
	assert.equal(content.text, "<!doctype html><title>App</title>");
}

// The inspector knows tasks and gets one; the others wait for the result.
async function work(client) {
	assert.equal(onlyText(await client.call(`${FX}_slow_compute`, { seconds: 0.3, label: "work" })),
		"work took 0.3 s");
}

async function taskOnly(client) {
	const result = await client.call(`${FX}_failing_job`, {});
	assert.equal(result.isError, true);
	assert.equal(onlyText(result), "The job failed");
}

async function until(what, holds) {
	const end = Date.now() + UNTIL_MS;
	while (!await holds()) {
		assert.ok(Date.now() < end, `${what} within ${UNTIL_MS} ms`);
		await sleep(50);
	}
}

async function cancel(client) {
	const label = randomUUID();
	const abort = new AbortController();
	const call = client.call(`${FX}_slow_compute`, { seconds: 30, label }, abort.signal);
	call.catch(() => {}); // awaited below
	const has = (state) => until(`not ${state}`, async () =>
		onlyText(await client.call(`${FX}_test_call_state`, { label })) === state);
	await has("running");
	abort.abort();
	await assert.rejects(call);
	await has("cancelled");
}

async function listChanges(client) {
	for (const kind of ["tool", "prompt", "resource"])
		await client.hears(`notifications/${kind}s/list_changed`, undefined,
			() => client.call(`${FX}_test_trigger_${kind}_change`, {}));
	const changed = (items) => items.some(({ description }) => /Changed [1-9]\d* times/.test(description));
	assert.ok(changed(await client.tools()), "an old list");
}

async function resourceUpdates(client) {
	const uri = findUri(await client.resources(), "uri", "test", FX, "watched-resource");
	await client.hears("notifications/resources/updated", uri,
		() => client.call(`${FX}_test_trigger_resource_update`, { uri: "test://watched-resource" }));
}

// interactive: for clients that live longer than one operation.
// tasks: for clients that know the tasks extension.
// brief: for a client of which little is new.
// alone: asks only the fixture, and holds for it without a gateway too.
export const checks = [
	{ name: "tools-list", run: toolsList, brief: true },
	{ name: "tools-call", run: toolsCall, brief: true },
	{ name: "tools-header-parameter", run: toolsHeader, alone: true },
	{ name: "tools-structured", run: toolsStructured },
	{ name: "tools-error", run: toolsError },
	{ name: "prompts", run: prompts },
	{ name: "resources", run: resources },
	{ name: "resource-templates", run: templates },
	{ name: "app", run: app, alone: true },
	{ name: "work", run: work, alone: true },
	{ name: "task-only", run: taskOnly, alone: true, tasks: true },
	{ name: "completion", run: completion, interactive: true },
	{ name: "progress", run: progress, interactive: true, alone: true },
	{ name: "stream", run: stream, interactive: true, alone: true },
	{ name: "elicitation", run: elicitation, interactive: true, alone: true },
	{ name: "sampling", run: sampling, interactive: true, alone: true },
	{ name: "questions", run: questions, interactive: true, alone: true },
	{ name: "prompt-question", run: promptQuestion, interactive: true, alone: true },
	{ name: "cancel", run: cancel, interactive: true, alone: true },
	{ name: "list-changes", run: listChanges, interactive: true, alone: true },
	{ name: "resource-updates", run: resourceUpdates, interactive: true, alone: true },
];
