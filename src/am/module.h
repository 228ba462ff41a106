/*
 * module.h
 *	  Set-up of the access method when the library is loaded, and when a session first uses an
 *	  index.
 */
#ifndef OMENDB_MODULE_H
#define OMENDB_MODULE_H

/*
 * Define the index options. define_settings is called once in a session, before its first use
 * of an index.
 */
extern void hnsw_init_module(void (*define_settings)(void));
extern void ivfflat_init_module(void);

/* Define the access method's settings hnsw.*, and those of its other name, ivfflat.*. */
extern void hnsw_define_settings(void);
extern void ivfflat_define_settings(void);

/*
 * Flags of all these settings. A parallel worker gets the leader's values as placeholders, and
 * assigns them when it first uses an index, in parallel mode.
 */
#define HNSW_SETTING_FLAGS GUC_ALLOW_IN_PARALLEL

#endif /* OMENDB_MODULE_H */
