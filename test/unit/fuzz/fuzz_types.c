/*
 * fuzz_types.c
 *	  Text and binary form of vector, halfvec and sparsevec, read from arbitrary
 *	  bytes, by libFuzzer. What is read reads back the same in either form.
 *
 * The first byte chooses type and form. In place of the server stands what the
 * functions call of it, as far as they come here (server.c). The rest stays
 * unresolved.
 */
#include "postgres.h"

#include "fmgr.h"
#include "fuzz/server.h"
#include "kernel/half.h"
#include "kernel/kernel.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"

/* ---------------------------------------------------------------- the server */

char *
pnstrdup(const char *text, Size n)
{
	char *copy = palloc(n + 1);

	memcpy(copy, text, n);
	copy[n] = '\0';
	return copy;
}

int
pg_mbstrlen_with_len(const char *text, int n)
{
	int length = 0;

	for (int i = 0; i < n; i++)
		length += (text[i] & 0xc0) != 0x80;
	return length;
}

void
pg_qsort(void *base, size_t n, size_t size, int (*compare)(const void *, const void *))
{
	/* not qsort, which port.h makes this function */
	char *a = base;
	char *swap = palloc(size);

	for (size_t i = 1; i < n; i++)
		for (size_t k = i; k > 0 && compare(a + (k - 1) * size, a + k * size) > 0; k--)
		{
			memcpy(swap, a + k * size, size);
			memcpy(a + k * size, a + (k - 1) * size, size);
			memcpy(a + (k - 1) * size, swap, size);
		}
}

int
pg_ltoa(int32 value, char *text)
{
	return snprintf(text, 12, "%d", value);
}

struct varlena *
pg_detoast_datum(struct varlena *value)
{
	return value;
}

struct varlena *
pg_detoast_datum_packed(struct varlena *value)
{
	return value;
}

void
enlargeStringInfo(StringInfo text, int more)
{
	char *data = palloc(text->len + more + 1);

	memcpy(data, text->data, text->len);
	text->data = data;
	text->maxlen = text->len + more + 1;
}

const char *
pq_getmsgbytes(StringInfo message, int n)
{
	const char *bytes = message->data + message->cursor;

	if (n < 0 || n > message->len - message->cursor)
		longjmp(fuzz_error, 1);
	message->cursor += n;
	return bytes;
}

unsigned int
pq_getmsgint(StringInfo message, int n)
{
	const unsigned char *bytes = (const unsigned char *) pq_getmsgbytes(message, n);
	unsigned int value = 0;

	while (n-- > 0)
		value = value << 8 | *bytes++;
	return value;
}

float4
pq_getmsgfloat4(StringInfo message)
{
	uint32 bits = pq_getmsgint(message, 4);
	float4 value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

void
pq_begintypsend(StringInfo message)
{
	message->data = palloc0(VARHDRSZ);
	message->len = VARHDRSZ;
	message->maxlen = VARHDRSZ;
	message->cursor = 0;
}

void
pq_sendfloat4(StringInfo message, float4 value)
{
	uint32 bits;

	memcpy(&bits, &value, sizeof(bits));
	pq_sendint32(message, bits);
}

bytea *
pq_endtypsend(StringInfo message)
{
	SET_VARSIZE(message->data, message->len);
	return (bytea *) message->data;
}

/* ---------------------------------------------------------------- the kernels */

static void
widen(const OmendbHalf *halves, float *values, size_t n)
{
	for (size_t i = 0; i < n; i++)
		values[i] = omendb_half_to_float(halves[i]);
}

static void
narrow(const float *values, OmendbHalf *halves, size_t n)
{
	for (size_t i = 0; i < n; i++)
		halves[i] = omendb_float_to_half(values[i]);
}

OmendbKernels omendb_kernels = {.half_to_float = widen, .float_to_half = narrow};

/* ---------------------------------------------------------------- the types */

#define TYPE_FUNCTIONS(type)                                 \
	extern Datum omendb_sql_##type##_in(PG_FUNCTION_ARGS);   \
	extern Datum omendb_sql_##type##_out(PG_FUNCTION_ARGS);  \
	extern Datum omendb_sql_##type##_recv(PG_FUNCTION_ARGS); \
	extern Datum omendb_sql_##type##_send(PG_FUNCTION_ARGS)

TYPE_FUNCTIONS(vector);
TYPE_FUNCTIONS(halfvec);
TYPE_FUNCTIONS(sparsevec);

typedef struct Type
{
	PGFunction in;
	PGFunction out;
	PGFunction receive;
	PGFunction send;
} Type;

#define TYPE(type)                                                                 \
	{                                                                              \
		omendb_sql_##type##_in, omendb_sql_##type##_out, omendb_sql_##type##_recv, \
			omendb_sql_##type##_send                                               \
	}

static const Type types[] = {TYPE(vector), TYPE(halfvec), TYPE(sparsevec)};

static Datum
call(PGFunction function, Datum argument)
{
	LOCAL_FCINFO(fcinfo, 3);

	InitFunctionCallInfoData(*fcinfo, NULL, 3, InvalidOid, NULL, NULL);
	fcinfo->args[0] = (NullableDatum){argument, false};
	fcinfo->args[1] = (NullableDatum){ObjectIdGetDatum(InvalidOid), false};
	fcinfo->args[2] = (NullableDatum){Int32GetDatum(-1), false};
	return function(fcinfo);
}

/* All of a message is the value, or the server would refuse it. */
static Datum
receive(const Type *type, const void *bytes, int n)
{
	StringInfoData message = {palloc(n + 1), n, n + 1, 0};
	Datum value;

	memcpy(message.data, bytes, n);
	message.data[n] = '\0';
	value = call(type->receive, PointerGetDatum(&message));
	if (message.cursor != n)
		longjmp(fuzz_error, 1);
	return value;
}

static bool
same(Datum a, Datum b)
{
	const struct varlena *x = (const struct varlena *) DatumGetPointer(a);
	const struct varlena *y = (const struct varlena *) DatumGetPointer(b);

	return VARSIZE(x) == VARSIZE(y) && memcmp(x, y, VARSIZE(x)) == 0;
}

static void
check_value(const Type *type, Datum value)
{
	const bytea *sent = DatumGetByteaPP(call(type->send, value));

	if (!same(value, receive(type, VARDATA(sent), VARSIZE(sent) - VARHDRSZ)) ||
		!same(value, call(type->in, call(type->out, value))))
		abort();
}

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const Type *type;
	volatile bool known = false;

	if (size < 1)
		return 0;
	type = &types[(data[0] & 0x0f) % lengthof(types)];
	if (setjmp(fuzz_error) == 0)
	{
		Datum value;

		if (data[0] & 0x20)
			value = receive(type, data + 1, (int) size - 1);
		else
			value = call(type->in, CStringGetDatum(pnstrdup((const char *) data + 1, size - 1)));
		known = true;
		check_value(type, value);
	}
	else if (known)
		/* What was read once is refused when it is read back. */
		abort();
	fuzz_free_all();
	return 0;
}
