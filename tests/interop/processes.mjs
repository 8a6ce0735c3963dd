// Child processes of a test run: started, watched, always stopped.

import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { createServer } from "node:net";

const KEPT_LINES = 200; // of a child's output
const STOP_MS = 5000;   // from SIGTERM to SIGKILL

const alive = new Set();

// Each child leads a process group, so that its own children go with it.
function signalGroup(child, signal) {
	try {
		process.kill(-child.pid, signal);
	} catch {
		// gone already
	}
}

process.on("exit", () => alive.forEach((child) => signalGroup(child, "SIGKILL")));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"])
	process.on(signal, () => process.exit(1));

export class Process {
	#waiters = [];

	constructor(name, command, args, env = {}) {
		this.name = name;
		this.lines = [];
		this.child = spawn(command, args, {
			detached: true,
			env: { ...process.env, ...env },
			stdio: ["ignore", "pipe", "pipe"],
		});
		this.exited = new Promise((resolve) => {
			this.child.on("error", (error) => resolve(error.message));
			this.child.on("exit", (code, signal) => resolve(code ?? signal));
		}).then((code) => {
			this.code = code;
			alive.delete(this.child);
			return code;
		});
		if (this.child.pid)
			alive.add(this.child);
		for (const stream of [this.child.stdout, this.child.stderr])
			this.#read(stream);
	}

	#read(stream) {
		let rest = "";
		stream.setEncoding("utf8");
		stream.on("data", (chunk) => {
			const lines = (rest + chunk).split("\n");
			rest = lines.pop();
			this.lines.push(...lines);
			this.lines.splice(0, this.lines.length - KEPT_LINES);
			for (const line of lines)
				this.#waiters.forEach((waiter) => waiter(line));
		});
	}

	// The match of the first line that fits the pattern.
	line(pattern, ms) {
		return bounded(ms, `${this.name}: no line ${pattern}`, new Promise((resolve, reject) => {
			this.#waiters.push((line) => pattern.test(line) && resolve(pattern.exec(line)));
			this.exited.then((code) => reject(new Error(`${this.name} ended with ${code}`)));
		}));
	}

	async stop() {
		if (this.code !== undefined)
			return;
		this.stopping = true;
		this.child.kill("SIGTERM");
		const kill = setTimeout(() => {
			this.killed = true;
			signalGroup(this.child, "SIGKILL");
		}, STOP_MS);
		await this.exited;
		clearTimeout(kill);
	}

	// The end of the output, for a person.
	tail(count = 25) {
		const ended = this.code !== undefined && !this.stopping ? `, ended with ${this.code}` : "";
		return [`--- ${this.name}${ended}`, ...this.lines.slice(-count)].join("\n");
	}
}

// Runs a program to its end. Resolves to { code, stdout, stderr }; a program
// that takes longer than ms is killed and gets code "timeout".
export function runProgram(command, args, { ms, env = {} }) {
	return new Promise((resolve) => {
		const child = spawn(command, args, {
			detached: true,
			env: { ...process.env, ...env },
			stdio: ["ignore", "pipe", "pipe"],
		});
		const out = { stdout: "", stderr: "" };
		let late = false;
		for (const name of ["stdout", "stderr"]) {
			child[name].setEncoding("utf8");
			child[name].on("data", (chunk) => { out[name] += chunk; });
		}
		const timer = setTimeout(() => {
			late = true;
			signalGroup(child, "SIGKILL");
		}, ms);
		alive.add(child);
		const finish = (code) => {
			clearTimeout(timer);
			alive.delete(child);
			resolve({ code: late ? "timeout" : code, ...out });
		};
		child.on("error", (error) => finish(error.message));
		child.on("close", (code, signal) => finish(code ?? signal));
	});
}

// The promise, or an error after ms.
export function bounded(ms, what, promise) {
	let timer;
	const late = new Promise((resolve, reject) => {
		timer = setTimeout(() => reject(new Error(`${what} within ${ms} ms`)), ms);
	});
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// Below the range that connections take their ports from, so that a port is
// still free when it is used.
const PORTS = { first: 12000, last: 32000 };
const given = new Set();

function isFree(port) {
	return new Promise((resolve) => {
		const probe = createServer().once("error", () => resolve(false));
		probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
	});
}

export async function freePort() {
	for (;;) {
		const port = randomInt(PORTS.first, PORTS.last);
		if (given.has(port))
			continue;
		given.add(port);
		if (await isFree(port))
			return port;
	}
}
