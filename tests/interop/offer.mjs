// What a backend of the tests offers: parts of catalogue.mjs, as they are listed.

import { changes, TASKS, UI } from "./catalogue.mjs";

const common = {
	tools: { listChanged: true },
	prompts: { listChanged: true },
	resources: { listChanged: true, subscribe: true },
	completions: {},
	logging: {},
};

export const capabilities = {
	legacy: { ...common, extensions: { [UI]: {} } },
	modern: { ...common, extensions: { [UI]: {}, [TASKS]: {} } },
};

const visible = (offer, kind) => offer[kind].filter((item) => !item.unlisted).map((item, n, items) =>
	n < items.length - 1 ? item
		: { ...item, description: `${item.description} Changed ${changes[kind]} times.` });

// Without what only the server needs to know.
export const listed = {
	tools: (offer) => visible(offer, "tools").map(({ name, description, schema, meta }) => ({
		name, description, inputSchema: schema ?? { type: "object", properties: {} },
		...meta && { _meta: meta },
	})),
	prompts: (offer) => visible(offer, "prompts").map(({ get, ...prompt }) => prompt),
	resources: (offer) => visible(offer, "resources").map(({ text, blob, meta, ...resource }) => resource),
};

export const find = (items, name) => items.find((item) => item.name === name);
