// The raw C loops that ours are measured against, as plain as their libraries allow.
#ifndef CARILLON_CBENCHMARK_H
#define CARILLON_CBENCHMARK_H
#include <stddef.h>
#include <stdint.h>

/// Serves `body` on every path of a free loopback port with a bare libmicrohttpd: one thread, epoll, one prepared answer, no checks. Returns the
/// port, or -1. Runs until the process ends.
int carillon_bare_http_server(const char *body, size_t length);

// One loop for each broker: publishes `count` messages of `length` bytes, confirmed with at most `in_flight` unconfirmed, and consumes them on a
// second connection and thread, each acknowledged. `latencies` gets nanoseconds from publish to delivery, one for each. Each returns the seconds
// from the first publish to the last acknowledgement, or -1. Queue, stream and topic are made when they are missing.

/// librabbitmq, on loopback: persistent messages to the topic exchange `name` and the durable queue of the same name.
double carillon_rabbitmq_loop(int port, const char *name, int count, int in_flight, size_t length, uint64_t *latencies);

/// hiredis: entries of the stream `name`, read by a consumer group.
double carillon_redis_loop(const char *host, int port, const char *name, int count, int in_flight, size_t length, uint64_t *latencies);

/// librdkafka: an idempotent producer, and a consumer group that commits.
double carillon_kafka_loop(const char *bootstrap, const char *topic, int count, int in_flight, size_t length, uint64_t *latencies);

/// Keeps the calling process (threads that it begins later included) on one core. Returns 0 when it worked.
int carillon_pin_to_core(int core);
#endif
