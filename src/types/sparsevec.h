/*
 * sparsevec.h
 *	  The sparsevec type: layout and access.
 */
#ifndef OMENDB_SPARSEVEC_H
#define OMENDB_SPARSEVEC_H

#include "compat.h"

#define SPARSEVEC_MAX_DIM 1000000000
#define SPARSEVEC_MAX_NNZ 16000

/* On disk and in memory: the non-zero elements, by ascending index. */
typedef struct SparseVector
{
	int32 vl_len_;                        /* varlena header (do not touch directly!) */
	int32 dim;                            /* 1 to SPARSEVEC_MAX_DIM */
	int32 nnz;                            /* 0 to SPARSEVEC_MAX_NNZ */
	int32 unused;                         /* 0 */
	int32 indices[FLEXIBLE_ARRAY_MEMBER]; /* nnz, from 0, ascending, distinct */
										  /* float values[nnz] follow: finite, none 0 */
} SparseVector;

StaticAssertDecl(offsetof(SparseVector, indices) == 16, "sparsevec indices start at byte 16");

#define SPARSEVEC_SIZE(nnz) \
	(offsetof(SparseVector, indices) + (sizeof(int32) + sizeof(float)) * (nnz))
#define SPARSEVEC_VALUES(v)      ((float *) ((v)->indices + (v)->nnz))
#define DatumGetSparseVector(d)  ((SparseVector *) PG_DETOAST_DATUM(d))
#define PG_GETARG_SPARSEVEC_P(n) DatumGetSparseVector(PG_GETARG_DATUM(n))

/* Check that nnz is at most SPARSEVEC_MAX_NNZ: 54000. Errors as in checks.h. */
extern bool omendb_check_nnz(int64 nnz, Node *escontext);

/* A new sparsevec of nnz elements, which are not set. The header is. */
static inline SparseVector *
omendb_sparsevec_new(int dim, int nnz)
{
	SparseVector *result = palloc(SPARSEVEC_SIZE(nnz));

	SET_VARSIZE(result, SPARSEVEC_SIZE(nnz));
	result->dim = dim;
	result->nnz = nnz;
	result->unused = 0;
	return result;
}

/* The squared length. */
static inline double
omendb_sparsevec_norm2(const SparseVector *v)
{
	const float *values = SPARSEVEC_VALUES(v);
	double sum = 0;

	for (int i = 0; i < v->nnz; i++)
		sum += (double) values[i] * values[i];
	return sum;
}

#endif /* OMENDB_SPARSEVEC_H */
