#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cgroup.h"
#include "journal.h"
#include "linux.h"
#include "own.h"
#include "seccomp.h"
#include "server.h"

#define SECCOMP_FD 4
#define MAX_CGROUPS 8
#define MAX_MOUNTS 8
#define STAGE "/tmp"
#define LOOK_EVERY_S 30

struct options {
  const char *directory;
  uid_t uid; /* 0: stay who we are */
  const char *workspace; /* to be given to `uid` */
  const char *cgroups[MAX_CGROUPS];
  size_t cgroup_count;
  const char *mounts[MAX_MOUNTS][2];
  int sources[MAX_MOUNTS];
  size_t mount_count;
  char **bwrap;
};

struct descriptors {
  int lock, socket, journal, log, seccomp;
};

static _Noreturn void die(const char *format, ...) {
  int error = errno;
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fprintf(stderr, ": %s\n", strerror(error));
  exit(1);
}

static struct options parse(int argc, char **argv) {
  struct options o = {0};
  int i = 0;
  for (; i + 1 < argc && strcmp(argv[i], "--") != 0; i += 2) {
    if (strcmp(argv[i], "--dir") == 0) o.directory = argv[i + 1];
    else if (strcmp(argv[i], "--uid") == 0) o.uid = (uid_t)strtoul(argv[i + 1], NULL, 10);
    else if (strcmp(argv[i], "--own") == 0) o.workspace = argv[i + 1];
    else if (strcmp(argv[i], "--cgroup") == 0 && o.cgroup_count < MAX_CGROUPS) o.cgroups[o.cgroup_count++] = argv[i + 1];
    else if (strcmp(argv[i], "--mount") == 0 && i + 2 < argc && o.mount_count < MAX_MOUNTS) {
      o.mounts[o.mount_count][0] = argv[i + 1];
      o.mounts[o.mount_count++][1] = argv[i + 2];
      i++;
    } else {
      errno = EINVAL;
      die("%s", argv[i]);
    }
  }
  errno = EINVAL;
  if (o.directory == NULL || i + 1 >= argc) die("launch needs --dir and a command");
  if (geteuid() == 0 && o.uid == 0) die("as root, launch needs --uid");
  o.bwrap = argv + i + 1;
  return o;
}

/* ---- what the caller waits for ---- */

static int take_lock(void) {
  int fd = open(LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) die("cannot open the lock");
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno == EWOULDBLOCK) exit(EXIT_ALREADY_RUNNING);
  die("cannot take the lock");
}

static int listen_on_socket(void) {
  /* A relative name: the path of a state directory may be longer than a socket's address can be. */
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SOCKET_NAME};
  unlink(SOCKET_NAME);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 64) != 0)
    die("cannot listen on the control socket");
  return fd;
}

/* When the process started, in clock ticks since boot: together with its pid it names a process for good. */
static unsigned long long start_time(void) {
  char text[1024];
  unsigned long long started = 0;
  int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
  ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  if (fd >= 0) close(fd);
  if (length <= 0) return 0;
  text[length] = 0;
  char *after = strrchr(text, ')');
  if (after != NULL)
    sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &started);
  return started;
}

static void write_pid_file(void) {
  char text[64];
  int length = snprintf(text, sizeof text, "%d %llu\n", (int)getpid(), start_time());
  int fd = open(PID_NAME ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0 || write(fd, text, (size_t)length) != length || rename(PID_NAME ".new", PID_NAME) != 0)
    die("cannot write " PID_NAME);
  close(fd);
}

static struct descriptors prepare(void) {
  struct descriptors d = {0};
  journal_compact(JOURNAL_NAME);
  d.journal = open(JOURNAL_NAME, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  d.log = open(LOG_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
  d.seccomp = seccomp_filter();
  if (d.journal < 0 || d.log < 0 || d.seccomp < 0) die("cannot prepare the sandbox");
  return d;
}

/* ---- bubblewrap ---- */

/* In a mount namespace of its own, so that nothing of it is seen outside. */
static void stage_mounts(struct options *o) {
  if (o->mount_count == 0) return;
  if (unshare(CLONE_NEWNS) != 0) die("cannot make a mount namespace");
  if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) die("cannot make mounts private");
  /* All of them before the stage covers what may be one of them; a descriptor of the old namespace could not be bound. */
  for (size_t i = 0; i < o->mount_count; i++) {
    o->sources[i] = open(o->mounts[i][1], O_PATH | O_CLOEXEC);
    if (o->sources[i] < 0) die("cannot open %s", o->mounts[i][1]);
  }
  if (mount("tmpfs", STAGE, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=64k") != 0) die("cannot mount on " STAGE);
  for (size_t i = 0; i < o->mount_count; i++) {
    char source[40], target[256];
    struct stat st;
    snprintf(source, sizeof source, "/proc/self/fd/%d", o->sources[i]);
    snprintf(target, sizeof target, STAGE "/%s", o->mounts[i][0]);
    bool is_directory = fstat(o->sources[i], &st) == 0 && S_ISDIR(st.st_mode);
    int made = is_directory ? mkdir(target, 0755) : mknod(target, S_IFREG | 0644, 0);
    if (made != 0 || mount(source, target, NULL, MS_BIND, NULL) != 0) die("cannot mount %s", o->mounts[i][1]);
  }
}

static void give_up_root(const struct options *o) {
  if (o->uid != 0) {
    if (setgroups(0, NULL) != 0 || setresgid(o->uid, o->uid, o->uid) != 0 || setresuid(o->uid, o->uid, o->uid) != 0)
      die("cannot become user %u", (unsigned)o->uid);
  }
  if (geteuid() == 0 || getuid() == 0) {
    errno = EPERM;
    die("refusing to start as root");
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) die("cannot give up new privileges");
  struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
}

static void place(int fd, int at) {
  if (dup2(fd, at) < 0) die("cannot pass a descriptor");
}

static _Noreturn void become_bwrap(struct options *o, const struct descriptors *d, pid_t parent) {
  for (size_t i = 0; i < o->cgroup_count; i++)
    if (cgroup_join(o->cgroups[i]) != 0) die("cannot join %s", o->cgroups[i]);
  stage_mounts(o);
  give_up_root(o);
  /* Changing the user clears it, so it comes after; the parent may have gone meanwhile. */
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  if (chdir("/") != 0) die("cannot leave the state directory");
  /* First out of the way of the numbers that they are to get. */
  int high[] = {fcntl(d->socket, F_DUPFD, 20), fcntl(d->seccomp, F_DUPFD, 20), fcntl(d->journal, F_DUPFD, 20)};
  place(high[0], LISTEN_FD);
  place(high[1], SECCOMP_FD);
  place(high[2], JOURNAL_FD);
  close_from(JOURNAL_FD + 1);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  for (int number = 1; number < 32; number++) signal(number, SIG_DFL);
  char *no_environment[] = {NULL};
  execve(o->bwrap[0], o->bwrap, no_environment);
  die("cannot start %s", o->bwrap[0]);
}

/* ---- afterwards ---- */

/* When the session's directory was deleted, nobody can find the sandbox any more. */
static bool is_reachable(void) { return access(SOCKET_NAME, F_OK) == 0 || errno != ENOENT; }

static void wait_for(pid_t bwrap) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGCHLD);
  sigaddset(&signals, SIGTERM);
  struct timespec until_look = {LOOK_EVERY_S, 0};
  while (waitpid(bwrap, NULL, WNOHANG) != bwrap) {
    int number = sigtimedwait(&signals, NULL, &until_look);
    if (number == SIGTERM || (number < 0 && errno == EAGAIN && !is_reachable())) kill(bwrap, SIGKILL);
  }
}

static void detach_from_caller(int log) {
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  place(null, 0);
  place(log, 1);
  place(log, 2);
}

/* Runs until the sandbox has ended. `ready` tells the caller that it may connect. */
static _Noreturn void supervise(struct options *o, int ready) {
  sigset_t blocked;
  sigfillset(&blocked);
  sigprocmask(SIG_BLOCK, &blocked, NULL);
  setsid();
  int lock = take_lock();
  /* The launcher before this one removed its groups while it had the lock; they may have been ours already. */
  for (size_t i = 0; i < o->cgroup_count; i++)
    if (access(o->cgroups[i], F_OK) != 0) exit(EXIT_ALREADY_RUNNING);
  /* Under the lock: nothing of this session runs now. */
  if (o->workspace != NULL && own_tree(o->workspace, o->uid) != 0) die("cannot take over %s", o->workspace);
  struct descriptors d = prepare();
  d.lock = lock;
  d.socket = listen_on_socket();
  write_pid_file();
  detach_from_caller(d.log);
  pid_t self = getpid(), bwrap = fork();
  if (bwrap == 0) become_bwrap(o, &d, self);
  close(d.socket);
  close(d.journal);
  close(d.seccomp);
  if (write(ready, "", 1) == 1) close(ready);
  if (bwrap > 0) wait_for(bwrap);
  /* The pid file goes last but for the lock: while something is left, this process can be found. */
  for (size_t i = 0; i < o->cgroup_count; i++) cgroup_remove(o->cgroups[i]);
  unlink(SOCKET_NAME);
  unlink(PID_NAME);
  exit(0);
}

int launch(int argc, char **argv) {
  struct options o = parse(argc, argv);
  umask(077);
  if (chdir(o.directory) != 0) die("cannot enter %s", o.directory);
  int ready[2];
  if (pipe2(ready, O_CLOEXEC) != 0) die("cannot make a pipe");
  /* Descriptors of the caller's must not live on in a process that outlives it. */
  place(ready[0], 3);
  place(ready[1], 4);
  close_from(5);
  fcntl(3, F_SETFD, FD_CLOEXEC);
  fcntl(4, F_SETFD, FD_CLOEXEC);
  pid_t supervisor = fork();
  if (supervisor < 0) die("cannot fork");
  if (supervisor == 0) {
    close(3);
    supervise(&o, 4);
  }
  close(4);
  char byte;
  if (read(3, &byte, 1) == 1) return 0;
  int status;
  return waitpid(supervisor, &status, 0) == supervisor && WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : 1;
}
