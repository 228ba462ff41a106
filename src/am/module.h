/*
 * module.h
 *	  What the access method does when the library is loaded.
 */
#ifndef OMENDB_MODULE_H
#define OMENDB_MODULE_H

/* Define the settings hnsw.* and the index options. */
extern void hnsw_init_module(void);

#endif /* OMENDB_MODULE_H */
