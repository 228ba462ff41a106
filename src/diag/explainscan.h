/*
 * explainscan.h
 *	  What diag/ does when the library is loaded.
 */
#ifndef OMENDB_EXPLAINSCAN_H
#define OMENDB_EXPLAINSCAN_H

/* Add to EXPLAIN (ANALYZE) what index scans did, where the server has a hook for it. */
extern void omendb_explain_init_module(void);

#endif /* OMENDB_EXPLAINSCAN_H */
