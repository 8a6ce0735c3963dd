// Runs the official conformance tool and reads what it found.

import { existsSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { runProgram } from "./processes.mjs";

const here = import.meta.dirname;
const TOOL_MS = 55000;    // a whole run
const SCENARIO_MS = 8000; // one scenario

const BUILDS = {
	latest: join(here, "node_modules/@modelcontextprotocol/conformance/dist/index.js"),
	stable: join(here, "node_modules/conformance-stable/dist/index.js"),
};

// The scenarios of the server side that a revision requires.
export function requiredScenarios(revision) {
	const file = join(here, "node_modules/@modelcontextprotocol/conformance/requirements", `${revision}.yaml`);
	const section = /^server:\n((?:  - .*\n)+)/m.exec(readFileSync(file, "utf8"))[1];
	return section.trim().split("\n").map((line) => line.replace(/^\s*- /, ""));
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
export async function runTool(build, url, args, tmp) {
	const dir = mkdtempSync(join(tmp, "conformance-"));
	const limits = build === "latest" ? ["--timeout", String(SCENARIO_MS)] : [];
	const ran = await runProgram(process.execPath,
		[BUILDS[build], "server", "--url", url, ...args, ...limits, "-o", dir], { ms: TOOL_MS });
	return { code: ran.code, output: ran.stdout + ran.stderr, results: readResults(dir) };
}

// What is wrong with a scenario's checks, or undefined.
export function verdict(checks) {
	if (!checks)
		return "did not run";
	const failed = checks.filter((check) => check.status === "FAILURE");
	if (failed.length > 0)
		return failed.map((check) => `${check.id}: ${check.errorMessage}`).join("\n    ");
	if (!checks.some((check) => check.status === "SUCCESS"))
		return "no check succeeded";
}

export function summary(checks) {
	const count = (status) => checks.filter((check) => check.status === status).length;
	const warned = checks.filter((check) => check.status === "WARNING").map((check) => check.id);
	return `${count("SUCCESS")} checks${warned.length > 0 ? `, warning ${warned.join(" ")}` : ""}`;
}
