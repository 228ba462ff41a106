/*
 * server.c
 *	  Shared by the programs for libFuzzer.
 *
 * Each piece of memory is one of malloc's, so the sanitizers see its end. All of it is
 * freed after an input, whatever context it came from.
 */
#include "fuzz/server.h"

#include "utils/memutils.h"

jmp_buf fuzz_error;
int fuzz_sqlstate;

/* ---------------------------------------------------------------- memory */

/* Before each piece; 16 bytes, so that the piece is aligned as malloc's. */
typedef struct Piece
{
	struct Piece *next;
	struct Piece *before;
} Piece;

static Piece pieces = {&pieces, &pieces};

/* Told apart from the others, which are all one. */
static int top;

MemoryContext CurrentMemoryContext;
MemoryContext TopMemoryContext = (MemoryContext) &top;

static void *
allocate(Size size, bool zero)
{
	Piece *piece = zero ? calloc(1, sizeof(Piece) + size) : malloc(sizeof(Piece) + size);

	piece->next = pieces.next;
	piece->before = &pieces;
	pieces.next->before = piece;
	pieces.next = piece;
	return piece + 1;
}

void
pfree(void *pointer)
{
	Piece *piece = (Piece *) pointer - 1;

	piece->next->before = piece->before;
	piece->before->next = piece->next;
	free(piece);
}

void
fuzz_free_all(void)
{
	while (pieces.next != &pieces)
		pfree(pieces.next + 1);
}

void *
palloc(Size size)
{
	return allocate(size, false);
}

void *
palloc0(Size size)
{
	return allocate(size, true);
}

void *
repalloc(void *pointer, Size size)
{
	Piece *piece = realloc((Piece *) pointer - 1, sizeof(Piece) + size);

	piece->next->before = piece;
	piece->before->next = piece;
	return piece + 1;
}

void *
repalloc_huge(void *pointer, Size size)
{
	return repalloc(pointer, size);
}

void *
MemoryContextAlloc(MemoryContext context, Size size)
{
	return allocate(size, false);
}

void *
MemoryContextAllocHuge(MemoryContext context, Size size)
{
	return allocate(size, false);
}

void *
MemoryContextAllocExtended(MemoryContext context, Size size, int flags)
{
	return allocate(size, flags & MCXT_ALLOC_ZERO);
}

void *
MemoryContextAllocZero(MemoryContext context, Size size)
{
	return context == TopMemoryContext ? calloc(1, size) : allocate(size, true);
}

MemoryContext
AllocSetContextCreateInternal(MemoryContext parent, const char *name, Size least, Size first,
							  Size most)
{
	return NULL;
}

void
MemoryContextReset(MemoryContext context)
{
}

void
MemoryContextDelete(MemoryContext context)
{
}

/* ---------------------------------------------------------------- errors */

static int raised;

bool
errstart(int level, const char *domain)
{
	raised = level;
	return true;
}

bool
errstart_cold(int level, const char *domain)
{
	return errstart(level, domain);
}

void
errfinish(const char *file, int line, const char *function)
{
	if (raised >= ERROR)
		longjmp(fuzz_error, 1);
}

/* Of PostgreSQL 16 and later. */
extern bool errsave_start(void *context, const char *domain);
extern void errsave_finish(void *context, const char *file, int line, const char *function);

bool
errsave_start(void *context, const char *domain)
{
	return errstart(ERROR, domain);
}

void
errsave_finish(void *context, const char *file, int line, const char *function)
{
	errfinish(file, line, function);
}

int
errcode(int code)
{
	fuzz_sqlstate = code;
	return 0;
}

/* As the server does, look at all that a message shows. */
static int
format_message(const char *format, va_list args)
{
	char text[256];

	return vsnprintf(text, sizeof(text), format, args) < 0;
}

#define MESSAGE_FUNCTION(name)                 \
	int name(const char *format, ...)          \
	{                                          \
		va_list args;                          \
		int result;                            \
                                               \
		va_start(args, format);                \
		result = format_message(format, args); \
		va_end(args);                          \
		return result;                         \
	}

MESSAGE_FUNCTION(errmsg)
MESSAGE_FUNCTION(errmsg_internal)
MESSAGE_FUNCTION(errdetail)
MESSAGE_FUNCTION(errdetail_internal)
MESSAGE_FUNCTION(errhint)
