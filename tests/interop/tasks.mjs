// The extension io.modelcontextprotocol/tasks of the fixture: a tool's run() is
// carried out in the background, and the client asks how it is going.

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

const TTL_MS = 60000;
const POLL_MS = 100;

export const FINAL = ["completed", "failed", "cancelled"];

// announce(task) is told every state a task gets into.
export class Tasks {
	#tasks = new Map();
	#announce;

	constructor(announce) {
		this.#announce = announce;
	}

	// Runs run(args, ctx); the result is what tools/call answers.
	create(run, args, ctx) {
		const now = new Date().toISOString();
		const task = {
			abort: new AbortController(),
			answers: ctx.answers,
			shown: { taskId: randomUUID(), status: "working", createdAt: now, lastUpdatedAt: now,
				ttlMs: TTL_MS, pollIntervalMs: POLL_MS },
		};
		task.run = () => run(args, { ...ctx, answers: task.answers, progress: () => {}, log: () => {},
			sleep: (ms) => sleep(ms, undefined, { signal: task.abort.signal }) });
		this.#tasks.set(task.shown.taskId, task);
		setTimeout(() => this.#tasks.delete(task.shown.taskId), TTL_MS).unref();
		const result = { resultType: "task", ...task.shown };
		this.#work(task);
		return result;
	}

	// The task as tasks/get and notifications/tasks show it, or undefined.
	get(id) {
		return this.#tasks.get(id)?.shown;
	}

	// Takes the answers to what the task asks; it goes on when it has all.
	update(id, answers) {
		const task = this.#tasks.get(id);
		const { inputRequests = {} } = task.shown;
		const wanted = Object.keys(inputRequests).filter((key) => key in answers);
		if (wanted.length === 0)
			return;
		for (const key of wanted)
			task.answers = { ...task.answers, [key]: answers[key] };
		const open = Object.entries(inputRequests).filter(([key]) => !wanted.includes(key));
		if (open.length > 0) {
			this.#enter(task, "input_required", { inputRequests: Object.fromEntries(open) });
			return;
		}
		this.#enter(task, "working");
		this.#work(task);
	}

	cancel(id) {
		const task = this.#tasks.get(id);
		if (FINAL.includes(task.shown.status))
			return;
		this.#enter(task, "cancelled");
		task.abort.abort();
	}

	#enter(task, status, rest) {
		const { taskId, createdAt, ttlMs, pollIntervalMs } = task.shown;
		if (FINAL.includes(task.shown.status))
			return;
		task.shown = { taskId, status, createdAt, lastUpdatedAt: new Date().toISOString(),
			ttlMs, pollIntervalMs, ...rest };
		this.#announce(task.shown);
	}

	async #work(task) {
		try {
			const result = await task.run();
			if (result.inputRequests)
				this.#enter(task, "input_required", { inputRequests: result.inputRequests });
			else
				this.#enter(task, "completed", { result });
		} catch (error) {
			this.#enter(task, "failed", { error: { code: -32603, message: error.message } });
		}
	}
}
