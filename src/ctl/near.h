/*
 * ctl/near: "did you mean ...?". The word of a list that a misspelt one was probably meant to be.
 */
#pragma once
#include "base/str.h"

#include <stdbool.h>

/* NULL if none is near. words is NULL-ended. */
const char *near_find(const char *word, const char *const *words);
/* "did you mean 'address'? allowed are a, b, c", or without the first half if nothing is near. */
void near_explain(struct str *s, const char *word, const char *const *words, const char *allowed_are);
