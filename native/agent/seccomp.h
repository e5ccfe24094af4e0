#ifndef HOLDFAST_SECCOMP_H
#define HOLDFAST_SECCOMP_H

/* A descriptor with the compiled filter, as `bwrap --seccomp` wants it; -1 with errno. */
int seccomp_filter(void);

#endif
