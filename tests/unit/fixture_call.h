/*
 * fixture_call - backends of both eras with everything that can be asked for,
 * and one call to them.
 */
#ifndef TESTS_UNIT_FIXTURE_CALL_H
#define TESTS_UNIT_FIXTURE_CALL_H

#include "lib/version.h"
#include "proxy/call.h"
#include "tests/unit/fixture_proxy.h"

/* The way from a client to them; made by fixture_call_begin(). */
struct fixture_way {
	struct fixture_setup setups[4]; /* "new", "old", "flat", "dead" */
	struct settings settings;
	struct snapshot *snap;
	struct proxy proxy;
	struct call call;
	struct fixture_client client;
	struct fixture_server *servers[2]; /* of "new" and "old" */
};

extern struct fixture_way way;

void fixture_call_begin(void);
void fixture_call_end(void);

/* Make the snapshot anew, when setups or settings have changed. */
void fixture_call_build(void);

/* Start way.call for a message with id "c1"; its own id is 41. */
void fixture_call_start(enum view_era era, const char *method, const char *name,
                        const char *params, const char *meta);

/* What is sent for it. */
#define K       "io.modelcontextprotocol/"
#define GATEWAY "{\"name\":\"oci-mcp-gateway\",\"version\":\"" VERSION "\"}"
#define TO_MODERN(info, capabilities, more)                                    \
	"\"_meta\":{\"" K "protocolVersion\":\"2026-07-28\",\"" K              \
	"clientInfo\":" info ",\"" K "clientCapabilities\":" capabilities more \
	"}"
#define SENT(method, params)                                        \
	"{\"jsonrpc\":\"2.0\",\"id\":41,\"method\":\"" method "\"," \
	"\"params\":{" params "}}"
#define TRACE "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
#define NAMED(method, name)                                              \
	"MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: " method "\r\n" \
	"Mcp-Name: " name "\r\n"
#define NAMED_TRACED(method, name) \
	NAMED(method, name) "traceparent: " TRACE "\r\n"

#endif
