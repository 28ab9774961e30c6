// The raw C loops that ours are measured against, as plain as their libraries allow.
#ifndef CARILLON_CBENCHMARK_H
#define CARILLON_CBENCHMARK_H
#include <stddef.h>
#include <stdint.h>

/// Serves `body` on every path of a free loopback port with a bare libmicrohttpd: one thread, epoll, one prepared answer, no checks. Returns the
/// port, or -1. Runs until the process ends.
int carillon_bare_http_server(const char *body, size_t length);

/// Publishes `count` persistent messages of `length` bytes to a broker on loopback, confirmed with at most `in_flight` unconfirmed, and consumes
/// them from `queue` on a second connection and thread, each acknowledged. `latencies` gets nanoseconds from publish to delivery, one for each.
/// Returns the seconds from the first publish to the last acknowledgement, or -1.
double carillon_broker_loop(int port, const char *exchange, const char *queue, int count, int in_flight, size_t length, uint64_t *latencies);

/// Keeps the calling process (threads that it begins later included) on one core. Returns 0 when it worked.
int carillon_pin_to_core(int core);
#endif
