/*
 * agent/crowd: does the kernel's table of neighbours have room for all nodes?
 *
 * On one network every node talks to every other, and each is an entry. The limit (gc_thresh3, 1024 unless
 * somebody raised it) is one for the whole machine; beyond it the kernel refuses new ones, and sessions with
 * some nodes stay down for minutes without saying why. So the agent says it before.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct agent;

#define CROWD_TEXT_MAX 320

struct crowd {
	/* What is the matter and what to do, by family (IPv4, IPv6); "" if nothing. */
	char text[2][CROWD_TEXT_MAX];
};

/* Pure: says in text what is the matter with so many nodes; false and "" if nothing is. limit 0 = unknown. */
bool crowd_judge(uint8_t family, size_t nodes, unsigned long limit, char text[static CROWD_TEXT_MAX]);

void crowd_derive(struct agent *a); /* said in the log once, when it begins */
