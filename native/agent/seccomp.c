/*
 * Which system calls commands may not make: those that build namespaces or mounts, look into other processes, load code
 * into the kernel, or lead to large and seldom used parts of it. Written as classic BPF by hand, because that needs no
 * library: one comparison and one answer for each number.
 */
#include "seccomp.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

struct instruction {
  uint16_t code;
  uint8_t if_true, if_false;
  uint32_t k;
};

/* What the kernel shows to the filter. */
struct call {
  int nr;
  uint32_t arch;
  uint64_t instruction_pointer, args[6];
};

#define LOAD(field) ((struct instruction){0x20, 0, 0, (uint32_t)offsetof(struct call, field)})
#define IF_EQUAL(value, yes, no) ((struct instruction){0x15, yes, no, (uint32_t)(value)})
#define IF_AT_LEAST(value, yes, no) ((struct instruction){0x35, yes, no, (uint32_t)(value)})
#define IF_ANY_BIT(value, yes, no) ((struct instruction){0x45, yes, no, (uint32_t)(value)})
#define MASK(value) ((struct instruction){0x54, 0, 0, (uint32_t)(value)})
#define RETURN(value) ((struct instruction){0x06, 0, 0, (uint32_t)(value)})
#define ALLOW 0x7fff0000u
#define REFUSE(error) (0x00050000u | (error))

#if defined(__x86_64__)
#define ARCHITECTURE 0xc000003eu
#elif defined(__aarch64__)
#define ARCHITECTURE 0xc00000b7u
#else
#error "no system call table for this architecture"
#endif
#define X32_BIT 0x40000000u

/* CLONE_NEWNS, CGROUP, UTS, IPC, USER, PID, NET. CLONE_NEWTIME cannot be asked for by clone. */
#define NAMESPACE_FLAGS 0x7e020000u
#define SOCKET_TYPE 0xfu
#define PUSH_INPUT 0x5412u   /* TIOCSTI */
#define LINUX_CONSOLE 0x541cu /* TIOCLINUX */

/* Numbers above 423 are the same on every architecture. */
static const int refused[] = {
    SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_unshare, SYS_setns,
    428 /* open_tree */, 429 /* move_mount */, 430 /* fsopen */, 431 /* fsconfig */, 432 /* fsmount */,
    433 /* fspick */, 442 /* mount_setattr */, 467 /* open_tree_attr */,
    SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_kcmp, 438 /* pidfd_getfd */,
    440 /* process_madvise */,
    SYS_bpf, SYS_perf_event_open, SYS_userfaultfd,
    425 /* io_uring_setup */, 426 /* io_uring_enter */, 427 /* io_uring_register */,
    SYS_keyctl, SYS_add_key, SYS_request_key,
    SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load,
    SYS_reboot, SYS_swapon, SYS_swapoff, SYS_acct, SYS_quotactl, 443 /* quotactl_fd */, SYS_syslog,
    SYS_sethostname, SYS_setdomainname, SYS_settimeofday, SYS_clock_settime, SYS_adjtimex, SYS_clock_adjtime,
    SYS_name_to_handle_at, SYS_open_by_handle_at, SYS_fanotify_init, SYS_vhangup,
    SYS_migrate_pages, SYS_move_pages,
#if defined(__x86_64__)
    SYS_iopl, SYS_ioperm, SYS_modify_ldt, SYS_kexec_file_load, SYS_uselib, SYS_ustat, SYS__sysctl, SYS_lookup_dcookie,
#else
    294 /* kexec_file_load */,
#endif
};

#define MAX_INSTRUCTIONS 512

struct program {
  struct instruction code[MAX_INSTRUCTIONS];
  size_t length;
};

static void add(struct program *p, struct instruction instruction) {
  if (p->length < MAX_INSTRUCTIONS) p->code[p->length++] = instruction;
}

static void check_architecture(struct program *p) {
  add(p, LOAD(arch));
  add(p, IF_EQUAL(ARCHITECTURE, 1, 0));
  add(p, RETURN(REFUSE(ENOSYS)));
  add(p, LOAD(nr));
#if defined(__x86_64__)
  add(p, IF_AT_LEAST(X32_BIT, 0, 1));
  add(p, RETURN(REFUSE(ENOSYS)));
#endif
}

static void refuse(struct program *p, int number, int error) {
  add(p, IF_EQUAL(number, 0, 1));
  add(p, RETURN(REFUSE(error)));
}

static void check_clone(struct program *p) {
  add(p, IF_EQUAL(SYS_clone, 0, 4));
  add(p, LOAD(args[0]));
  add(p, IF_ANY_BIT(NAMESPACE_FLAGS, 0, 1));
  add(p, RETURN(REFUSE(EPERM)));
  add(p, RETURN(ALLOW));
}

static void check_ioctl(struct program *p) {
  add(p, IF_EQUAL(SYS_ioctl, 0, 5));
  add(p, LOAD(args[1]));
  add(p, IF_EQUAL(PUSH_INPUT, 1, 0));
  add(p, IF_EQUAL(LINUX_CONSOLE, 0, 1));
  add(p, RETURN(REFUSE(EPERM)));
  add(p, RETURN(ALLOW));
}

/* Local sockets and the internet's, but no raw ones; of netlink only the protocol that lists interfaces. */
static void check_socket(struct program *p) {
  add(p, IF_EQUAL(SYS_socket, 0, 14));
  add(p, LOAD(args[0]));
  add(p, IF_EQUAL(AF_UNIX, 6, 0));
  add(p, IF_EQUAL(AF_INET, 5, 0));
  add(p, IF_EQUAL(AF_INET6, 4, 0));
  add(p, IF_EQUAL(AF_NETLINK, 0, 8));
  add(p, LOAD(args[2]));
  add(p, IF_EQUAL(0, 0, 6));
  add(p, RETURN(ALLOW));
  add(p, LOAD(args[1]));
  add(p, MASK(SOCKET_TYPE));
  add(p, IF_EQUAL(SOCK_RAW, 2, 0));
  add(p, IF_EQUAL(10 /* SOCK_PACKET */, 1, 0));
  add(p, RETURN(ALLOW));
  add(p, RETURN(REFUSE(EPERM)));
}

static void build(struct program *p) {
  check_architecture(p);
  /* The C library falls back to clone, whose flags can be looked at. */
  refuse(p, 435 /* clone3 */, ENOSYS);
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) refuse(p, refused[i], EPERM);
  check_clone(p);
  check_ioctl(p);
  check_socket(p);
  add(p, RETURN(ALLOW));
}

int seccomp_filter(void) {
  static struct program program;
  build(&program);
  int fd = memfd_create("seccomp", 0);
  if (fd < 0) return -1;
  size_t size = program.length * sizeof *program.code;
  if (write(fd, program.code, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET) != 0) {
    close(fd);
    return -1;
  }
  return fd;
}
