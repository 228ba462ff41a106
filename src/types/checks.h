/*
 * checks.h
 *	  Checks and parsers that all vector types share: the same mistake gives the same SQLSTATE for
 *	  every type.
 *
 * If pgvector has a message for a mistake, its text is part of the interface, because programs match
 * on it (test/compat/messages.tsv).
 *
 * type: the SQL name of the type, for messages. Each function raises an error with the SQLSTATE of
 * its comment if the check fails. With an escontext (PostgreSQL 16 and later) the error may be soft;
 * the function then returns false.
 */
#ifndef OMENDB_CHECKS_H
#define OMENDB_CHECKS_H

#include "compat.h"

#include "utils/array.h"

/* Check that dim is 1 to max_dim: 22000 below, 54000 above. */
extern bool omendb_check_dim(int64 dim, int max_dim, const char *type, Node *escontext);

/* Check that dim is the type modifier of the column, if that is not -1: 22000. */
extern bool omendb_check_typmod(int32 typmod, int dim, Node *escontext);

/* Raise the error for operands of different dimensions: 22000. */
extern void omendb_dims_differ(int a, int b, const char *type);

static inline void
omendb_check_same_dim(int a, int b, const char *type)
{
	if (unlikely(a != b))
		omendb_dims_differ(a, b, type);
}

/* The same for bit strings. */
extern void omendb_bits_differ(int a, int b);

static inline void
omendb_check_same_bits(int a, int b)
{
	if (unlikely(a != b))
		omendb_bits_differ(a, b);
}

/* Check that the unused field of a binary form is 0: 22000. */
extern void omendb_check_unused(int unused);

/* Check that the value is neither NaN nor infinite: 22000. */
extern bool omendb_check_finite(float value, const char *type, Node *escontext);

/* Raise the error for a number, as text, that the element type cannot hold: 22003. Returns false. */
extern bool omendb_out_of_range(const char *number, const char *type, Node *escontext);

/* typmod_in of every type: one integer from 1 to max_dim, else 22023. */
extern int32 omendb_typmod_in(ArrayType *modifiers, int max_dim, const char *type);

/*
 * Convert an array of int4, float4, float8 or numeric to floats, palloc'd; *n is their number, which
 * the type and its modifier allow. 22000 for an array of more than one dimension, 22004 for NULL
 * elements, 22003 for numbers out of range of float; for numbers that are not finite none.
 */
extern float *omendb_array_to_floats(ArrayType *array, int32 typmod, int max_dim, int *n,
									 const char *type);

/*
 * Parse a float at *text, and advance *text behind it and the white space around it. start: the
 * beginning of the whole text, for error positions. form: the type's text form, for messages. A
 * magnitude of `limit` or more is 22003. A number too small for float becomes 0, or is 22003 if
 * stays_nonzero. Also 22P02 (no number) and 22000 (NaN, infinity).
 */
extern bool omendb_parse_float(const char **text, const char *start, const char *type,
							   const char *form, float limit, bool stays_nonzero, float *value,
							   Node *escontext);

/* Raise the error "Expected <expected> at character <n>.", 22P02, for a place of the text. */
extern bool omendb_syntax_error(const char *start, const char *place, const char *type,
								const char *form, const char *expected, Node *escontext);

/* Skip the white space of SQL, which does not depend on the locale. */
static inline const char *
omendb_skip_space(const char *text)
{
	while (*text == ' ' || (*text >= '\t' && *text <= '\r'))
		text++;
	return text;
}

#endif /* OMENDB_CHECKS_H */
