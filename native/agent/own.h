#ifndef HOLDFAST_OWN_H
#define HOLDFAST_OWN_H

#include <sys/types.h>

/*
 * Makes a directory and everything in it the property of `uid`, closed to others. Costs one look when it is already, because
 * the top changes hands last. Follows no links: whoever swaps them meanwhile gains nothing. -1 with errno.
 */
int own_tree(const char *path, uid_t uid);

#endif
