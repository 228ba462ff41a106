/*
 * module.h
 *	  What the access method does when the library is loaded, and when an index is
 *	  used for the first time.
 */
#ifndef OMENDB_MODULE_H
#define OMENDB_MODULE_H

/*
 * Define the index options. Before the first use of an index define_settings is
 * called, once in a session.
 */
extern void hnsw_init_module(void (*define_settings)(void));
extern void ivfflat_init_module(void);

/* Define the access method's settings hnsw.*, and those of its other name, ivfflat.*. */
extern void hnsw_define_settings(void);
extern void ivfflat_define_settings(void);

/*
 * Flags of all these settings. A parallel worker has the leader's values before it
 * uses an index, and takes them when it does, which is in parallel mode.
 */
#define HNSW_SETTING_FLAGS GUC_ALLOW_IN_PARALLEL

#endif /* OMENDB_MODULE_H */
