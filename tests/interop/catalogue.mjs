// What the fixture server offers, independent of the protocol revision: the
// names and contents that the official conformance scenarios expect.
//
// A tool's run(args, ctx) returns a tool result, or { inputRequests, state }
// to ask the client for something; it is then run again with the answers in
// ctx.answers and the state in ctx.state. fixture.mjs turns that into the
// protocol of each era. ctx also has: has(capability), log(level, text),
// progress(done, total), closeStream(), changed(kind), updated(uri),
// missing(capabilities), sleep(ms), which fails when the call is cancelled.

import { setTimeout as sleep } from "node:timers/promises";

// 1x1 red pixel.
export const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAA" +
	"DUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
// RIFF header of an empty 8 kHz mono recording.
export const WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=";

const text = (value) => ({ type: "text", text: value });
const image = { type: "image", data: PNG, mimeType: "image/png" };
const reply = (...content) => ({ content });
const resource = (uri, mimeType, value) =>
	({ type: "resource", resource: { uri, mimeType, text: value } });

const object = (properties = {}, required = []) =>
	({ type: "object", properties, ...required.length && { required } });
const string = (description) => ({ type: "string", ...description && { description } });

const elicit = (message, properties, required = []) => ({
	method: "elicitation/create",
	params: { mode: "form", message, requestedSchema: object(properties, required) },
});
const sample = (prompt, maxTokens = 100) => ({
	method: "sampling/createMessage",
	params: { messages: [{ role: "user", content: text(prompt) }], maxTokens },
});
const roots = { method: "roots/list", params: {} };

const askName = elicit("What is your name?", { name: string() }, ["name"]);
const askOk = elicit("Please confirm", { ok: { type: "boolean" } }, ["ok"]);
const summary = (a) => `action=${a.action}, content=${JSON.stringify(a.content ?? {})}`;

// A tool that asks once for everything in `requests` and answers when all of
// it came back.
const asking = (requests, answer, state) => (args, ctx) => {
	const wanted = typeof requests === "function" ? requests(args, ctx) : requests;
	for (const key of Object.keys(wanted))
		if (typeof ctx.answers[key] !== "object" || ctx.answers[key] === null)
			return { inputRequests: wanted, state };
	return reply(text(answer(ctx.answers, ctx.state)));
};

const enums = {
	untitledSingle: { type: "string", enum: ["option1", "option2", "option3"] },
	titledSingle: {
		type: "string",
		oneOf: [
			{ const: "value1", title: "First Option" },
			{ const: "value2", title: "Second Option" },
			{ const: "value3", title: "Third Option" },
		],
	},
	legacyEnum: {
		type: "string",
		enum: ["opt1", "opt2", "opt3"],
		enumNames: ["Option One", "Option Two", "Option Three"],
	},
	untitledMulti: {
		type: "array",
		items: { type: "string", enum: ["option1", "option2", "option3"] },
	},
	titledMulti: {
		type: "array",
		items: {
			anyOf: [
				{ const: "value1", title: "First Choice" },
				{ const: "value2", title: "Second Choice" },
				{ const: "value3", title: "Third Choice" },
			],
		},
	},
};

const defaults = {
	name: { type: "string", default: "John Doe" },
	age: { type: "integer", default: 30 },
	score: { type: "number", default: 95.5 },
	status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
	verified: { type: "boolean", default: true },
};

const jsonSchema2020 = {
	$schema: "https://json-schema.org/draft/2020-12/schema",
	type: "object",
	$defs: {
		address: {
			$anchor: "addressDef",
			type: "object",
			properties: { street: { type: "string" }, city: { type: "string" } },
		},
	},
	properties: {
		name: { type: "string" },
		address: { $ref: "#/$defs/address" },
		contactMethod: { type: "string", enum: ["phone", "email"] },
		phone: { type: "string" },
		email: { type: "string" },
	},
	allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
	if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
	then: { required: ["phone"] },
	else: { required: ["email"] },
	additionalProperties: false,
};

export const TASKS = "io.modelcontextprotocol/tasks";
export const UI = "io.modelcontextprotocol/ui";

const APP = "ui://fixture/app.html";

async function steps(each) {
	for (const step of [0, 1, 2]) {
		if (step > 0)
			await sleep(50);
		await each(step);
	}
}

const always = () => true;

// By label: the state of slow_compute, what ends test_held.
const calls = new Map();
const held = new Map();
const HELD_MS = 10000;

// How often each list was changed; the last entry of the list shows it.
export const changes = { tools: 0, prompts: 0, resources: 0 };

function rounds(args, ctx) {
	const round = ctx.state?.round ?? 0;
	if (round === 0)
		return {
			inputRequests: { step1: elicit("Step 1: What is your name?", { name: string() }, ["name"]) },
			state: { round: 1 },
		};
	if (round === 1)
		return {
			inputRequests: { step2: elicit("Step 2: What is your favorite color?", { color: string() }, ["color"]) },
			state: { round: 2, name: ctx.answers.step1?.content?.name },
		};
	return reply(text(`${ctx.state.name} likes ${ctx.answers.step2?.content?.color}`));
}

// Fields: name, description, run; schema (default: no arguments), meta, modern
// (offered to 2026-07-28 clients only, unless the server is of the older era),
// unlisted; task (ctx => whether a client that knows tasks gets one now, see
// tasks.mjs), taskOnly (others are refused).
export const tools = [
	// The header scenarios call the first tool with {}: keep this one first.
	{ name: "test_simple_text", description: "Returns one text.",
		run: () => reply(text("This is a simple text response for testing.")) },
	{ name: "test_image_content", description: "Returns one image.",
		run: () => reply(image) },
	{ name: "test_audio_content", description: "Returns one sound.",
		run: () => reply({ type: "audio", data: WAV, mimeType: "audio/wav" }) },
	{ name: "test_embedded_resource", description: "Returns one embedded resource.",
		run: () => reply(resource("test://embedded-resource", "text/plain",
			"This is an embedded resource content.")) },
	{ name: "test_multiple_content_types", description: "Returns text, image and resource.",
		run: () => reply(text("Multiple content types test:"), image,
			resource("test://mixed-content-resource", "application/json",
				'{"test":"data","value":123}')) },
	{ name: "test_tool_with_logging", description: "Sends three log messages.",
		run: async (args, ctx) => {
			const lines = ["started", "processing data", "completed"];
			await steps((n) => ctx.log("info",
				n === 1 ? "Tool processing data" : `Tool execution ${lines[n]}`));
			return reply(text("Tool with logging executed"));
		} },
	{ name: "test_error_handling", description: "Always fails.",
		run: () => ({ isError: true,
			...reply(text("This tool intentionally returns an error for testing")) }) },
	{ name: "test_tool_with_progress", description: "Reports 0, 50 and 100 of 100.",
		run: async (args, ctx) => {
			await steps((n) => ctx.progress(n * 50, 100));
			return reply(text("Tool with progress executed"));
		} },
	{ name: "test_sampling", description: "Asks the client's model.",
		schema: object({ prompt: string("The prompt for the model") }, ["prompt"]),
		run: asking((args) => ({ sample: sample(args.prompt) }),
			(a) => `LLM response: ${a.sample.content?.text}`) },
	{ name: "test_elicitation", description: "Asks the user.",
		schema: object({ message: string("The message for the user") }, ["message"]),
		run: asking((args) => ({ user: elicit(args.message, {
			username: string("User's response"), email: string("User's email address"),
		}, ["username", "email"]) }), (a) => `User response: ${summary(a.user)}`) },
	{ name: "test_elicitation_sep1034_defaults", description: "Asks with default values.",
		run: asking({ form: elicit("Please review the defaults", defaults) },
			(a) => `Elicitation completed: ${summary(a.form)}`) },
	{ name: "test_elicitation_sep1330_enums", description: "Asks with every kind of enumeration.",
		run: asking({ form: elicit("Please choose", enums) },
			(a) => `Elicitation completed: ${summary(a.form)}`) },
	{ name: "test_reconnection", description: "Closes its stream before it answers.",
		run: async (args, ctx) => {
			await sleep(50);
			ctx.closeStream();
			await sleep(100);
			return reply(text("Reconnection test completed"));
		} },
	{ name: "json_schema_2020_12_tool", description: "Tool with JSON Schema 2020-12 features",
		schema: jsonSchema2020,
		run: (args) => reply(text(JSON.stringify(args))) },
	{ name: "test_header_parameter", description: "Has an argument that is also a request header.",
		schema: object({
			region: { type: "string", description: "Any text", "x-mcp-header": "Region" },
			count: { type: "integer", description: "Any number", "x-mcp-header": "Count" },
		}),
		run: (args) => reply(text(`region=${args.region} count=${args.count}`)) },

	{ name: "test_app", description: "Has an app that shows its result.",
		meta: { ui: { resourceUri: APP, visibility: ["model", "app"] } },
		run: () => reply(text("for the app")) },
	{ name: "test_trigger_resource_update", description: "Announces that a resource changed.",
		schema: object({ uri: string("The resource") }, ["uri"]),
		run: (args, ctx) => {
			ctx.updated(args.uri);
			return reply(text(`${args.uri} updated`));
		} },

	{ name: "greet", description: "Greets, at once.",
		schema: object({ name: string() }, ["name"]),
		run: (args) => reply(text(`Hello, ${args.name}!`)) },
	{ name: "slow_compute", description: "Takes as many seconds as it is told.", task: always,
		schema: object({ seconds: { type: "number" }, label: string() }, ["seconds"]),
		run: async (args, ctx) => {
			calls.set(args.label, "running");
			try {
				await ctx.sleep(args.seconds * 1000);
				calls.set(args.label, "done");
			} catch (error) {
				calls.set(args.label, "cancelled");
				throw error;
			}
			return reply(text(`${args.label} took ${args.seconds} s`));
		} },
	{ name: "test_held", description: "Reports progress, and ends when test_release is called.",
		schema: object({ label: string() }, ["label"]),
		run: async (args, ctx) => {
			const released = new Promise((resolve) => held.set(args.label, resolve));
			await ctx.progress(1, 2);
			return reply(text(await Promise.race([
				released.then(() => "released"),
				ctx.sleep(HELD_MS).then(() => "nobody came"),
			])));
		} },
	{ name: "test_release", description: "Ends a call of test_held.",
		schema: object({ label: string() }, ["label"]),
		run: (args) => {
			held.get(args.label)?.();
			return reply(text(held.delete(args.label) ? "released" : "unknown"));
		} },
	{ name: "test_call_state", description: "How a call of slow_compute is going.",
		schema: object({ label: string() }, ["label"]),
		run: (args) => reply(text(calls.get(args.label) ?? "unknown")) },
	{ name: "failing_job", description: "Fails as a tool does; only as a task.", task: always, taskOnly: true,
		run: () => ({ isError: true, ...reply(text("The job failed")) }) },
	{ name: "protocol_error_job", description: "Fails as a server does.", task: always,
		run: () => { throw new Error("The server lost the job"); } },
	{ name: "confirm_delete", description: "Asks before it deletes.", task: always,
		schema: object({ filename: string() }, ["filename"]),
		run: asking((args) => ({ confirm: elicit(`Delete ${args.filename}?`,
			{ confirm: { type: "boolean" } }, ["confirm"]) }),
		(a) => a.confirm.content?.confirm ? "deleted" : "kept") },
	{ name: "multi_input", description: "Asks two things at once.", task: always,
		run: asking({ user_name: askName, confirm: askOk },
			(a) => `${a.user_name.content?.name}: ${a.confirm.action}`) },
	{ name: "test_tool_with_task", description: "Asks first, then works as a task.",
		task: (ctx) => ctx.answers.user_name !== undefined,
		run: asking({ user_name: askName }, (a) => `Hello, ${a.user_name.content?.name}!`) },

	{ name: "test_missing_capability", description: "Needs a client that can sample.", modern: true,
		run: (args, ctx) => ctx.has("sampling") ? reply(text("sampling is declared"))
			: ctx.missing({ sampling: {} }) },
	{ name: "test_streaming_elicitation", description: "Streams progress, then asks.", modern: true,
		run: async (args, ctx) => {
			if (ctx.answers.user_name)
				return reply(text(`Hello, ${ctx.answers.user_name.content?.name}!`));
			await ctx.progress(1, 2);
			return { inputRequests: { user_name: askName } };
		} },
	{ name: "test_logging_tool", description: "Logs at every level.", modern: true,
		run: async (args, ctx) => {
			for (const level of ["debug", "info", "warning", "error"])
				await ctx.log(level, `a message at ${level}`);
			return reply(text("logged"));
		} },

	{ name: "test_input_required_result_elicitation", description: "Asks the user for a name.",
		run: asking({ user_name: askName }, (a) => `Hello, ${a.user_name.content?.name}!`) },
	{ name: "test_input_required_result_sampling", description: "Asks the model for a capital.",
		run: asking({ capital_question: sample("What is the capital of France?") },
			(a) => `${a.capital_question.content?.text}`) },
	{ name: "test_input_required_result_list_roots", description: "Asks for the client's roots.",
		run: asking({ client_roots: roots },
			(a) => `Roots: ${(a.client_roots.roots ?? []).map((r) => r.uri).join(" ")}`) },
	{ name: "test_input_required_result_request_state", description: "Asks and keeps a state.",
		run: asking({ confirm: askOk },
			(a, state) => state?.step === "confirm" ? "state-ok" : "state-lost",
			{ step: "confirm" }) },
	{ name: "test_input_required_result_multiple_inputs", description: "Asks three things at once.",
		run: asking({ user_name: askName, greeting: sample("Generate a greeting", 50), client_roots: roots },
			(a) => `${a.greeting.content?.text} ${a.user_name.content?.name}, ` +
				`${(a.client_roots.roots ?? []).length} roots`, { step: "all" }) },
	{ name: "test_input_required_result_multi_round", description: "Asks twice in a row.",
		run: rounds },
	{ name: "test_input_required_result_tampered_state", description: "Refuses a changed state.",
		run: asking({ confirm: askOk }, () => "untampered", { step: "tamper" }) },
	{ name: "test_input_required_result_capabilities", description: "Asks only what the client can answer.",
		run: asking((args, ctx) => ({
			...ctx.has("elicitation") && { user_name: askName },
			...ctx.has("sampling") && { greeting: sample("Generate a greeting", 50) },
			...ctx.has("roots") && { client_roots: roots },
		}), (a) => `answered: ${Object.keys(a).sort().join(" ")}`) },

	...["tools", "prompts", "resources"].map((kind) => ({
		name: `test_trigger_${kind.slice(0, -1)}_change`,
		description: `Changes the list of ${kind}, and says so.`,
		run: (args, ctx) => {
			changes[kind]++;
			ctx.changed(kind);
			return reply(text(`${kind} changed`));
		},
	})),
];

const user = (content) => ({ role: "user", content });
const messages = (...content) => ({ messages: content.map(user) });
const argument = (name, description) => ({ name, description, required: true });

export const prompts = [
	{ name: "test_simple_prompt", description: "One text.",
		get: () => messages(text("This is a simple prompt for testing.")) },
	{ name: "test_prompt_with_arguments", description: "Repeats its arguments.",
		arguments: [argument("arg1", "First test argument"), argument("arg2", "Second test argument")],
		get: (args) => messages(text(
			`Prompt with arguments: arg1='${args.arg1}', arg2='${args.arg2}'`)) },
	{ name: "test_prompt_with_embedded_resource", description: "Embeds a resource.",
		arguments: [argument("resourceUri", "URI of the resource to embed")],
		get: (args) => messages(
			resource(args.resourceUri, "text/plain", "Embedded resource content for testing."),
			text("Please process the embedded resource above.")) },
	{ name: "test_prompt_with_image", description: "Embeds an image.",
		get: () => messages(image, text("Please analyze the image above.")) },
	{ name: "test_input_required_result_prompt", description: "Asks the user first.",
		get: (args, ctx) => ctx.answers.user_context
			? messages(text(`Context: ${ctx.answers.user_context.content?.context}`))
			: { inputRequests: { user_context: elicit("What context should the prompt use?",
				{ context: string() }, ["context"]) } } },
];

// Fields: as listed; text or blob; meta, of the contents; unlisted.
export const resources = [
	{ uri: "test://static-text", name: "static-text", description: "A text.", mimeType: "text/plain",
		text: "This is the content of the static text resource." },
	{ uri: "test://static-binary", name: "static-binary", description: "An image.", mimeType: "image/png",
		blob: PNG },
	{ uri: "test://watched-resource", name: "watched-resource", description: "Can be watched.",
		mimeType: "text/plain", text: "Watched resource content." },
	{ uri: APP, unlisted: true, mimeType: "text/html;profile=mcp-app",
		meta: { ui: { prefersBorder: true } }, text: "<!doctype html><title>App</title>" },
];

export const templates = [
	{ uriTemplate: "test://template/{id}/data", name: "template", description: "Data of an id.",
		mimeType: "application/json" },
];

// The contents of a resource, or undefined when there is none.
export function read(uri) {
	const found = resources.find((r) => r.uri === uri);
	if (found)
		return [{ uri, mimeType: found.mimeType,
			...found.text ? { text: found.text } : { blob: found.blob },
			...found.meta && { _meta: found.meta } }];
	const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1];
	return id && [{ uri, mimeType: "application/json",
		text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }) }];
}

const words = {
	"ref/prompt test_prompt_with_arguments arg1": ["paris", "park", "party", "test"],
	"ref/resource test://template/{id}/data id": ["123", "124", "200"],
};

export function complete(ref, argument) {
	const known = words[`${ref.type} ${ref.name ?? ref.uri} ${argument.name}`] ?? [];
	const values = known.filter((word) => word.startsWith(argument.value));
	return { completion: { values, total: values.length, hasMore: false } };
}
