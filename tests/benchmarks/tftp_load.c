/* Many TFTP clients at once, in one process: the load of the benchmark, the same for every server.

   Each client has a socket of its own on an address of its own (127.x.y.z), asks for one file, acknowledges as real
   firmware does (RFC 1350, 2347, 2348, 7440), compares every byte with the file, and repeats its last packet when it
   has heard nothing for a second.  With a loss, packets in both directions are dropped here, before they are read or
   sent, by a generator with a fixed seed.

   usage: tftp_load SERVER PORT NAME FILE CLIENTS BLKSIZE WINDOW LOSS SECONDS
   prints: {"complete": n, "failed": n, "wrong": n, "seconds": s, "p50": s, "p99": s, "received": n, "sent": n}  */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { WAITING, COMPLETE, FAILED };

struct client {
    int fd, state, tries;
    struct sockaddr_in server; /* with the port of the transfer once it is known */
    int known;
    uint64_t next;             /* the block that comes next, counted without end; 0: nothing was received */
    uint64_t acked;            /* blocks up to this one were acknowledged */
    uint64_t gap;              /* next when a gap was last complained of, plus one */
    int blksize, window;
    double heard, ended;
    unsigned char last[600];
    size_t last_length;
};

static const unsigned char *file;
static size_t file_size;
static double loss;
static uint64_t seed = 88172645463325252ULL;
static long received, sent, wrong;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static int lost(void) {
    if (loss <= 0) return 0;
    seed ^= seed << 13; seed ^= seed >> 7; seed ^= seed << 17;
    return (seed >> 11) / 9007199254740992.0 < loss;
}

static void put(struct client *c) {
    sent++;
    if (lost()) return;
    sendto(c->fd, c->last, c->last_length, 0, (struct sockaddr *)&c->server, sizeof c->server);
}

static void ack(struct client *c, uint64_t block) {
    c->last[0] = 0; c->last[1] = 4; c->last[2] = block >> 8 & 255; c->last[3] = block & 255;
    c->last_length = 4;
    c->acked = block;
    put(c);
}

static void end(struct client *c, int state, double at) { c->state = state; c->ended = at; }

static void options(struct client *c, const unsigned char *p, const unsigned char *stop) {
    while (p < stop) {
        const char *name = (const char *)p;
        p += strnlen(name, stop - p) + 1;
        if (p >= stop) break;
        const char *value = (const char *)p;
        p += strnlen(value, stop - p) + 1;
        if (!strcasecmp(name, "blksize")) c->blksize = atoi(value);
        if (!strcasecmp(name, "windowsize")) c->window = atoi(value);
    }
}

static void packet(struct client *c, unsigned char *p, size_t n, struct sockaddr_in *from, double at) {
    if (n < 4) return;
    if (!c->known) { c->server = *from; c->known = 1; }
    if (from->sin_port != c->server.sin_port || from->sin_addr.s_addr != c->server.sin_addr.s_addr) return;
    if (c->state == FAILED) return;
    c->heard = at; c->tries = 0;
    if (p[1] == 6) {
        if (c->next) return;
        options(c, p + 4 - 2, p + n);
        c->next = 1;
        ack(c, 0);
    } else if (p[1] == 3) {
        if (!c->next) { c->next = 1; c->blksize = 512; c->window = 1; }
        uint16_t number = p[2] << 8 | p[3];
        int16_t ahead = (int16_t)(number - (uint16_t)c->next);
        if (ahead == 0 && c->state == WAITING) {
            size_t length = n - 4, offset = (c->next - 1) * (size_t)c->blksize;
            if (offset + length > file_size || memcmp(p + 4, file + offset, length)) wrong++;
            uint64_t block = c->next++;
            c->gap = 0;
            int final = length < (size_t)c->blksize;
            if (final) {
                if (offset + length != file_size) wrong++;
                end(c, COMPLETE, at);
            }
            if (final || block - c->acked >= (uint64_t)c->window) ack(c, block);
        } else if (ahead < 0) {
            /* A repetition.  In lock step it is acknowledged again (RFC 1350 section 2); in a window only the last. */
            if (c->window == 1 || number == (uint16_t)(c->next - 1)) ack(c, c->next - 1);
        } else if (c->state == WAITING && c->gap != c->next + 1) {
            /* Something is missing: say once what was last received in order (RFC 7440 section 4). */
            c->gap = c->next + 1;
            ack(c, c->next - 1);
        }
    } else if (p[1] == 5) {
        end(c, FAILED, at);
    }
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
    if (argc != 10) { fprintf(stderr, "usage: see the source\n"); return 2; }
    int count = atoi(argv[5]), blksize = atoi(argv[6]), window = atoi(argv[7]);
    loss = atof(argv[8]);
    double limit = atof(argv[9]);
    int handle = open(argv[4], O_RDONLY);
    struct stat about;
    if (handle < 0 || fstat(handle, &about)) { perror(argv[4]); return 2; }
    file_size = about.st_size;
    file = mmap(NULL, file_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, handle, 0);
    struct rlimit files = {65536, 65536};
    if (setrlimit(RLIMIT_NOFILE, &files)) { getrlimit(RLIMIT_NOFILE, &files); files.rlim_cur = files.rlim_max; setrlimit(RLIMIT_NOFILE, &files); }

    int ep = epoll_create1(0);
    struct client *clients = calloc(count, sizeof *clients);
    for (int i = 0; i < count; i++) {
        struct client *c = clients + i;
        c->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        int size = 1 << 20;
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
        struct sockaddr_in mine = {.sin_family = AF_INET};
        mine.sin_addr.s_addr = htonl(0x7f010001 + i / 200 * 256 + i % 200);
        if (bind(c->fd, (struct sockaddr *)&mine, sizeof mine)) { perror("bind"); return 2; }
        c->server.sin_family = AF_INET;
        c->server.sin_port = htons(atoi(argv[2]));
        inet_pton(AF_INET, argv[1], &c->server.sin_addr);
        c->blksize = 512; c->window = 1;
        char *p = (char *)c->last;
        *p++ = 0; *p++ = 1;
        p += sprintf(p, "%s", argv[3]) + 1;
        p += sprintf(p, "octet") + 1;
        p += sprintf(p, "blksize") + 1;
        p += sprintf(p, "%d", blksize) + 1;
        if (window > 1) { p += sprintf(p, "windowsize") + 1; p += sprintf(p, "%d", window) + 1; }
        c->last_length = p - (char *)c->last;
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &event);
    }

    double begun = now(), last_look = begun;
    for (int i = 0; i < count; i++) { clients[i].heard = now(); put(clients + i); }
    static unsigned char buffer[65536];
    struct epoll_event events[512];
    int open_clients = count;
    while (open_clients) {
        int n = epoll_wait(ep, events, 512, 50);
        double at = now();
        for (int i = 0; i < n; i++) {
            struct client *c = clients + events[i].data.u32;
            for (int turn = 0; turn < 16; turn++) {
                struct sockaddr_in from;
                socklen_t size = sizeof from;
                ssize_t got = recvfrom(c->fd, buffer, sizeof buffer, 0, (struct sockaddr *)&from, &size);
                if (got < 0) break;
                received++;
                if (!lost()) packet(c, buffer, got, &from, at);
                if (c->window == 1) break; /* there is hardly ever a second one */
            }
        }
        if (at - last_look > 0.05) {
            last_look = at;
            open_clients = 0;
            for (int i = 0; i < count; i++) {
                struct client *c = clients + i;
                if (c->state != WAITING) continue;
                open_clients++;
                if (at - begun > limit) end(c, FAILED, at);
                else if (at - c->heard > 1.0) { c->heard = at; put(c); }
            }
        }
    }
    int complete = 0;
    double last = begun, *times = calloc(count, sizeof *times);
    for (int i = 0; i < count; i++)
        if (clients[i].state == COMPLETE) {
            times[complete++] = clients[i].ended - begun;
            if (clients[i].ended > last) last = clients[i].ended;
        }
    qsort(times, complete, sizeof *times, by_value);
    printf("{\"complete\": %d, \"failed\": %d, \"wrong\": %ld, \"seconds\": %.3f, \"p50\": %.3f, \"p99\": %.3f, "
           "\"received\": %ld, \"sent\": %ld}\n", complete, count - complete, wrong, last - begun,
           complete ? times[complete / 2] : 0, complete ? times[complete * 99 / 100] : 0, received, sent);
    return 0;
}
