// Load driver: sends prepared frames over many connections and counts the answers by their length prefixes.
// One thread, epoll, no allocation during the run. Same arguments, plan and output as driver.ts; see drive.ts.
//
// driver PLAN HOST PORT CONNECTIONS IN_FLIGHT WARM_MS RUN_MS SERVER_PID [PER_SECOND]
//
// Without PER_SECOND each connection sends the next frame when an answer arrives. Otherwise the connections send at this rate, in
// turn. First each connection sends one frame, one connection after the other; then the driver prints "primed" and the load
// starts. SIGTERM ends the run early. The last line of stdout is a JSON object.
#include "../harness/measure.h"
#include <sys/uio.h>

enum { PARTS = 64, CHECK_EVERY = 64 };

struct frame {
  const unsigned char *head, *body;
  size_t head_size, body_size;
};

// The frames that a connection sends in a cycle.
struct lane {
  uint32_t first, count;
};

struct connection {
  int fd;
  struct lane lane;
  uint32_t next;         // the next frame of the lane to write
  uint32_t waiting;      // frames to write, the one being written included
  size_t written;        // bytes of the frame at `next` that are written
  uint32_t in_flight;
  uint32_t oldest;       // index into `issued`, a ring of the times at which frames were issued
  uint64_t *issued;
  uint32_t length, length_bytes; // of the answer being read
  size_t left;           // bytes of it that are missing
};

static struct frame *frames;
static struct lane *lanes;
static uint32_t lane_count, depth, connections;
static struct connection *all;
static int epoll;
// Of requests at a fixed rate: the time between two, 0 for none; when the next is due, and whose turn it is.
static struct {
  uint64_t interval, due;
  uint32_t turn;
} pace;

// The plan file, see plan.ts.
static void load_plan(const char *path) {
  const unsigned char *at = map_file(path);
  uint32_t body_count = u32(&at), frame_count = u32(&at);
  lane_count = u32(&at);
  struct frame *bodies = calloc(body_count + 1, sizeof *bodies);
  frames = calloc(frame_count, sizeof *frames);
  lanes = calloc(lane_count, sizeof *lanes);
  for (uint32_t i = 0; i < body_count; i++) {
    bodies[i].body_size = u32(&at);
    bodies[i].body = at;
    at += bodies[i].body_size;
  }
  for (uint32_t i = 0; i < frame_count; i++) {
    uint32_t body = u32(&at); // one more than its index, 0 for none
    if (body) frames[i] = bodies[body - 1];
    frames[i].head_size = u32(&at);
    frames[i].head = at;
    at += frames[i].head_size;
  }
  for (uint32_t i = 0; i < lane_count; i++) {
    lanes[i].first = u32(&at);
    lanes[i].count = u32(&at);
  }
}

static void add_part(struct iovec *parts, int *count, const unsigned char *at, size_t size, size_t *skip) {
  if (*skip >= size) {
    *skip -= size;
    return;
  }
  parts[(*count)++] = (struct iovec){(void *)(at + *skip), size - *skip};
  *skip = 0;
}

// Writes the waiting frames until the socket is full.
static void flush_frames(struct connection *c) {
  while (c->waiting) {
    struct iovec parts[PARTS];
    int count = 0;
    size_t skip = c->written;
    for (uint32_t i = 0, at = c->next; i < c->waiting && count < PARTS - 1; i++) {
      const struct frame *f = &frames[c->lane.first + at];
      add_part(parts, &count, f->head, f->head_size, &skip);
      add_part(parts, &count, f->body, f->body_size, &skip);
      if (++at == c->lane.count) at = 0;
    }
    ssize_t n = writev(c->fd, parts, count);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) fail("write");
    c->written += (size_t)n;
    for (;;) {
      const struct frame *f = &frames[c->lane.first + c->next];
      size_t size = f->head_size + f->body_size;
      if (!c->waiting || c->written < size) break;
      c->written -= size;
      c->waiting--;
      if (++c->next == c->lane.count) c->next = 0;
    }
  }
}

static void issue(struct connection *c, uint64_t now) {
  c->issued[(c->oldest + c->in_flight++) % depth] = now;
  c->waiting++;
}

// Assumes that answers come in the order of the requests. If a server reorders them, single times are wrong but not their sum.
static void answered(struct connection *c, uint64_t now) {
  if (!c->in_flight) fail("an answer without a request");
  uint64_t took = now - c->issued[c->oldest];
  c->oldest = (c->oldest + 1) % depth;
  c->in_flight--;
  count_answer(took);
}

static void check_answer(const unsigned char *frame, size_t size) {
  if (!memmem(frame, size < 256 ? size : 256, "\"code\":0", 8)) seen.refused++;
}

static void walk_answers(struct connection *c, const unsigned char *at, size_t size, uint64_t now) {
  while (size) {
    if (c->left) {
      size_t n = c->left < size ? c->left : size;
      at += n;
      size -= n;
      c->left -= n;
      if (!c->left) answered(c, now);
      continue;
    }
    c->length = c->length << 8 | *at++;
    size--;
    if (++c->length_bytes < 4) continue;
    if (!c->length || c->length > 1u << 28) fail("an answer with an impossible length");
    if (seen.answers % CHECK_EVERY == 0 && size >= 64) check_answer(at, size);
    seen.bytes += 4 + (c->left = c->length);
    c->length = c->length_bytes = 0;
  }
}

static void receive(struct connection *c, uint64_t *now) {
  for (;;) {
    ssize_t n = read(c->fd, received, sizeof received);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) fail("read");
    if (n == 0) errno = 0, fail("the server closed a connection");
    *now = now_ns();
    walk_answers(c, received, (size_t)n, *now);
    if ((size_t)n < sizeof received) return; // edge triggered: a short read means that nothing is left
  }
}

static void open_connection(struct connection *c, uint32_t index, const char *host, int port) {
  c->fd = connect_to(host, port);
  c->issued = calloc(depth, sizeof *c->issued);
  c->lane = lanes[index % lane_count];
  // Connections that share a lane start at different frames.
  c->next = lane_count == 1 ? (uint32_t)((uint64_t)index * c->lane.count / connections) : 0;
}

// Sends one request on a blocking socket and waits for its answer.
static void prime(struct connection *c) {
  issue(c, now_ns());
  flush_frames(c);
  while (c->in_flight) {
    ssize_t n = read(c->fd, received, sizeof received);
    if (n <= 0) fail("no answer to the first request");
    walk_answers(c, received, (size_t)n, now_ns());
  }
}

// Issues the frames that are due. A connection whose requests are all in flight misses its turn.
static void keep_pace(uint64_t now) {
  for (; pace.due <= now; pace.due += pace.interval) {
    struct connection *c = &all[pace.turn++ % connections];
    if (c->in_flight < depth) {
      issue(c, now);
      flush_frames(c);
    } else {
      seen.missed++;
    }
  }
}

static void serve(const struct epoll_event *event, int refill) {
  struct connection *c = event->data.ptr;
  uint64_t now = 0;
  if (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(c, &now);
  if (refill && now)
    while (c->in_flight < depth) issue(c, now);
  flush_frames(c);
}

// Runs the load until `end` or SIGTERM.
static uint64_t run_load(uint64_t end) {
  struct epoll_event events[EVENTS];
  uint64_t now = now_ns();
  while (now < end && !stopped) {
    uint64_t wake = pace.interval && pace.due < end ? pace.due : end;
    int n = epoll_wait(epoll, events, EVENTS, wake <= now ? 0 : (int)((wake - now) / 1000000 + 1));
    if (n < 0 && errno != EINTR) fail("epoll_wait");
    for (int i = 0; i < n; i++) serve(&events[i], pace.interval == 0);
    now = now_ns();
    if (pace.interval) keep_pace(now);
  }
  return now;
}

int main(int argc, char **argv) {
  if (argc != 9 && argc != 10) fail("expects PLAN HOST PORT CONNECTIONS IN_FLIGHT WARM_MS RUN_MS SERVER_PID [PER_SECOND]");
  prepare_process();
  load_plan(argv[1]);
  connections = (uint32_t)atoi(argv[4]);
  depth = (uint32_t)atoi(argv[5]);
  double per_second = argc == 10 ? atof(argv[9]) : 0;

  all = calloc(connections, sizeof *all);
  epoll = epoll_create1(0);
  for (uint32_t i = 0; i < connections; i++) {
    open_connection(&all[i], i, argv[2], atoi(argv[3]));
    prime(&all[i]);
  }
  tell_primed();
  if (per_second > 0) pace.interval = (uint64_t)(1e9 / per_second);
  pace.due = now_ns();
  for (uint32_t i = 0; i < connections; i++) {
    watch(epoll, all[i].fd, &all[i]);
    if (pace.interval) continue;
    while (all[i].in_flight < depth) issue(&all[i], now_ns());
    flush_frames(&all[i]);
  }
  measure(run_load, argv[6], argv[7], atoi(argv[8]));
  return 0;
}
