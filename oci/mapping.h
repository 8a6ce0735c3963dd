/*
 * mapping - carries out the tools that packs describe: "requests" and
 * "answer".
 *
 * Requests run in phases: those that need nothing but arguments at once, those
 * that name "$answer.x" when x has ended. What "when" or a failed optional
 * request leaves out is left out of what depends on it as well.
 */
#ifndef OCI_MAPPING_H
#define OCI_MAPPING_H

#include "oci/tool.h"

#define MAPPING_REQUESTS_MAX 32 /* of one recipe */
#define MAPPING_DEPTH_MAX    16 /* of bodies */

/* Bytes that mapping_step() must find at tool_state(). */
#define MAPPING_STATE_BYTES 2048

/* The step function of every recipe without a "function". A recipe that the
 * check of packs would refuse ends in TOOL_UNKNOWN. */
enum tool_next mapping_step(struct tool_run *run);

#endif
