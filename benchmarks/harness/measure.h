// What the load drivers share: their process and connections, times in a histogram, the CPU time of this process and of the server.
// driver-run.ts is the same for Node.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BUCKETS = 1024, RECEIVE_BYTES = 256 * 1024, EVENTS = 256 };

static unsigned char received[RECEIVE_BYTES];
static volatile sig_atomic_t stopped;

static struct {
  uint64_t answers, messages, bytes, refused, missed, slowest;
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

static void on_signal(int signal) {
  (void)signal;
  stopped = 1;
}

static void prepare_process(void) {
  signal(SIGTERM, on_signal);
  signal(SIGPIPE, SIG_IGN);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

static const unsigned char *map_file(const char *path) {
  int fd = open(path, O_RDONLY);
  struct stat s;
  if (fd < 0 || fstat(fd, &s) < 0) fail(path);
  const unsigned char *bytes = mmap(0, (size_t)s.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
  if (bytes == MAP_FAILED) fail("mmap");
  return bytes;
}

static int connect_to(const char *host, int port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  if (inet_pton(AF_INET, host, &to.sin_addr) != 1) fail("HOST is not an IPv4 address");
  int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) fail("connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

// From now on the socket does not block, and its events come with `connection`.
static void watch(int epoll, int fd, void *connection) {
  fcntl(fd, F_SETFL, O_NONBLOCK);
  struct epoll_event event = {EPOLLIN | EPOLLOUT | EPOLLET, {.ptr = connection}};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) fail("epoll_ctl");
}

static void tell_primed(void) {
  printf("primed\n");
  fflush(stdout);
}

// Runs a load for the time of the warm-up, measures it for the time of the run, and prints the figures. `run_load` runs it until a
// time or SIGTERM, and returns when it ended.
static void measure(uint64_t (*run_load)(uint64_t end), const char *warm_ms, const char *run_ms, int pid) {
  run_load(now_ns() + strtoull(warm_ms, 0, 10) * 1000000);
  uint64_t refused_before = seen.refused;
  memset(&seen, 0, sizeof seen);
  double own = own_cpu_ms(), server = server_cpu_ms(pid);
  uint64_t begin = now_ns();
  uint64_t end = run_load(begin + strtoull(run_ms, 0, 10) * 1000000);
  own = own_cpu_ms() - own;
  server = server_cpu_ms(pid) - server;
  printf("{\"driver\":\"c\",\"ms\":%.3f,\"answers\":%llu,\"messages\":%llu,\"answerBytes\":%llu,\"refused\":%llu,"
         "\"refusedBefore\":%llu,\"missed\":%llu,\"p50Us\":%.1f,\"p99Us\":%.1f,\"p999Us\":%.1f,\"maxUs\":%.1f,"
         "\"driverCpuMs\":%.1f,\"serverCpuMs\":%.1f}\n",
         (double)(end - begin) / 1e6, (unsigned long long)seen.answers, (unsigned long long)seen.messages,
         (unsigned long long)seen.bytes, (unsigned long long)seen.refused, (unsigned long long)refused_before,
         (unsigned long long)seen.missed, quantile_us(0.5), quantile_us(0.99), quantile_us(0.999), (double)seen.slowest / 1e3, own,
         server);
}
