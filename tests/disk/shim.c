/* A disk that fails: preloaded (LD_PRELOAD), for files below $TFAV_DISK_ROOT alone.

   $TFAV_DISK_MODE: full (ENOSPC), readonly (EROFS), gone (EIO, also of reading and renaming), slow (each write waits).
   $TFAV_DISK_AFTER: bytes that can be written before full and gone begin. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static long written; /* below the root, by this process */

#define NEXT(name) (__typeof__(&name)) dlsym(RTLD_NEXT, #name)

static const char *mode(void) {
  const char *found = getenv("TFAV_DISK_MODE");
  return found ? found : "";
}
static int is_mode(const char *name) { return strcmp(mode(), name) == 0; }

static int below(const char *path) {
  const char *root = getenv("TFAV_DISK_ROOT");
  return root && *root && path && strncmp(path, root, strlen(root)) == 0;
}
static int below_fd(int fd) {
  char name[64], path[4096];
  snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
  ssize_t size = readlink(name, path, sizeof path - 1);
  if (size < 0) return 0;
  path[size] = 0;
  return below(path);
}
/* TensorFlow is given /proc/self/fd/N/NAME, see folders.plain. */
static int below_any(const char *path) {
  char real[4096];
  int fd;
  if (below(path)) return 1;
  if (path && sscanf(path, "/proc/self/fd/%d", &fd) == 1) return below_fd(fd);
  if (path && path[0] != '/' && getcwd(real, sizeof real)) return below(real);
  return 0;
}
static int is_over(size_t more) {
  const char *after = getenv("TFAV_DISK_AFTER");
  return written + (long)more > (after ? atol(after) : 0);
}
/* The error of writing so many bytes; 0: none. */
static int failure(size_t size) {
  if (is_mode("readonly")) return EROFS;
  if (is_mode("slow")) usleep(2000);
  if ((is_mode("full") || is_mode("gone")) && is_over(size)) return is_mode("full") ? ENOSPC : EIO;
  written += size;
  return 0;
}
static int opening(const char *path, int writes) {
  if (!below_any(path)) return 0;
  if (writes && is_mode("readonly")) return EROFS;
  if (is_mode("gone") && is_over(1)) return EIO;
  return 0;
}

#define OPEN(name, ...)                                                                     \
  int writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT), why = opening(path, writes); \
  if (why) { errno = why; return -1; }                                                      \
  va_list more; va_start(more, flags); int bits = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(more, int) : 0; va_end(more); \
  return (NEXT(name))(__VA_ARGS__, bits)
int open(const char *path, int flags, ...) { OPEN(open, path, flags); }
int open64(const char *path, int flags, ...) { OPEN(open64, path, flags); }
int openat(int at, const char *path, int flags, ...) { OPEN(openat, at, path, flags); }
int openat64(int at, const char *path, int flags, ...) { OPEN(openat64, at, path, flags); }

#define FOPEN(name)                                                             \
  int why = opening(path, strpbrk(how, "wa+") != NULL);                         \
  if (why) { errno = why; return NULL; }                                        \
  return (NEXT(name))(path, how)
FILE *fopen(const char *path, const char *how) { FOPEN(fopen); }
FILE *fopen64(const char *path, const char *how) { FOPEN(fopen64); }

#define WRITE(size, call)                                      \
  if (below_fd(fd)) { int why = failure(size); if (why) { errno = why; return -1; } } \
  return call
ssize_t write(int fd, const void *from, size_t size) { WRITE(size, (NEXT(write))(fd, from, size)); }
ssize_t pwrite(int fd, const void *from, size_t size, off_t at) { WRITE(size, (NEXT(pwrite))(fd, from, size, at)); }
ssize_t pwrite64(int fd, const void *from, size_t size, off64_t at) { WRITE(size, (NEXT(pwrite64))(fd, from, size, at)); }
ssize_t writev(int fd, const struct iovec *parts, int count) {
  size_t size = 0;
  for (int i = 0; i < count; i++) size += parts[i].iov_len;
  WRITE(size, (NEXT(writev))(fd, parts, count));
}
size_t fwrite(const void *from, size_t size, size_t count, FILE *file) {
  if (below_fd(fileno(file))) {
    int why = failure(size * count);
    if (why) { errno = why; return 0; }
  }
  return (NEXT(fwrite))(from, size, count, file);
}

#define CHANGE(path, call)                                                                     \
  if (below_any(path)) {                                                                       \
    if (is_mode("readonly")) { errno = EROFS; return -1; }                                     \
    if (is_mode("gone") && is_over(1)) { errno = EIO; return -1; }                             \
  }                                                                                            \
  return call
int mkdir(const char *path, mode_t bits) { CHANGE(path, (NEXT(mkdir))(path, bits)); }
int rename(const char *from, const char *to) { CHANGE(to, (NEXT(rename))(from, to)); }
int unlink(const char *path) { CHANGE(path, (NEXT(unlink))(path)); }
int rmdir(const char *path) { CHANGE(path, (NEXT(rmdir))(path)); }
