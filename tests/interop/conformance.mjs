// Runs the official conformance tool and judges what it found.

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { IMPOSSIBLE } from "./crossing.mjs";
import { runProgram } from "./processes.mjs";

const here = import.meta.dirname;
const TOOL_MS = 110000;    // a whole run
const SCENARIO_MS = 15000; // one scenario

const BUILDS = {
	latest: join(here, "node_modules/@modelcontextprotocol/conformance/dist/index.js"),
	stable: join(here, "node_modules/conformance-stable/dist/index.js"),
};

// As the published lists stand; a shorter list would mean we misread them.
const REQUIRED_COUNT = { "2025-11-25": 30, "2026-07-28": 37 };
const STABLE_COUNT = 32;
const SUITE_COUNT = { "2025-06-18": 27, "2025-03-26": 1 };
const TASKS_COUNT = 9;

// Needs a tool with an argument that is also a header.
export const PARAMETERS = "http-custom-header-server-validation";
// Scenarios that no revision requires, and that must hold all the same.
const ALSO = {
	"2025-11-25": ["server-session-lifecycle", "json-schema-2020-12", "server-sse-polling"],
	"2026-07-28": ["json-schema-2020-12", "http-header-validation", PARAMETERS],
};
// The tool skips it; tasks-listen of extra.mjs is ours.
const TASKS_SKIPPED = "tasks-status-notifications";
// The stable tool has only warnings for this one; the newer tool judges it.
const WARNS_ONLY = "server-sse-polling";
// With a baseline the tool takes warnings for failures, and so do we.
const isWrong = ({ status }) => status === "FAILURE" || status === "WARNING";
// Skips what a server does not offer; we do.
const COMPLETE = "server-session-lifecycle";

// The scenarios of the server side that a revision requires.
function requiredScenarios(revision) {
	const file = join(here, "node_modules/@modelcontextprotocol/conformance/requirements", `${revision}.yaml`);
	const section = /^server:\n((?:  - .*\n)+)/m.exec(readFileSync(file, "utf8"))[1];
	const listed = section.trim().split("\n").map((line) => line.replace(/^\s*- /, ""));
	assert.equal(listed.length, REQUIRED_COUNT[revision], "length of the required list");
	return listed;
}

function readResults(dir) {
	const results = new Map();
	for (const entry of readdirSync(dir)) {
		const scenario = /^server-(.+)-\d{4}-\d\d-\d\dT[\dZ-]+$/.exec(entry)?.[1];
		const file = join(dir, entry, "checks.json");
		// A scenario that broke leaves an empty directory.
		if (scenario && existsSync(file))
			results.set(scenario, JSON.parse(readFileSync(file, "utf8")));
	}
	return results;
}

// { code, output, results: Map of scenario to checks [{ id, status, errorMessage }] }
async function runTool(build, { url, tmp }, args) {
	const dir = mkdtempSync(join(tmp, "conformance-"));
	const limits = build === "latest" ? ["--timeout", String(SCENARIO_MS)] : [];
	const ran = await runProgram(process.execPath, [BUILDS[build], "server", "--url", url, ...args, ...limits,
		"--expected-failures", join(here, "baseline.yml"), "-o", dir], { ms: TOOL_MS });
	return { code: ran.code, output: ran.stdout + ran.stderr, results: readResults(dir) };
}

// What is wrong with a scenario's checks, or undefined.
function verdict(checks) {
	if (!checks)
		return "did not run";
	const wrong = checks.filter(isWrong);
	if (wrong.length > 0)
		return wrong.map((check) => `${check.id}: ${check.errorMessage}`).join("\n    ");
	if (!checks.some((check) => check.status === "SUCCESS"))
		return "no check succeeded";
}

// The same for a scenario that cannot pass.
function crossVerdict(checks, { check, message }) {
	const wrong = (checks ?? []).filter(isWrong);
	if (wrong.length === 0)
		return "passes, but is in the table of what is impossible";
	const others = wrong.filter(({ id, errorMessage }) => id !== check || errorMessage !== message);
	if (others.length > 0)
		return verdict(others);
}

const summary = (checks) => `${checks.filter(({ status }) => status === "SUCCESS").length} checks`;

function tell(report, group, required, ran, impossible = {}) {
	for (const scenario of required) {
		const name = `${group} ${scenario}`;
		const checks = ran.results.get(scenario);
		const skipped = scenario === COMPLETE && checks?.find(({ status }) => status === "SKIPPED");
		const wrong = skipped ? `${skipped.id}: skipped` : impossible[scenario] ? crossVerdict(checks, impossible[scenario])
			: verdict(checks);
		if (wrong)
			report.fail(name, wrong);
		else
			report.pass(name, impossible[scenario] ? "impossible" : summary(checks));
	}
	if (ran.results.size === 0)
		report.fail(`${group} run`, `ended with ${ran.code}\n${ran.output.slice(-2000)}`);
}

function taskScenarios(ran) {
	const scenarios = [...ran.results.keys()]
		.filter((scenario) => scenario.startsWith("tasks-") && scenario !== TASKS_SKIPPED);
	assert.equal(scenarios.length, TASKS_COUNT, "scenarios about tasks");
	return scenarios;
}

// The list of a revision, and what we want beyond it. Options: tasks (their
// scenarios too), crosses (the backend is of the other era), without (scenarios
// beyond the list that it has nothing for).
export const revisionRun = (revision, { tasks, crosses, without = [] } = {}) => async (at, report, group) => {
	const listed = requiredScenarios(revision);
	const ran = await runTool("latest", at, ["--requirements", revision]);
	const good = listed.every((scenario) => !verdict(ran.results.get(scenario)));
	if (good !== (ran.code === 0))
		report.fail(`${group} exit code`, `${ran.code}, but the results say otherwise`);
	const also = ALSO[revision].filter((scenario) => !without.includes(scenario));
	tell(report, group, [...listed, ...also, ...tasks ? taskScenarios(ran) : []], ran,
		crosses && IMPOSSIBLE[revision]);
};

// A server that fails in just the scenarios that are named.
export const failingRun = (revision, scenarios) => async (at, report, group) => {
	const ran = await runTool("latest", at, ["--requirements", revision]);
	const failed = [...requiredScenarios(revision), ...ALSO[revision]]
		.filter((scenario) => verdict(ran.results.get(scenario)));
	assert.deepEqual(failed.sort(), [...scenarios].sort(), "scenarios that fail");
	report.pass(`${group} habits`, `${failed.length} scenarios fail, as with the reference server`);
};

export const scenarioRun = (scenario, revision) => async (at, report, group) =>
	tell(report, group, [scenario], await runTool("latest", at,
		["--scenario", scenario, "--spec-version", revision]));

// Everything that a build of the tool has for a revision.
const suiteRun = (build, args, least) => async (at, report, group) => {
	const ran = await runTool(build, at, ["--suite", "all", ...args]);
	tell(report, group, [...ran.results.keys()].filter((scenario) => scenario !== WARNS_ONLY), ran);
	if (ran.results.size < least)
		report.fail(`${group} run`, `only ${ran.results.size} scenarios, ended with ${ran.code}`);
};

export const stableRun = suiteRun("stable", [], STABLE_COUNT);
export const suiteOf = (revision) =>
	suiteRun("latest", ["--spec-version", revision], SUITE_COUNT[revision]);
