/* Groups of either version, by their directory. The runtime makes them and sets their limits. */
#ifndef HOLDFAST_CGROUP_H
#define HOLDFAST_CGROUP_H

/* Moves this process in. -1 with errno. */
int cgroup_join(const char *directory);
/* Kills what is left in it and removes it. */
void cgroup_remove(const char *directory);

#endif
