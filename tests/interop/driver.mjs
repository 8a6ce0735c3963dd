// The tests: which servers to start, what to run through the gateway, what has
// to pass. One line per test, "N passed, N failed" at the end.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

import { checks } from "./checks.mjs";
import { clients } from "./clients.mjs";
import { requiredScenarios, runTool, summary, verdict } from "./conformance.mjs";
import { bounded, freePort, Process } from "./processes.mjs";

// Scenarios that no revision requires, and that must hold all the same.
const HEADERS = ["http-header-validation", "http-custom-header-server-validation"];
// Reported only: resuming a stream is not offered.
const PENDING = ["server-sse-polling"];
// As the published lists stand; a shorter list would mean we misread them.
const REQUIRED_COUNT = { "2025-11-25": 30, "2026-07-28": 37 };
const STABLE_COUNT = 32;

// Clients that are also tried with a token.
const ONE_OF_EACH = ["client-v1", "client-v2-modern", "inspector-modern"];

const GROUP_MS = 60000;
const START_MS = 15000;
const READY_MS = 20000;
const CHECK_MS = 20000;
const TOKEN = "interop-token-0123456789abcdef";

const here = import.meta.dirname;
const { values: options, positionals: wanted } = parseArgs({
	allowPositionals: true,
	options: {
		gateway: { type: "string", default: resolve(here, "../../build/release/oci-mcp-gateway") },
		direct: { type: "boolean", default: false },
		keep: { type: "boolean", default: false },
		list: { type: "boolean", default: false },
	},
});
const tmp = mkdtempSync(join(tmpdir(), "interop-"));
process.on("exit", () => options.keep || rmSync(tmp, { recursive: true, force: true }));

// --- results -------------------------------------------------------------------

const count = { passed: 0, failed: 0 };
const report = {
	pass(name, text = "") {
		count.passed++;
		console.log(`ok    ${name}${text && `: ${text}`}`);
	},
	fail(name, reason) {
		count.failed++;
		console.log(`FAIL  ${name}: ${reason}`);
	},
	// Does not count; one line.
	note(name, text) {
		console.log(`note  ${name}: ${text.split("\n")[0]}`);
	},
};

// --- servers -------------------------------------------------------------------

async function startServer(name, args, env) {
	const server = new Process(name, process.execPath, args, env);
	try {
		const [, port] = await server.line(/^listening (\d+)$/, START_MS);
		return { server, url: `http://127.0.0.1:${port}/mcp` };
	} catch (error) {
		console.log(server.tail());
		await server.stop();
		throw error;
	}
}

const startFixture = (era) =>
	startServer(`fixture ${era}`, [join(here, "fixture.mjs"), "--era", era]);

const startEverything = () => startServer("server-everything", [
	"--import", join(here, "loopback.mjs"),
	join(here, "node_modules/@modelcontextprotocol/server-everything/dist/index.js"), "streamableHttp",
], { PORT: "0" });

// Until the gateway says it is ready and, where it tells, all backends are.
async function waitReady(base, gateway) {
	let last = "no answer";
	const end = Date.now() + READY_MS;
	while (Date.now() < end && gateway.code === undefined) {
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
	throw new Error(`the gateway is not ready: ${last}`);
}

async function startGateway(backends, auth) {
	const port = await freePort();
	const dir = mkdtempSync(join(tmp, "gateway-"));
	const file = join(dir, "gateway.json");
	mkdirSync(join(dir, "run"));
	writeFileSync(file, JSON.stringify({
		host: "127.0.0.1",
		port,
		workers: 2,
		shutdown_grace: 1,
		runtime_dir: join(dir, "run"),
		auth,
		backends: backends.map((backend) =>
			({ transport: "streamable_http", auth_method: "none", ...backend })),
	}, null, "\t"));
	const gateway = new Process("gateway", resolve(options.gateway), ["--config", file]);
	const base = `http://127.0.0.1:${port}`;
	try {
		await waitReady(base, gateway);
	} catch (error) {
		console.log(gateway.tail());
		await gateway.stop();
		throw error;
	}
	return { server: gateway, base, url: `${base}/mcp` };
}

// Starts what a group needs, in this order; `use` gets the last one's addresses.
async function withServers(starters, use) {
	const started = [];
	const failures = count.failed;
	try {
		for (const start of starters)
			started.push(await start(started));
		await use(started.at(-1));
		for (const { server } of started)
			assert.equal(server.code, undefined, `${server.name} ended during the tests`);
	} catch (error) {
		report.fail("servers", error.message);
	} finally {
		for (const { server } of started.reverse())
			await server.stop();
		if (count.failed > failures)
			started.forEach(({ server }) => console.log(server.tail()));
		for (const { server } of started.filter(({ server }) => server.killed))
			report.note(server.name, "did not end by SIGTERM");
	}
}

// --- conformance -----------------------------------------------------------------

function reportScenarios(group, required, ran) {
	for (const scenario of required) {
		const wrong = verdict(ran.results.get(scenario));
		if (wrong)
			report.fail(`${group} ${scenario}`, wrong);
		else
			report.pass(`${group} ${scenario}`, summary(ran.results.get(scenario)));
	}
	for (const [scenario, results] of ran.results)
		if (!required.includes(scenario))
			report.note(`${group} ${scenario}`, verdict(results) ?? summary(results));
	if (ran.results.size === 0)
		report.fail(`${group} run`, `ended with ${ran.code}\n${ran.output.slice(-2000)}`);
}

// Runs a revision's list. With `only` given just those must pass.
const revisionRun = (revision, only) => async ({ url }, group) => {
	const listed = requiredScenarios(revision);
	assert.equal(listed.length, REQUIRED_COUNT[revision], "length of the required list");
	const required = only ?? listed;
	const ran = await runTool("latest", url, ["--requirements", revision], tmp);
	reportScenarios(group, required, ran);
	const scored = listed.every((scenario) => verdict(ran.results.get(scenario)) === undefined);
	if (!only && scored !== (ran.code === 0))
		report.fail(`${group} exit code`, `${ran.code}, but the results say otherwise`);
};

async function headerRun({ url }, group) {
	for (const scenario of HEADERS) {
		const ran = await runTool("latest", url,
			["--scenario", scenario, "--spec-version", "2026-07-28"], tmp);
		reportScenarios(group, [scenario], ran);
	}
}

async function stableRun({ url }, group) {
	const ran = await runTool("stable", url, ["--suite", "all"], tmp);
	const required = [...ran.results.keys()]
		.filter((scenario) => !PENDING.includes(scenario));
	reportScenarios(group, required, ran);
	if (ran.results.size < STABLE_COUNT)
		report.fail(`${group} run`, `only ${ran.results.size} scenarios, ended with ${ran.code}`);
}

// --- clients -----------------------------------------------------------------------

async function tryClient(kind, group, url, token) {
	const { open, expected: revision } = clients[kind];
	let client;
	try {
		client = await open(url, token, tmp);
		if (revision)
			assert.equal(client.version, revision, "negotiated revision");
		report.pass(`${group} connect`, client.version);
	} catch (error) {
		report.fail(`${group} connect`, error.message);
		await client?.close();
		return;
	}
	for (const check of checks) {
		if (check.interactive && !client.interactive)
			continue;
		const name = `${group} ${check.name}`;
		try {
			await bounded(CHECK_MS, "not done", check.run(client));
			report.pass(name);
		} catch (error) {
			report.fail(name, error.message);
		}
	}
	await bounded(CHECK_MS, "not closed", client.close()).catch((error) =>
		report.note(`${group} close`, error.message));
}

async function test(name, run) {
	try {
		await bounded(CHECK_MS, "not done", run());
		report.pass(name);
	} catch (error) {
		report.fail(name, error.message);
	}
}

async function refusedRun({ base, url }, group) {
	const post = (headers) => fetch(url, {
		method: "POST",
		headers: { "content-type": "application/json", accept: "application/json, text/event-stream", ...headers },
		body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" }),
		signal: AbortSignal.timeout(5000),
	});
	const bad = {
		"no-token": {},
		"wrong-token": { authorization: `Bearer ${TOKEN}x` },
		"wrong-scheme": { authorization: `Basic ${Buffer.from(`a:${TOKEN}`).toString("base64")}` },
	};
	for (const [name, headers] of Object.entries(bad))
		await test(`${group} ${name}`, async () => {
			const answer = await post(headers);
			assert.equal(answer.status, 401);
			assert.match(answer.headers.get("www-authenticate") ?? "", /^Bearer\b/);
			assert.ok(!(await answer.text()).includes(TOKEN), "the token is repeated");
		});
	await test(`${group} token-in-query`, async () => {
		const answer = await fetch(`${url}?access_token=${TOKEN}`, { method: "POST", body: "{}" });
		assert.equal(answer.status, 401);
	});
	await test(`${group} health-without-token`, async () => {
		for (const path of ["/health", "/ready"])
			assert.equal((await fetch(base + path)).status, 200, path);
	});
	for (const kind of ONE_OF_EACH)
		await test(`${group} ${kind}`, () => assert.rejects(clients[kind].open(url, undefined, tmp),
			(error) => error.code === 401 || /401|unauthori[sz]ed|auth_required/i.test(error.message)));
}

// --- groups --------------------------------------------------------------------------

const single = (era) => options.direct ? [() => startFixture(era)] : [
	() => startFixture(era),
	([fixture]) => startGateway([{ name: "fixture", url: fixture.url, namespace_tools: false }],
		{ enabled: false }),
];

const both = (auth) => [
	() => startFixture("both"),
	() => startEverything(),
	([fixture, everything]) => startGateway([
		{ name: "fx", url: fixture.url, namespace_tools: true },
		{ name: "every", url: everything.url, namespace_tools: true },
	], auth),
];

const tokens = {
	enabled: true,
	static_tokens: {
		[TOKEN]: {
			client_id: "interop",
			subject: "interop",
			scopes: ["read:tools", "write:tools", "admin:gateway"],
		},
	},
};

// Groups that follow each other and need the same servers share them.
const groups = [
	{ name: "conformance-2025-11-25", direct: true, needs: "single", run: revisionRun("2025-11-25") },
	{ name: "conformance-2026-07-28", direct: true, needs: "single", run: revisionRun("2026-07-28") },
	{ name: "conformance-headers", direct: true, needs: "single", run: headerRun },
	{ name: "conformance-stable", direct: true, needs: "single", run: stableRun },
	// Clients of one era, a backend of the other: reported only.
	{ name: "cross-to-legacy", needs: "legacy", run: revisionRun("2026-07-28", []) },
	{ name: "cross-to-modern", needs: "modern", run: revisionRun("2025-11-25", []) },
	...Object.keys(clients).map((kind) => ({
		name: kind,
		needs: "open",
		run: ({ url }, group) => tryClient(kind, group, url),
	})),
	{ name: "auth-refused", needs: "auth", run: refusedRun },
	...ONE_OF_EACH.map((kind) => ({
		name: `auth-${kind}`,
		needs: "auth",
		run: ({ url }, group) => tryClient(kind, group, url, TOKEN),
	})),
];

const servers = {
	single: () => single("both"),
	legacy: () => single("legacy"),
	modern: () => single("modern"),
	open: () => both({ enabled: false }),
	auth: () => both(tokens),
};

const chosen = groups.filter(({ name, direct }) => (direct || !options.direct) &&
	(wanted.length === 0 || wanted.some((want) => name.startsWith(want))));

if (options.list) {
	groups.forEach(({ name }) => console.log(name));
	process.exit(0);
}
if (chosen.length === 0)
	report.fail("driver", `no test is named so: ${wanted.join(" ")}`);
else if (!options.direct && !existsSync(options.gateway))
	report.fail("driver", `no gateway at ${options.gateway}`);
else
	for (const needs of new Set(chosen.map((group) => group.needs)))
		await withServers(servers[needs](), async (server) => {
			for (const { name, run } of chosen.filter((group) => group.needs === needs))
				try {
					await bounded(GROUP_MS, "not done", run(server, name));
				} catch (error) {
					report.fail(name, error.message);
				}
		});

if (options.keep)
	console.log(`kept ${tmp}`);
console.log(`${count.passed} passed, ${count.failed} failed`);
process.exit(count.failed > 0 ? 1 : 0);
