/*
 * ctl/lab_store: the datastore of a lab: its resources, and a Node per node, in Calico's stored form.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"
#include "ctl/lab.h"

/* Makes the store and fills it: the lab's resources, and for what they leave out a BGPConfiguration, a
 * ClusterInformation and the Nodes. done, if not NULL, receives what was written ("IPPool/default-pool ...").
 */
int lab_store_fill(const struct lab *l, struct str *done, struct err *e);
int lab_store_add_node(const struct lab_node *n, struct err *e);
/* Deletes the Node and gives its empty blocks back; 0 also if there is none. */
int lab_store_del_node(const char *name, struct err *e);
