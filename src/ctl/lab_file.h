/*
 * ctl/lab_file: lab files (YAML) to labs, and labs to the JSON that the state file keeps (which is read back
 * by the same decoder). Every refusal says FILE:LINE:COLUMN, what was found and what is allowed.
 */
#pragma once
#include "ctl/lab.h"
#include "model/yaml.h"

/* 0 and *ret (lab_done() frees), or -errno. "-" is standard input. */
int lab_read_file(const char *path, struct lab *ret, struct err *e);
/* The only document of y. */
int lab_decode(const struct yaml *y, struct lab *ret, struct err *e);
/* A document from elsewhere than a lab file (the state, a generated or a changed lab): messages say "<field>:
 * ...". */
int lab_decode_json(const json_t *doc, struct lab *ret, struct err *e);
json_t *lab_encode(const struct lab *l); /* new reference */
/* A flat lab of n nodes, node1 .. node<n>, with a pod each: 1 .. LAB_NODES_MAX. */
void lab_generate(size_t n, struct lab *ret);
