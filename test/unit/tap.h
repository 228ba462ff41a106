/*
 * tap.h
 *	  A minimal Test Anything Protocol printer. Our own, because no test
 *	  framework is packaged for the cross-compiled builds.
 */
#ifndef OMENDB_TEST_TAP_H
#define OMENDB_TEST_TAP_H

#include <stdbool.h>

/* Print one test point: "ok - name" or "not ok - name"; test/unit/run numbers them. */
extern void tap_result(bool pass, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A comment line of the output; after a hundred of them the rest is dropped. */
extern void tap_diag(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Print the plan; the value is for main to return. */
extern int tap_done(void);

#endif /* OMENDB_TEST_TAP_H */
