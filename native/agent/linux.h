/* The few parts of the kernel's interface that older C libraries do not declare. */
#ifndef HOLDFAST_LINUX_H
#define HOLDFAST_LINUX_H

#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_openat2
#define SYS_openat2 437
#endif

#define OPEN_NO_MAGIC_LINKS 0x02
#define OPEN_BENEATH 0x08

struct open_how_v1 {
  uint64_t flags;
  uint64_t mode;
  uint64_t resolve;
};

static inline int openat2_v1(int directory, const char *path, uint64_t flags, uint64_t resolve) {
  struct open_how_v1 how = {flags, 0, resolve};
  return (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
}

/* Where the call is missing or filtered, one by one up to what a process usually may have. */
static inline void close_from(unsigned first) {
  if (syscall(SYS_close_range, first, ~0U, 0) == 0) return;
  for (unsigned fd = first; fd < 65536; fd++) close((int)fd);
}

#endif
