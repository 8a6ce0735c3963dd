// The tests: which servers to start, what to run through the gateway, what has
// to pass. One line per test, "N passed, N failed" at the end.

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { checks } from "./checks.mjs";
import { clients, unprefixed } from "./clients.mjs";
import { failingRun, PARAMETERS, revisionRun, scenarioRun, stableRun, suiteOf } from "./conformance.mjs";
import { alternates, extras } from "./extra.mjs";
import { bounded } from "./processes.mjs";
import { replicaSettings, startBalancer, startEverything, startFixture, startGateway, startQuirks }
	from "./servers.mjs";

// Arrangements at the same time: they wait more than they work.
const PARALLEL = 3;

// The reference server's own faults.
const REFERENCE_FAILS = {
	"2025-11-25": [],
	"2026-07-28": ["tools-call-simple-text", "tools-call-image", "tools-call-audio",
		"tools-call-embedded-resource", "tools-call-mixed-content", "tools-call-error",
		"tools-call-with-progress", "http-header-validation", PARAMETERS],
};

// Clients that are also tried with a token.
const ONE_OF_EACH = ["client-v1", "client-v2-modern", "inspector-modern"];

const GROUP_MS = 180000;
const CHECK_MS = 40000;
const TOKEN = "interop-token-0123456789abcdef";

const { values: options, positionals: wanted } = parseArgs({
	allowPositionals: true,
	options: {
		gateway: { type: "string", default: resolve(import.meta.dirname, "../../build/release/oci-mcp-gateway") },
		direct: { type: "boolean", default: false },
		keep: { type: "boolean", default: false },
		list: { type: "boolean", default: false },
	},
});
const tmp = mkdtempSync(join(tmpdir(), "interop-"));
process.on("exit", () => options.keep || rmSync(tmp, { recursive: true, force: true }));
// Half of what a short Node program does is compiling itself.
process.env.NODE_COMPILE_CACHE = join(tmp, "compiled");
const env = { gateway: resolve(options.gateway), tmp };

// --- results -------------------------------------------------------------------

const count = { passed: 0, failed: 0 };

// One per arrangement.
class Report {
	failed = 0;

	pass(name, text = "") {
		count.passed++;
		console.log(`ok    ${name}${text && `: ${text}`}`);
	}

	fail(name, reason) {
		count.failed++;
		this.failed++;
		console.log(`FAIL  ${name}: ${reason}`);
	}

	// Does not count; one line.
	note(name, text) {
		console.log(`note  ${name}: ${text.split("\n")[0]}`);
	}
}

// --- arrangements ----------------------------------------------------------------

// Starts servers, and runs groups one after the other: run(at, report, name),
// where `at` has the address of what the last server in the list answers at.
async function runArrangement({ name: arrangement, start, groups }) {
	const report = new Report();
	const started = [];
	const begin = async (starting) => {
		const one = await starting;
		started.push(one);
		return one;
	};
	try {
		const at = { tmp, ...await start(begin) };
		for (const { name, run } of groups)
			try {
				await bounded(GROUP_MS, "not done", run(at, report, name));
			} catch (error) {
				report.fail(name, error.message);
			}
		for (const { server } of started)
			assert.equal(server.code, undefined, `${server.name} ended during the tests`);
	} catch (error) {
		report.fail(`${arrangement} servers`, error.message);
	}
	for (const { server } of started.reverse())
		await server.stop();
	if (report.failed > 0)
		started.forEach(({ server }) => console.log(server.tail()));
	for (const { server } of started.filter(({ server }) => server.killed))
		report.note(`${arrangement} ${server.name}`, "did not end by SIGTERM");
}

// --- clients -----------------------------------------------------------------------

const applies = (check, client) =>
	(client.interactive || !check.interactive) && (client.tasks || !check.tasks);

async function tryClient(kind, group, { url, direct }, report, token) {
	const { open, brief, expected: revision } = clients[kind];
	let client;
	try {
		client = await open(url, token, tmp);
		if (direct)
			client = unprefixed(client);
		if (revision)
			assert.equal(client.version, revision, "negotiated revision");
		report.pass(`${group} connect`, client.version);
	} catch (error) {
		report.fail(`${group} connect`, error.message);
		await client?.close();
		return;
	}
	const short = brief || token && !client.interactive;
	for (const check of checks) {
		if (!applies(check, client) || direct && !check.alone || short && !check.brief)
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

async function test(report, name, run) {
	try {
		await bounded(CHECK_MS, "not done", run());
		report.pass(name);
	} catch (error) {
		report.fail(name, error.message);
	}
}

async function refusedRun({ base, url }, report, group) {
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
		await test(report, `${group} ${name}`, async () => {
			const answer = await post(headers);
			assert.equal(answer.status, 401);
			assert.match(answer.headers.get("www-authenticate") ?? "", /^Bearer\b/);
			assert.ok(!(await answer.text()).includes(TOKEN), "the token is repeated");
		});
	await test(report, `${group} token-in-query`, async () => {
		const answer = await fetch(`${url}?access_token=${TOKEN}`, { method: "POST", body: "{}" });
		assert.equal(answer.status, 401);
	});
	await test(report, `${group} health-without-token`, async () => {
		for (const path of ["/health", "/ready"])
			assert.equal((await fetch(base + path)).status, 200, path);
	});
	for (const kind of ONE_OF_EACH)
		await test(report, `${group} ${kind}`, () => assert.rejects(clients[kind].open(url, undefined, tmp),
			(error) => error.code === 401 || /401|unauthori[sz]ed|auth_required/i.test(error.message)));
}

// --- tables --------------------------------------------------------------------------

const open = { auth: { enabled: false } };
const tokens = { auth: {
	enabled: true,
	static_tokens: {
		[TOKEN]: {
			client_id: "interop",
			subject: "interop",
			scopes: ["read:tools", "write:tools", "admin:gateway"],
		},
	},
} };

// The reference server's hidden tools are called by the conformance tool.
const plain = ({ url }) =>
	[{ name: "fixture", url, namespace_tools: false, unlisted_tools: true }];
const two = (fixture, everything) => [
	{ name: "fx", url: fixture.url, namespace_tools: true },
	{ name: "every", url: everything.url, namespace_tools: true },
];

const alone = (startBackend) => async (begin) => ({ ...await begin(startBackend()), direct: true });

const one = (startBackend) => options.direct ? alone(startBackend) : async (begin) =>
	begin(startGateway(env, plain(await begin(startBackend())), open));

const pair = (era, settings) => options.direct ? alone(() => startFixture(era)) : async (begin) =>
	begin(startGateway(env, two(await begin(startFixture(era)), await begin(startEverything())), settings));

const quirksAndFixture = async (begin) => begin(startGateway(env, [
	...plain(await begin(startQuirks())),
	{ name: "fx", url: (await begin(startFixture("both"))).url, namespace_tools: true },
], open));

async function balance(begin, backends) {
	const gateways = [];
	for (const settings of await replicaSettings())
		gateways.push(await begin(startGateway(env, backends, { ...open, ...settings })));
	return { ...await begin(startBalancer(env, gateways)), replicas: gateways.length };
}

const replicas = (startBackend) => async (begin) => balance(begin, plain(await begin(startBackend())));

const replicasPair = (era) => async (begin) =>
	balance(begin, two(await begin(startFixture(era)), await begin(startEverything())));

const tries = (prefix, kinds, token) => kinds.map((kind) => ({
	name: `${prefix}${kind}`,
	run: (at, report, group) => tryClient(kind, group, at, report, token),
}));

const extraRun = async (at, report, group) => {
	for (const { name, run } of extras)
		await test(report, `${group} ${name}`, () => run(at));
};

const conformance = (prefix) => [
	{ name: `${prefix}2025-11-25`, run: revisionRun("2025-11-25") },
	{ name: `${prefix}2026-07-28`, run: revisionRun("2026-07-28", { tasks: true }) },
	{ name: `${prefix}stable`, run: stableRun },
	{ name: `${prefix}2025-06-18`, run: suiteOf("2025-06-18") },
	{ name: `${prefix}2025-03-26`, run: suiteOf("2025-03-26") },
	{ name: `${prefix}extra`, run: extraRun },
];

// A backend of 2026-07-28 cannot leave its stream and be polled: the scenario
// about that finds nothing to judge.
const crossing = (prefix, revision) => ({ name: `${prefix}cross-${revision}`,
	run: revisionRun(revision, { crosses: true, without: ["server-sse-polling"] }) });

const alternation = (name) => ({ name, run: (at, report, group) => test(report, group, () => alternates(at)) });

const kinds = Object.keys(clients);
const sdkKinds = kinds.filter((kind) => kind.startsWith("client-"));
// Who can talk to a backend of one era without help.
const natives = { legacy: /v1|legacy/, modern: /auto|modern/ };
const native = (era) => kinds.filter((kind) => !options.direct || natives[era].test(kind));

// Those that take longest come first. direct: also without a gateway.
const arrangements = [
	{ name: "legacy", direct: true, start: pair("legacy", open), groups: tries("legacy-", native("legacy")) },
	{ name: "modern", direct: true, start: pair("modern", open), groups: tries("modern-", native("modern")) },
	{ name: "both", direct: true, start: pair("both", open), groups: tries("", kinds) },
	{ name: "conformance", direct: true, start: one(() => startFixture("both")),
		groups: conformance("conformance-") },
	{ name: "replicas", start: replicas(() => startFixture("both")), groups: [
		alternation("replicas-alternate"),
		...conformance("replicas-"),
	] },
	{ name: "quirks", start: one(startQuirks), groups: [
		{ name: "quirks-2025-11-25", run: revisionRun("2025-11-25") },
		{ name: "quirks-2026-07-28", run: revisionRun("2026-07-28", { without: [PARAMETERS] }) },
		{ name: "quirks-stable", run: stableRun },
	] },
	// The reference server has no tool for this; another backend has.
	{ name: "quirks-headers", start: quirksAndFixture,
		groups: [{ name: "quirks-headers", run: scenarioRun(PARAMETERS, "2026-07-28") }] },
	{ name: "quirks-direct", direct: true, start: alone(startQuirks),
		groups: Object.entries(REFERENCE_FAILS).map(([revision, fails]) =>
			({ name: `quirks-direct-${revision}`, run: failingRun(revision, fails) })) },
	{ name: "auth", start: pair("both", tokens), groups: [
		{ name: "auth-refused", run: refusedRun },
		...tries("auth-", ONE_OF_EACH, TOKEN),
	] },
	{ name: "to-legacy", start: one(() => startFixture("legacy")), groups: [crossing("", "2026-07-28")] },
	{ name: "to-modern", start: one(() => startFixture("modern")), groups: [crossing("", "2025-11-25")] },
	{ name: "replicas-to-legacy", start: replicas(() => startFixture("legacy")),
		groups: [crossing("replicas-", "2026-07-28")] },
	{ name: "replicas-to-modern", start: replicas(() => startFixture("modern")),
		groups: [crossing("replicas-", "2025-11-25")] },
	...["both", "legacy", "modern"].map((era) => ({
		name: `replicas-clients-${era}`,
		start: replicasPair(era),
		groups: tries(`replicas-${era}-`, sdkKinds),
	})),
];

const isWanted = (name) => wanted.length === 0 || wanted.some((want) => name.startsWith(want));
const chosen = arrangements.filter(({ direct }) => direct || !options.direct)
	.map((arrangement) => ({ ...arrangement, groups: arrangement.groups.filter(({ name }) => isWanted(name)) }))
	.filter(({ groups }) => groups.length > 0);

if (options.list) {
	arrangements.forEach(({ groups }) => groups.forEach(({ name }) => console.log(name)));
	process.exit(0);
}
if (chosen.length === 0)
	new Report().fail("driver", `no test is named so: ${wanted.join(" ")}`);
else if (!options.direct && !existsSync(env.gateway))
	new Report().fail("driver", `no gateway at ${env.gateway}`);
else
	await Promise.all(Array.from({ length: PARALLEL }, async () => {
		while (chosen.length > 0)
			await runArrangement(chosen.shift());
	}));

if (options.keep)
	console.log(`kept ${tmp}`);
console.log(`${count.passed} passed, ${count.failed} failed`);
process.exit(count.failed > 0 ? 1 : 0);
