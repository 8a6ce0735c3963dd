// The servers of the tests. Each start function resolves to { server, url, ... }
// with the Process; what answers at `url` is ready by then.

import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { freePort, Process } from "./processes.mjs";

const START_MS = 15000;
const READY_MS = 20000;
const SESSION_KEY = "interop-session-key-0123456789abcdef";

const here = import.meta.dirname;

async function startServer(name, args, env) {
	const server = new Process(name, process.execPath, args, env);
	try {
		const [, port] = await server.line(/^listening (\d+)$/, START_MS);
		return { server, url: `http://127.0.0.1:${port}/mcp` };
	} catch (error) {
		await giveUp(server, error);
	}
}

async function giveUp(server, error) {
	await server.stop();
	throw new Error(`${error.message}\n${server.tail()}`);
}

export const startFixture = (era) =>
	startServer(`fixture ${era}`, [join(here, "fixture.mjs"), "--era", era]);

export const startQuirks = () => startServer("quirks", [join(here, "quirks.mjs")]);

export const startEverything = () => startServer("server-everything", [
	"--import", join(here, "loopback.mjs"),
	join(here, "node_modules/@modelcontextprotocol/server-everything/dist/index.js"), "streamableHttp",
], { PORT: "0" });

// Until the gateway says it is ready and, where it tells, all backends are.
async function waitReady(base, server) {
	let last = "no answer";
	const end = Date.now() + READY_MS;
	while (Date.now() < end && server.code === undefined) {
		try {
			const answer = await fetch(`${base}/ready`, { signal: AbortSignal.timeout(2000) });
			const body = await answer.text();
			last = `${answer.status} ${body}`;
			const { total, healthy } = answer.ok ? JSON.parse(body) : {};
			if (answer.ok && (typeof healthy !== "number" || healthy === total))
				return;
		} catch (error) {
			last = error.message;
		}
		await sleep(100);
	}
	throw new Error(`${server.name} is not ready: ${last}`);
}

async function ready(server, port) {
	const base = `http://127.0.0.1:${port}`;
	try {
		await waitReady(base, server);
	} catch (error) {
		await giveUp(server, error);
	}
	return { server, base, url: `${base}/mcp` };
}

// settings: of the gateway, beyond those that every test has.
export async function startGateway({ gateway, tmp }, backends, settings) {
	const port = settings.port ?? await freePort();
	const dir = mkdtempSync(join(tmp, "gateway-"));
	const file = join(dir, "gateway.json");
	mkdirSync(join(dir, "run"));
	writeFileSync(file, JSON.stringify({
		host: "127.0.0.1",
		port,
		workers: 2,
		shutdown_grace: 1,
		runtime_dir: join(dir, "run"),
		...settings,
		backends: backends.map((backend) =>
			({ transport: "streamable_http", auth_method: "none", ...backend })),
	}, null, "\t"));
	return ready(new Process("gateway", gateway, ["--config", file]), port);
}

// Two ports for gateways that know each other: [[port, settings], ...].
export async function replicaSettings() {
	const ports = [await freePort(), await freePort()];
	const addresses = ports.map((port) => `127.0.0.1:${port}`);
	return addresses.map((address, n) => ({
		port: ports[n],
		session_key: SESSION_KEY,
		replica: { address, peers: addresses.filter((other) => other !== address) },
	}));
}

// In front of the replicas: each request goes to the next of them, on a new
// connection. X-Replica of an answer says which it was. Without http-no-delay
// haproxy holds back an event until the next one.
export async function startBalancer({ tmp }, gateways) {
	const port = await freePort();
	const file = join(mkdtempSync(join(tmp, "haproxy-")), "haproxy.cfg");
	writeFileSync(file, `global
	nbthread 1
	maxconn 500
defaults
	mode http
	timeout connect 5s
	timeout client 120s
	timeout server 120s
	option http-server-close
	option http-no-delay
	option abortonclose
listen mcp
	bind 127.0.0.1:${port}
	balance roundrobin
	http-response set-header X-Replica %s
${gateways.map(({ base }, n) => `	server replica${n} ${new URL(base).host}\n`).join("")}`);
	return ready(new Process("haproxy", "haproxy", ["-q", "-db", "-f", file],
		{ PATH: `${process.env.PATH}:/usr/sbin` }), port);
}
