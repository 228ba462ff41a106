/*
 * explainscan.h
 *	  EXPLAIN (ANALYZE) of a plain index scan.
 */
#ifndef OMENDB_EXPLAINSCAN_H
#define OMENDB_EXPLAINSCAN_H

/* Install the hook, if the server has it. Called when the library is loaded. */
extern void omendb_explain_init_module(void);

#endif /* OMENDB_EXPLAINSCAN_H */
