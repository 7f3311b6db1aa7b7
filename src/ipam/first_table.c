/*
 * Computes the 607 start values of Go's math/rand while we are built and prints them as a C table for
 * ipam/first.c.
 *
 * The generator is an additive lagged Fibonacci sequence modulo 2^64, y[n] = y[n-607] + y[n-273], and its
 * published start values are the state after 7.8e12 steps from a small linear congruential seed. Nobody has
 * to take those steps: y[N] is a linear combination of the first 607 values whose coefficients are x^N modulo
 * x^607 - x^334 - 1, and that power takes 43 squarings of a polynomial.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define LEN   607
#define TAP   273
#define STEPS 7800000000000u

/* Park and Miller's generator with the multiplier 48271. */
static uint32_t lcg(uint32_t x)
{
	return (uint32_t)((uint64_t)x * 48271 % 2147483647);
}

static void reduce(uint64_t wide[static 2 * LEN], uint64_t ret[static LEN])
{
	for (int d = 2 * LEN - 1; d >= LEN; d--) {
		wide[d - LEN] += wide[d];
		wide[d - TAP] += wide[d];
	}
	memcpy(ret, wide, LEN * sizeof(ret[0]));
}

static void square(uint64_t p[static LEN])
{
	uint64_t wide[2 * LEN] = { 0 };

	for (int i = 0; i < LEN; i++)
		for (int j = 0; j < LEN; j++)
			wide[i + j] += p[i] * p[j];
	reduce(wide, p);
}

static void times_x(uint64_t p[static LEN])
{
	uint64_t wide[2 * LEN] = { 0 };

	memcpy(wide + 1, p, LEN * sizeof(p[0]));
	reduce(wide, p);
}

/* The array slot that the value at place m of the sequence is kept in (feed starts at 334 and moves down). */
static int slot(uint64_t m)
{
	return (int)((LEN - TAP - 1 + LEN - m % LEN) % LEN);
}

/* Fills the first 607 values in the order of the sequence. */
static void start(uint64_t y[static 2 * LEN])
{
	uint64_t vec[LEN];
	uint32_t x = 1;

	for (int i = 0; i < 20; i++)
		x = lcg(x);
	for (int i = 0; i < LEN; i++) {
		uint32_t a = lcg(x), b = lcg(a);
		x = lcg(b);
		vec[i] = (uint64_t)a << 20 ^ (uint64_t)b << 10 ^ x;
	}
	for (int j = 0; j < LEN; j++)
		y[j] = vec[slot((uint64_t)j)];
	for (int j = LEN; j < 2 * LEN; j++)
		y[j] = y[j - LEN] + y[j - TAP];
}

int main(void)
{
	uint64_t power[LEN] = { 1 }, y[2 * LEN], vec[LEN];

	for (int bit = 63; bit >= 0; bit--) {
		square(power);
		if (STEPS >> bit & 1)
			times_x(power);
	}
	start(y);
	for (uint64_t i = 0; i < LEN; i++) {
		uint64_t sum = 0;
		for (int k = 0; k < LEN; k++)
			sum += power[k] * y[(uint64_t)k + i];
		vec[slot(STEPS + i)] = sum;
	}
	printf("/* Made by ipam/first_table.c. */\nstatic const uint64_t first_table[%d] = {\n", LEN);
	for (int i = 0; i < LEN; i++)
		printf("\t0x%016" PRIx64 ",\n", vec[i]);
	printf("};\n");
	return 0;
}
