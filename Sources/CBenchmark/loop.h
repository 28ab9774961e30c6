// What the loops of all brokers share.
#ifndef CARILLON_LOOP_H
#define CARILLON_LOOP_H
#include <semaphore.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

static inline uint64_t loop_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/// Nanoseconds since the moment that the first eight bytes of a body tell.
static inline uint64_t loop_latency(const void *body, size_t length) {
    uint64_t sent = 0;
    if (length < sizeof sent) return 0;
    memcpy(&sent, body, sizeof sent);
    return loop_now() - sent;
}

/// Puts this moment into the first eight bytes of a body.
static inline void loop_stamp(void *body) {
    uint64_t sent = loop_now();
    memcpy(body, &sent, sizeof sent);
}

/// With one event in flight the next one is published when the consumer is done with it: what is measured then is the way of one event, no queue.
struct loop_turn {
    sem_t done;
    int alone;
};

static inline void loop_turn_begin(struct loop_turn *turn, int in_flight) {
    sem_init(&turn->done, 0, 0);
    turn->alone = in_flight == 1;
}

/// The consumer is done with an event.
static inline void loop_turn_done(struct loop_turn *turn) {
    if (turn->alone) sem_post(&turn->done);
}

/// The publisher has its confirm; waits at most ten seconds for the consumer. Returns 0 when it came.
static inline int loop_turn_wait(struct loop_turn *turn) {
    if (!turn->alone) return 0;
    struct timespec limit;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 10;
    return sem_timedwait(&turn->done, &limit);
}
#endif
