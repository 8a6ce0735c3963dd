// What the conformance tool does not try, of 2026-07-28, on the wire.

import assert from "node:assert/strict";

const META = "io.modelcontextprotocol/";
const TASKS = `${META}tasks`;
const REQUEST_MS = 10000;

const headers = (method, name) => ({
	"content-type": "application/json",
	accept: "application/json, text/event-stream",
	"mcp-protocol-version": "2026-07-28",
	"mcp-method": method,
	...name && { "mcp-name": name },
});

// extensions: those the client declares.
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

export const extras = [
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
