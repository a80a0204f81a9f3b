// What both load drivers measure: times in a histogram, and the CPU time of this process and of the server.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { BUCKETS = 1024 };

static struct {
  uint64_t answers, bytes, refused, missed, slowest;
  uint64_t buckets[BUCKETS];
} seen;

static void fail(const char *what) {
  fprintf(stderr, "driver: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
  exit(1);
}

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double own_cpu_ms(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

// utime + stime of /proc/PID/stat, all threads. The name in parentheses may contain blanks, so the fields after it count.
static double server_cpu_ms(int pid) {
  char path[64], text[1024];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  int fd = open(path, O_RDONLY);
  if (fd < 0) return 0;
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  if (n <= 0) return 0;
  text[n] = 0;
  unsigned long user = 0, kernel = 0;
  char *after = strrchr(text, ')');
  if (!after || sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel) != 2) return 0;
  return (double)(user + kernel) * 1000.0 / (double)sysconf(_SC_CLK_TCK);
}

// Buckets of 3 % width, in tenths of a microsecond.
static unsigned bucket_of(uint64_t ns) {
  uint64_t v = ns / 100;
  if (v < 64) return (unsigned)v;
  unsigned e = 58u - (unsigned)__builtin_clzll(v);
  unsigned bucket = (e << 5) + (unsigned)(v >> e);
  return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

static double bucket_us(unsigned bucket) {
  if (bucket < 64) return bucket / 10.0;
  unsigned e = (bucket >> 5) - 1;
  return (double)((uint64_t)((bucket & 31) + 32) << e) / 10.0;
}

static double quantile_us(double q) {
  uint64_t rank = (uint64_t)(q * (double)seen.answers), sum = 0;
  for (unsigned b = 0; b < BUCKETS; b++)
    if ((sum += seen.buckets[b]) > rank) return bucket_us(b);
  return 0;
}

// Counts an answer that took this long.
static void count_answer(uint64_t took) {
  seen.answers++;
  seen.buckets[bucket_of(took)]++;
  if (took > seen.slowest) seen.slowest = took;
}

static uint32_t u32(const unsigned char **at) {
  uint32_t value;
  memcpy(&value, *at, 4);
  *at += 4;
  return value;
}
