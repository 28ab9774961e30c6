// The raw C loops that ours are measured against, as plain as their libraries allow.
#ifndef CARILLON_CBENCHMARK_H
#define CARILLON_CBENCHMARK_H
#include <stddef.h>

/// Serves `body` on every path of a free loopback port with a bare libmicrohttpd: one thread, epoll, one prepared answer, no checks. Returns the
/// port, or -1. Runs until the process ends.
int carillon_bare_http_server(const char *body, size_t length);

/// Keeps the calling process (threads that it begins later included) on one core. Returns 0 when it worked.
int carillon_pin_to_core(int core);
#endif
