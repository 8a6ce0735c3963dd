/*
 * program - what both programs do with their command line.
 */
#ifndef MASTER_PROGRAM_H
#define MASTER_PROGRAM_H

#include "master/options.h"

/* The whole of main(). Returns the exit status: 0, 1 (failed), 2 (usage). */
int program_main(const struct program *program, int argc, char **argv);

#endif
