/* Nearness is the number of letters to change, add, drop or swap (optimal string alignment). */
#include "ctl/near.h"

#include <ctype.h>
#include <strings.h>

#define WORD_MAX 32

static int lower(char c)
{
	return tolower((unsigned char)c);
}

static size_t least(size_t a, size_t b, size_t c)
{
	return MIN(MIN(a, b), c);
}

static size_t distance(const char *a, const char *b)
{
	size_t d[WORD_MAX + 1][WORD_MAX + 1], n = strlen(a), m = strlen(b);

	if (n > WORD_MAX || m > WORD_MAX)
		return WORD_MAX;
	for (size_t i = 0; i <= n; i++)
		d[i][0] = i;
	for (size_t j = 0; j <= m; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= n; i++) {
		for (size_t j = 1; j <= m; j++) {
			size_t differ = lower(a[i - 1]) != lower(b[j - 1]);
			d[i][j] = least(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + differ);
			if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
			    lower(a[i - 2]) == lower(b[j - 1]))
				d[i][j] = MIN(d[i][j], d[i - 2][j - 2] + 1);
		}
	}
	return d[n][m];
}

/* A word that begins with what was typed is near too: "addr" for "address". */
static bool begins(const char *word, const char *start)
{
	return strlen(start) >= 3 && strncasecmp(word, start, strlen(start)) == 0;
}

const char *near_find(const char *word, const char *const *words)
{
	const char *best = NULL;
	size_t limit = strlen(word) < 4 ? 1 : strlen(word) < 8 ? 2 : 3, least_far = limit + 1;

	for (; *words; words++) {
		size_t far = begins(*words, word) ? 1 : distance(word, *words);
		if (far < least_far && far < strlen(*words)) {
			least_far = far;
			best = *words;
		}
	}
	return best;
}

void near_explain(struct str *s, const char *word, const char *const *words, const char *allowed_are)
{
	const char *meant = near_find(word, words);

	if (meant)
		str_addf(s, "did you mean '%s'? ", meant);
	str_add(s, allowed_are);
	if (!*words)
		str_add(s, " none");
	for (size_t i = 0; words[i]; i++) {
		/* A lab may have hundreds of names; the first ones show how they look. */
		if (i == 20) {
			str_add(s, ", ...");
			return;
		}
		str_addf(s, "%s%s", i ? ", " : " ", words[i]);
	}
}
