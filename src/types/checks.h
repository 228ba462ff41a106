/*
 * checks.h
 *	  The checks and small parsers that all vector types share, so that the same
 *	  mistake gives the same SQLSTATE whatever the type.
 *
 * Where pgvector has a message for the same mistake, its text is part of the
 * interface: programs match on it (test/compat/messages.tsv).
 *
 * "type" is the type's SQL name, for messages. Functions that take an escontext
 * report softly through it (PostgreSQL 16 on) and then return false.
 */
#ifndef OMENDB_CHECKS_H
#define OMENDB_CHECKS_H

#include "compat.h"

#include "utils/array.h"

/* 1 <= dim <= max_dim? 22000 below, 54000 above. */
extern bool omendb_check_dim(int64 dim, int max_dim, const char *type, Node *escontext);

/* Does dim match the column's type modifier (-1: none)? 22000. */
extern bool omendb_check_typmod(int32 typmod, int dim, Node *escontext);

/* Are two operands of the same length? 22000. */
extern void omendb_dims_differ(int a, int b, const char *type);

static inline void
omendb_check_same_dim(int a, int b, const char *type)
{
	if (unlikely(a != b))
		omendb_dims_differ(a, b, type);
}

/* The same of bit strings. */
extern void omendb_bits_differ(int a, int b);

static inline void
omendb_check_same_bits(int a, int b)
{
	if (unlikely(a != b))
		omendb_bits_differ(a, b);
}

/* Are the unused bits of a binary form 0? 22000. */
extern void omendb_check_unused(int unused);

/* Neither NaN nor infinite? 22000. */
extern bool omendb_check_finite(float value, const char *type, Node *escontext);

/* 22003: a number, as text, that the element type cannot hold. False. */
extern bool omendb_out_of_range(const char *number, const char *type, Node *escontext);

/* typmod_in of every type: one integer from 1 to max_dim. 22023. */
extern int32 omendb_typmod_in(ArrayType *modifiers, int max_dim, const char *type);

/*
 * Elements of a one-dimensional array of int4, float4, float8 or numeric as
 * floats, allocated; *n is their count. 22000 for more dimensions, 22004 for
 * NULL elements, 22003 for what float cannot hold.
 */
extern float *omendb_array_to_floats(ArrayType *array, int *n, const char *type);

/*
 * A float at *text, advanced past it and the white space around it. "start" is
 * the beginning of the whole text, for error positions; "form" shows the
 * expected text form. What is not below the limit is 22003. A number too small for float
 * becomes 0 unless stays_nonzero: then it is 22003. 22P02, 22003, 22000.
 */
extern bool omendb_parse_float(const char **text, const char *start, const char *type,
							   const char *form, float limit, bool stays_nonzero, float *value,
							   Node *escontext);

/* 22P02 at that place of the text: "Expected <what> at character <n>." */
extern bool omendb_syntax_error(const char *start, const char *place, const char *type,
								const char *form, const char *expected, Node *escontext);

/* Past white space: that of SQL, whatever the locale. */
static inline const char *
omendb_skip_space(const char *text)
{
	while (*text == ' ' || (*text >= '\t' && *text <= '\r'))
		text++;
	return text;
}

#endif /* OMENDB_CHECKS_H */
