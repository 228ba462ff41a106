/*
 * int8_avx512_template.h
 *	  The int8 kernels of kernel_avx512.c, written once for processors with and
 *	  without VNNI. No include guard: included once for each.
 *
 * The including file defines I8_TARGET, I8_KERNEL(name) and
 * ADD_PRODUCTS(acc, x, y), which adds the products of 32 int16 in pairs to 16
 * int32; they are undone at the end of this file.
 */

I8_TARGET static int32_t
I8_KERNEL(l2sq)(const int8_t *a, const int8_t *b, size_t n)
{
	__m512i sum = _mm512_setzero_si512();

	for (size_t i = 0; i < n; i += 32)
	{
		__m512i d = _mm512_sub_epi16(load_i8(a + i, n - i), load_i8(b + i, n - i));

		sum = ADD_PRODUCTS(sum, d, d);
	}
	return _mm512_reduce_add_epi32(sum);
}

I8_TARGET static int32_t
I8_KERNEL(dot)(const int8_t *a, const int8_t *b, size_t n)
{
	__m512i sum = _mm512_setzero_si512();

	for (size_t i = 0; i < n; i += 32)
		sum = ADD_PRODUCTS(sum, load_i8(a + i, n - i), load_i8(b + i, n - i));
	return _mm512_reduce_add_epi32(sum);
}

I8_TARGET static OmendbCosineInt
I8_KERNEL(cosine)(const int8_t *a, const int8_t *b, size_t n)
{
	__m512i dot = _mm512_setzero_si512();
	__m512i aa = _mm512_setzero_si512();
	__m512i bb = _mm512_setzero_si512();
	OmendbCosineInt result;

	for (size_t i = 0; i < n; i += 32)
	{
		__m512i x = load_i8(a + i, n - i);
		__m512i y = load_i8(b + i, n - i);

		dot = ADD_PRODUCTS(dot, x, y);
		aa = ADD_PRODUCTS(aa, x, x);
		bb = ADD_PRODUCTS(bb, y, y);
	}
	result.dot = _mm512_reduce_add_epi32(dot);
	result.norm2_a = _mm512_reduce_add_epi32(aa);
	result.norm2_b = _mm512_reduce_add_epi32(bb);
	return result;
}

I8_TARGET static int32_t
I8_KERNEL(l1)(const int8_t *a, const int8_t *b, size_t n)
{
	__m512i ones = _mm512_set1_epi16(1);
	__m512i sum = _mm512_setzero_si512();

	for (size_t i = 0; i < n; i += 32)
	{
		__m512i d = _mm512_sub_epi16(load_i8(a + i, n - i), load_i8(b + i, n - i));

		sum = ADD_PRODUCTS(sum, _mm512_abs_epi16(d), ones);
	}
	return _mm512_reduce_add_epi32(sum);
}

#undef I8_TARGET
#undef I8_KERNEL
#undef ADD_PRODUCTS
