/* Killing a whole process tree, also one that forks while it is being killed. */
#ifndef HOLDFAST_SWEEP_H
#define HOLDFAST_SWEEP_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Kills everything below `ancestor`, not itself, and not what is below a process in `spared`. False when nothing was there.
 * One call may miss what is forked meanwhile, so callers repeat it until the ancestor has no children.
 */
bool sweep_descendants(pid_t ancestor, const pid_t *spared, size_t spared_count);

#endif
