/*
 * module.h
 *	  What the custom scan does when the library is loaded.
 */
#ifndef OMENDB_PLAN_MODULE_H
#define OMENDB_PLAN_MODULE_H

/* Define its settings, register the node, take part in planning. */
extern void hnsw_init_plan_module(void);

#endif /* OMENDB_PLAN_MODULE_H */
