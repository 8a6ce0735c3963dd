// Scenarios that cannot pass when client and backend are of different eras,
// whatever a gateway does. Each must fail in exactly this way and no other.

export const IMPOSSIBLE = {
	// 2026-07-28 clients, a backend of 2025-11-25.
	"2026-07-28": {
		"input-required-result-basic-elicitation": {
			check: "sep-2322-elicitation-incomplete",
			message: 'inputRequests missing expected key "user_name"',
			// It wants a key of the test's own choice. Keys are the server's
			// to choose, and a request of the older era has an id and a
			// method, but no name to take for one (2026-07-28, Multi
			// Round-Trip Requests: inputRequests; 2025-11-25, schema:
			// JSONRPCRequest).
		},
		"input-required-result-ignore-extra-params": {
			check: "sep-2322-ignore-unexpected-params",
			message: "Server did not return complete result when valid inputResponses were provided " +
				"alongside extra keys. Servers SHOULD ignore information they do not recognize.",
			// It answers, without a requestState, what was not asked yet. A
			// backend of the older era takes an answer only to a request
			// that it has sent, by its id (2025-11-25, Overview: Responses);
			// so the call is made, and asks.
		},
	},
	// 2025-11-25 clients, a backend of 2026-07-28.
	"2025-11-25": {},
};
