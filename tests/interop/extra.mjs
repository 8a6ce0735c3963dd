// What the conformance tool does not try, on the wire.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

const META = "io.modelcontextprotocol/";
const TASKS = `${META}tasks`;
const REQUEST_MS = 10000;

const common = {
	"content-type": "application/json",
	accept: "application/json, text/event-stream",
};
const headers = (method, name) => ({
	...common,
	"mcp-protocol-version": "2026-07-28",
	"mcp-method": method,
	...name && { "mcp-name": name },
});

// Of 2026-07-28. extensions: those the client declares.
function post(url, method, params, { name, id = 1, extensions = {} }) {
	return fetch(url, {
		method: "POST",
		headers: headers(method, name),
		body: JSON.stringify({ jsonrpc: "2.0", id, method, params: { ...params, _meta: {
			[`${META}protocolVersion`]: "2026-07-28",
			[`${META}clientCapabilities`]: { elicitation: {}, extensions },
		} } }),
		signal: AbortSignal.timeout(REQUEST_MS),
	});
}

// The messages of an event stream, one after the other.
async function* messages(response) {
	let rest = "";
	for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
		const lines = (rest + chunk).split("\n");
		rest = lines.pop();
		for (const line of lines)
			if (line.startsWith("data:") && line.length > 6)
				yield JSON.parse(line.slice(5));
	}
}

async function answer(response) {
	if (response.headers.get("content-type").startsWith("application/json"))
		return response.json();
	for await (const message of messages(response))
		if (message.id !== undefined)
			return message;
}

const withTasks = { extensions: { [TASKS]: {} } };

async function startTask(url, tool, args) {
	const { result } = await answer(await post(url, "tools/call", { name: tool, arguments: args },
		{ ...withTasks, name: tool }));
	assert.equal(result?.resultType, "task", JSON.stringify(result));
	return result.taskId;
}

// A listener hears of each state of its task, and of no other task.
async function tasksListen({ url }) {
	const taskId = await startTask(url, "multi_input", {});
	const other = await startTask(url, "multi_input", {});
	const response = await post(url, "subscriptions/listen", { notifications: { taskIds: [taskId] } },
		{ ...withTasks, id: "the-listener" });
	assert.equal(response.status, 200);
	const stream = messages(response);
	const next = async (method) => {
		const { value } = await stream.next();
		assert.equal(value?.method, method, JSON.stringify(value));
		assert.equal(value.params._meta[`${META}subscriptionId`], "the-listener");
		return value.params;
	};
	const acknowledged = await next("notifications/subscriptions/acknowledged");
	assert.deepEqual(acknowledged.notifications.taskIds, [taskId]);
	const update = (id, inputResponses) => post(url, "tasks/update", { taskId: id, inputResponses },
		{ ...withTasks, name: id });
	const accepted = { action: "accept", content: { name: "Ada", ok: true } };
	await update(other, { user_name: accepted });
	await update(taskId, { user_name: accepted, confirm: accepted });
	const states = [];
	while (states.at(-1) !== "completed") {
		const task = await next("notifications/tasks");
		assert.equal(task.taskId, taskId);
		states.push(task.status);
		if (task.status === "completed")
			assert.equal(task.result.content[0].text, "Ada: accept");
	}
	assert.ok(states.length <= 3, states.join(" "));
	await stream.return();
	await post(url, "tasks/cancel", { taskId: other }, { ...withTasks, name: other });
}

async function tasksListenUndeclared({ url }) {
	const response = await post(url, "subscriptions/listen", { notifications: { taskIds: ["any"] } }, {});
	const { error } = await answer(response);
	assert.equal(error?.code, -32021);
	assert.equal(response.status, 400);
	assert.ok(error.data.requiredCapabilities.extensions[TASKS], JSON.stringify(error.data));
}

// Of 2025-11-25: its client and session are in the head.
async function openSession(url) {
	const send = (head, message, signal = AbortSignal.timeout(REQUEST_MS)) => fetch(url, { method: "POST",
		headers: { ...common, ...head }, body: JSON.stringify({ jsonrpc: "2.0", ...message }), signal });
	const opened = await send({}, { id: 0, method: "initialize", params: { protocolVersion: "2025-11-25",
		capabilities: {}, clientInfo: { name: "interop", version: "1.0.0" } } });
	await answer(opened);
	const head = { "mcp-session-id": opened.headers.get("mcp-session-id"), "mcp-protocol-version": "2025-11-25" };
	await send(head, { method: "notifications/initialized" });
	return { head, send: (message, signal) => send(head, message, signal) };
}

// The id of the first event of a stream.
async function firstId(response) {
	let seen = "";
	for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
		seen += chunk;
		const id = /^id: ?(.+)\n/m.exec(seen)?.[1];
		if (id)
			return id;
	}
	throw new Error(`no event has an id: ${seen}`);
}

// A client that lost the stream of a call gets the result from another one.
async function resume({ url }) {
	const { head, send } = await openSession(url);
	const response = await send({ id: 1, method: "tools/call",
		params: { name: "slow_compute", arguments: { seconds: 1, label: "resumed" } } });
	const id = await firstId(response); // leaving the loop closes the stream
	const end = Date.now() + REQUEST_MS;
	let again;
	do { // 409: it has not noticed yet that the first one is gone
		again = await fetch(url, { headers: { ...head, accept: "text/event-stream", "last-event-id": id },
			signal: AbortSignal.timeout(REQUEST_MS) });
	} while (again.status === 409 && Date.now() < end && await sleep(50, true));
	assert.equal(again.status, 200);
	const result = await answer(again);
	assert.equal(result?.id, 1);
	assert.equal(result.result.content[0].text, "resumed took 1 s");
}

export const extras = [
	{ name: "resume", run: resume },
	{ name: "tasks-listen", run: tasksListen },
	{ name: "tasks-listen-undeclared", run: tasksListenUndeclared },
];

// Behind a balancer: neighbours of each other go to different replicas.
export async function alternates({ base, replicas }) {
	const names = [];
	for (let n = 0; n < 2 * replicas; n++)
		names.push((await fetch(`${base}/health`)).headers.get("x-replica"));
	assert.equal(new Set(names.slice(0, replicas)).size, replicas, names.join(" "));
	assert.deepEqual(names.slice(0, replicas), names.slice(replicas));
}
