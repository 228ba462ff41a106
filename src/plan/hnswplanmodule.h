/*
 * hnswplanmodule.h
 *	  Set-up of the custom scan when the library is loaded, and when a session first uses an index.
 */
#ifndef OMENDB_HNSWPLANMODULE_H
#define OMENDB_HNSWPLANMODULE_H

/* Register the custom scan node, and install the planner hooks. */
extern void hnsw_init_plan_module(void);

/* Define the settings of the custom scan, when the access method's are defined (am/module.h). */
extern void hnsw_define_plan_settings(void);

#endif /* OMENDB_HNSWPLANMODULE_H */
