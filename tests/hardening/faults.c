/* Preloaded by test_faulty_disk.py: the n-th call that touches a file below a folder fails, or each from there on.
   Not among them: locks by fcntl, which only SQLite takes; it tries one that fails again for ten seconds. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum { NAMES = 1, WRITES = 2, SYNCS = 4, LOCKS = 8, REMOVES = 16 };

#define REAL(name, type, ...) \
  static type (*real)(__VA_ARGS__); \
  if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static char root[4096];
static volatile long left_over, hits;
static volatile int armed, fault, lasting, kinds;
static char last[256];

/* Fail with `error` (0: write one byte only) the call number `n` of the kinds in `mask`. */
void faults_arm(const char *folder, long n, int error, int from_there_on, int mask) {
  strncpy(root, folder, sizeof root - 1);
  left_over = n, hits = 0, fault = error, lasting = from_there_on, kinds = mask, last[0] = 0;
  armed = 1;
}

/* How many calls failed since `faults_arm`; none fails any more. */
long faults_disarm(void) { armed = 0; return hits; }

static volatile long jump;

/* What the clock on the wall says from now on, in seconds since 1970; 0: the truth. */
void faults_clock(long seconds) { jump = seconds; }

int clock_gettime(clockid_t clock, struct timespec *now) {
  REAL("clock_gettime", int, clockid_t, struct timespec *);
  int done = real(clock, now);
  if (jump && clock == CLOCK_REALTIME) now->tv_sec = jump;
  return done;
}

/* What failed first. */
const char *faults_last(void) { return last; }

static int hit(int kind, const char *call, const char *path) {
  if (!armed || !(kind & kinds) || !path || strncmp(path, root, strlen(root))) return 0;
  long at = __sync_fetch_and_sub(&left_over, 1);
  if (at > 0 || (at < 0 && !lasting)) return 0;
  if (__sync_fetch_and_add(&hits, 1) == 0) snprintf(last, sizeof last, "%s %s", call, path + strlen(root));
  if (fault) errno = fault;
  return 1;
}

static int hit_fd(int kind, const char *call, int fd) {
  char link[64], path[4096];
  if (!armed || !(kind & kinds)) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t size = readlink(link, path, sizeof path - 1);
  if (size < 0) return 0;
  path[size] = 0;
  return hit(kind, call, path);
}

#define ON_NAME(name, kind, parameters, arguments, path, ...) \
  int name parameters { REAL(#name, int, __VA_ARGS__); return hit(kind, #name, path) ? -1 : real arguments; }
#define ON_FD(name, kind, parameters, arguments, ...) \
  int name parameters { REAL(#name, int, __VA_ARGS__); return hit_fd(kind, #name, fd) ? -1 : real arguments; }
#define OPEN(name) \
  int name(const char *path, int flags, ...) { \
    REAL(#name, int, const char *, int, ...); \
    va_list more; va_start(more, flags); mode_t mode = va_arg(more, mode_t); va_end(more); \
    return hit(NAMES, #name, path) ? -1 : real(path, flags, mode); }
#define OPENAT(name) \
  int name(int fd, const char *path, int flags, ...) { \
    REAL(#name, int, int, const char *, int, ...); \
    va_list more; va_start(more, flags); mode_t mode = va_arg(more, mode_t); va_end(more); \
    return hit(NAMES, #name, path) ? -1 : real(fd, path, flags, mode); }

OPEN(open) OPEN(open64) OPENAT(openat) OPENAT(openat64)
ON_NAME(mkdir, NAMES, (const char *path, mode_t mode), (path, mode), path, const char *, mode_t)
ON_NAME(unlink, REMOVES, (const char *path), (path), path, const char *)
ON_NAME(rename, NAMES, (const char *path, const char *to), (path, to), path, const char *, const char *)
ON_NAME(link, NAMES, (const char *path, const char *to), (path, to), path, const char *, const char *)
ON_NAME(utimensat, NAMES, (int fd, const char *path, const struct timespec t[2], int flags), (fd, path, t, flags), path,
        int, const char *, const struct timespec *, int)
ON_FD(fsync, SYNCS, (int fd), (fd), int)
ON_FD(fdatasync, SYNCS, (int fd), (fd), int)
ON_FD(flock, LOCKS, (int fd, int operation), (fd, operation), int, int)
ON_FD(ftruncate, WRITES, (int fd, off_t size), (fd, size), int, off_t)
ON_FD(ftruncate64, WRITES, (int fd, off64_t size), (fd, size), int, off64_t)

#define WRITE(name, extra, ...) \
  ssize_t name(int fd, const void *data, size_t size __VA_ARGS__) { \
    REAL(#name, ssize_t, int, const void *, size_t __VA_ARGS__); \
    if (!size || !hit_fd(WRITES, #name, fd)) return real(fd, data, size extra); \
    return fault ? -1 : real(fd, data, 1 extra); }
#define COMMA ,
WRITE(write, )
WRITE(pwrite, COMMA at, COMMA off_t at)
WRITE(pwrite64, COMMA at, COMMA off64_t at)
