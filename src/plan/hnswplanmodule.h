/*
 * module.h
 *	  What the custom scan does when the library is loaded.
 */
#ifndef OMENDB_PLAN_MODULE_H
#define OMENDB_PLAN_MODULE_H

/* Register the node, take part in planning. */
extern void hnsw_init_plan_module(void);

/* Define its settings: as the access method's, when an index is used for the first time. */
extern void hnsw_define_plan_settings(void);

#endif /* OMENDB_PLAN_MODULE_H */
