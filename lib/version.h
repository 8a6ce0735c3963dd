/* version - what the programs call themselves, once. */
#ifndef LIB_VERSION_H
#define LIB_VERSION_H

#define VERSION "1.0.0"

#endif
