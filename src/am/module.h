/*
 * module.h
 *	  What the access method does when the library is loaded.
 */
#ifndef OMENDB_MODULE_H
#define OMENDB_MODULE_H

/* Define the settings hnsw.* and the index options. */
extern void hnsw_init_module(void);

/* Take part in planning: distances that only a sort would need are not computed. */
extern void hnsw_init_plans(void);

/* Take part in execution: scans learn what becomes of their rows. */
extern void hnsw_init_executor(void);

#endif /* OMENDB_MODULE_H */
