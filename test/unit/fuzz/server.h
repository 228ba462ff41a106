/*
 * server.h
 *	  What stands in place of the server in all programs for libFuzzer: memory,
 *	  and errors that jump.
 */
#ifndef OMENDB_FUZZ_SERVER_H
#define OMENDB_FUZZ_SERVER_H

#include "postgres.h"

#include <setjmp.h>

/* Where an error of level ERROR goes. */
extern jmp_buf fuzz_error;

/* The SQLSTATE of the error raised last. */
extern int fuzz_sqlstate;

/* Free all that was allocated, but in TopMemoryContext. */
extern void fuzz_free_all(void);

#endif /* OMENDB_FUZZ_SERVER_H */
