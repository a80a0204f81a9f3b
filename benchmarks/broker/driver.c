// Load driver for brokers: sends messages, or pulls them, over many connections. One thread, epoll, no allocation during the run.
// Same arguments, plan and output as driver.ts; see drive.ts.
//
// driver PLAN HOST PORT CONNECTIONS IN_FLIGHT WARM_MS RUN_MS SERVER_PID
//
// The plan has whole frames with blanks for the opaque, the unique key of a message and the offset of a pull (see plan.ts). The
// driver copies a frame into the connection's buffer and fills them in. The opaque is the slot of the request, so that answers may
// come in any order: brokers write with several threads. It prints "primed" when all connections are open. SIGTERM ends the run
// early. The last line of stdout is a JSON object.
#include "../harness/measure.h"

enum { HEAD_BYTES = 1024, FIRST_OPAQUE = 1000000, OPAQUE_DIGITS = 7 };
enum { SUCCESS = 0, PULL_NOT_FOUND = 19, PULL_RETRY_IMMEDIATELY = 20, PULL_OFFSET_MOVED = 21 };

struct frame {
  const unsigned char *bytes;
  uint32_t size, header_size;
  uint32_t opaque_at, key_at, offset_at; // 0: the frame has no such field
  uint64_t first, end;                   // of a pull: where it starts, and where it starts again; end 0: never
};

struct connection {
  int fd;
  uint32_t index, next;
  unsigned char *out; // requests to write
  size_t out_from, out_to;
  uint64_t *issued;    // by slot: when the request was issued, 0 if the slot is free
  uint64_t *offset;    // by slot: of the pull
  unsigned char head[HEAD_BYTES]; // of an answer that came in pieces
  uint32_t have;
  uint32_t left;       // bytes of the answer that are missing
};

static struct frame *frames;
static uint32_t frame_count, depth;
static size_t largest, out_bytes;
static int pulls;
static uint32_t next_key;
static int epoll;
static int has_complained;

static uint64_t u64(const unsigned char **at) {
  uint64_t low = u32(at);
  return low | (uint64_t)u32(at) << 32;
}

static void load_plan(const char *path) {
  const unsigned char *at = map_file(path);
  frame_count = u32(&at);
  frames = calloc(frame_count, sizeof *frames);
  for (struct frame *f = frames; f < frames + frame_count; f++) {
    f->size = u32(&at);
    f->opaque_at = u32(&at);
    f->key_at = u32(&at);
    f->offset_at = u32(&at);
    f->first = u64(&at);
    f->end = u64(&at);
    f->bytes = at;
    f->header_size = (uint32_t)at[5] << 16 | (uint32_t)at[6] << 8 | at[7];
    at += f->size;
    if (f->size > largest) largest = f->size;
  }
  pulls = frames[0].offset_at != 0;
}

static void put_digits(unsigned char *to, int digits, uint32_t value) {
  for (int i = digits - 1; i >= 0; i--, value /= 10) to[i] = (unsigned char)('0' + value % 10);
}

static void put_hex(unsigned char *to, uint32_t value) {
  for (int i = 7; i >= 0; i--, value >>= 4) to[i] = (unsigned char)"0123456789ABCDEF"[value & 15];
}

static void put_u32(unsigned char *to, uint32_t value) {
  to[0] = (unsigned char)(value >> 24), to[1] = (unsigned char)(value >> 16), to[2] = (unsigned char)(value >> 8), to[3] = (unsigned char)value;
}

// Writes a pull with its offset, a number of any length, between the two parts of the frame. Returns the size.
static size_t put_pull(unsigned char *to, const struct frame *f, uint64_t offset) {
  memcpy(to, f->bytes, f->offset_at);
  int digits = sprintf((char *)to + f->offset_at, "%llu", (unsigned long long)offset);
  memcpy(to + f->offset_at + digits, f->bytes + f->offset_at, f->size - f->offset_at);
  put_u32(to, f->size - 4 + (uint32_t)digits);
  put_u32(to + 4, f->header_size + (uint32_t)digits);
  return f->size + (size_t)digits;
}

static const struct frame *frame_of(struct connection *c, uint32_t slot) {
  if (pulls) return &frames[(c->index * depth + slot) % frame_count];
  const struct frame *f = &frames[c->next];
  if (++c->next == frame_count) c->next = 0;
  return f;
}

static void issue(struct connection *c, uint32_t slot, uint64_t now) {
  if (out_bytes - c->out_to < largest + 20) {
    memmove(c->out, c->out + c->out_from, c->out_to - c->out_from);
    c->out_to -= c->out_from;
    c->out_from = 0;
  }
  const struct frame *f = frame_of(c, slot);
  unsigned char *to = c->out + c->out_to;
  size_t size = f->size;
  if (pulls) size = put_pull(to, f, c->offset[slot]);
  else memcpy(to, f->bytes, size);
  // The opaque is behind the offset.
  put_digits(to + f->opaque_at + (size - f->size), OPAQUE_DIGITS, FIRST_OPAQUE + slot);
  if (f->key_at) put_hex(to + f->key_at, next_key++);
  c->out_to += size;
  c->issued[slot] = now;
}

static void flush_requests(struct connection *c) {
  while (c->out_from < c->out_to) {
    ssize_t n = write(c->fd, c->out + c->out_from, c->out_to - c->out_from);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) fail("write");
    c->out_from += (size_t)n;
  }
  c->out_from = c->out_to = 0;
}

struct key {
  const char *text;
  size_t size, at; // where it was in the last header
};

static struct key code_key = {"\"code\":", 7, 0}, opaque_key = {"\"opaque\":", 9, 0}, next_key_of_pull = {"\"nextBeginOffset\":\"", 19, 0};

// The number behind a key of a JSON header, -1 without it.
static int64_t number_of(struct key *key, const unsigned char *head, size_t size) {
  if (key->at + key->size >= size || memcmp(head + key->at, key->text, key->size) != 0) {
    const unsigned char *found = memmem(head, size, key->text, key->size);
    if (!found) return -1;
    key->at = (size_t)(found - head);
  }
  int64_t value = 0;
  for (size_t at = key->at + key->size; at < size && head[at] >= '0' && head[at] <= '9'; at++) value = value * 10 + head[at] - '0';
  return value;
}

// Prints the header of the first refusal.
static void refuse(const unsigned char *head, size_t size) {
  seen.refused++;
  if (!has_complained) fprintf(stderr, "%.*s\n", (int)size, head);
  has_complained = 1;
}

// Counts what a pull brought and moves its offset. Returns how many messages that were.
static uint64_t move_on(struct connection *c, uint32_t slot, int64_t code, int64_t next) {
  const struct frame *f = frame_of(c, slot);
  uint64_t before = c->offset[slot];
  if (next >= 0 && code != PULL_NOT_FOUND) c->offset[slot] = (uint64_t)next;
  if (f->end && (c->offset[slot] >= f->end || code != SUCCESS)) c->offset[slot] = f->first;
  return code == SUCCESS ? (uint64_t)next - before : 0;
}

static int is_empty_pull(int64_t code) {
  return code == PULL_NOT_FOUND || code == PULL_RETRY_IMMEDIATELY || code == PULL_OFFSET_MOVED;
}

// Takes the header of an answer that is complete, and issues the next request of its slot.
static void answered(struct connection *c, const unsigned char *head, size_t size, uint64_t now) {
  int64_t code = number_of(&code_key, head, size), slot = number_of(&opaque_key, head, size) - FIRST_OPAQUE;
  if (slot < 0 || slot >= depth || !c->issued[slot]) fail("an answer without a request");
  uint64_t took = now - c->issued[slot];
  if (code == SUCCESS) {
    count_answer(took);
    seen.messages += pulls ? move_on(c, (uint32_t)slot, code, number_of(&next_key_of_pull, head, size)) : 1;
  } else if (pulls && is_empty_pull(code)) {
    move_on(c, (uint32_t)slot, code, number_of(&next_key_of_pull, head, size));
  } else {
    refuse(head, size);
  }
  issue(c, (uint32_t)slot, now);
}

// The bytes of a frame that hold its sizes and its header, or the start of a long header.
static uint32_t head_size_of(const unsigned char *frame) {
  uint32_t header = ((uint32_t)frame[5] << 16 | (uint32_t)frame[6] << 8 | frame[7]) + 8;
  return header < HEAD_BYTES ? header : HEAD_BYTES;
}

static uint32_t frame_size_of(const unsigned char *frame) {
  uint32_t size = ((uint32_t)frame[0] << 24 | (uint32_t)frame[1] << 16 | (uint32_t)frame[2] << 8 | frame[3]) + 4;
  if (size < 12 || size > 1u << 28) fail("an answer with an impossible length");
  return size;
}

static void walk_answers(struct connection *c, const unsigned char *at, size_t size, uint64_t now) {
  while (size) {
    // The usual case: the frame is complete.
    if (!c->left && !c->have && size >= 8 && frame_size_of(at) <= size) {
      uint32_t whole = frame_size_of(at);
      answered(c, at + 8, head_size_of(at) - 8, now);
      at += whole, size -= whole;
      continue;
    }
    uint32_t wanted = c->have < 8 ? 8 : head_size_of(c->head);
    if (c->have < wanted) {
      uint32_t n = wanted - c->have < size ? wanted - c->have : (uint32_t)size;
      memcpy(c->head + c->have, at, n);
      at += n, size -= n, c->have += n;
      if (c->have < 8 || c->have < head_size_of(c->head)) continue;
      c->left = frame_size_of(c->head) - c->have;
    } else {
      uint32_t n = c->left < size ? c->left : (uint32_t)size;
      at += n, size -= n, c->left -= n;
    }
    if (c->left) continue;
    answered(c, c->head + 8, c->have - 8, now);
    c->have = 0;
  }
}

static void receive(struct connection *c) {
  for (;;) {
    ssize_t n = read(c->fd, received, sizeof received);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) fail("read");
    if (n == 0) errno = 0, fail("the broker closed a connection");
    seen.bytes += (uint64_t)n;
    walk_answers(c, received, (size_t)n, now_ns());
    if ((size_t)n < sizeof received) return; // edge triggered: a short read means that nothing is left
  }
}

static void open_connection(struct connection *c, uint32_t index, uint32_t connections, const char *host, int port) {
  c->fd = connect_to(host, port);
  c->index = index;
  c->next = (uint32_t)((uint64_t)index * frame_count / connections);
  c->out = malloc(out_bytes);
  c->issued = calloc(depth, sizeof *c->issued);
  c->offset = calloc(depth, sizeof *c->offset);
  for (uint32_t slot = 0; pulls && slot < depth; slot++) c->offset[slot] = frame_of(c, slot)->first;
}

// Runs the load until `end` or SIGTERM.
static uint64_t run_load(uint64_t end) {
  struct epoll_event events[EVENTS];
  uint64_t now = now_ns();
  while (now < end && !stopped) {
    int n = epoll_wait(epoll, events, EVENTS, (int)((end - now) / 1000000 + 1));
    if (n < 0 && errno != EINTR) fail("epoll_wait");
    for (int i = 0; i < n; i++) {
      struct connection *c = events[i].data.ptr;
      if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(c);
      flush_requests(c);
    }
    now = now_ns();
  }
  return now;
}

int main(int argc, char **argv) {
  if (argc != 9) fail("expects PLAN HOST PORT CONNECTIONS IN_FLIGHT WARM_MS RUN_MS SERVER_PID");
  prepare_process();
  load_plan(argv[1]);
  uint32_t connections = (uint32_t)atoi(argv[4]);
  depth = (uint32_t)atoi(argv[5]);
  out_bytes = 2 * depth * (largest + 20);
  next_key = (uint32_t)(now_ns() >> 10);

  struct connection *all = calloc(connections, sizeof *all);
  epoll = epoll_create1(0);
  for (uint32_t i = 0; i < connections; i++) open_connection(&all[i], i, connections, argv[2], atoi(argv[3]));
  tell_primed();
  for (uint32_t i = 0; i < connections; i++) {
    watch(epoll, all[i].fd, &all[i]);
    for (uint32_t slot = 0; slot < depth; slot++) issue(&all[i], slot, now_ns());
    flush_requests(&all[i]);
  }
  measure(run_load, argv[6], argv[7], atoi(argv[8]));
  return 0;
}
