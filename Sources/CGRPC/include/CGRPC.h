// What we use of libgrpc's C core. Its functions have their own names here and come from `library.c`, which loads the library when it is wanted.
#ifndef CARILLON_CGRPC_H
#define CARILLON_CGRPC_H
// Before grpc: its port_platform.h defines _GNU_SOURCE, with which fd_set would be another structure than in Swift's own modules.
#include <features.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/compression.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/status.h>
#include <grpc/support/log.h>

/// Loads the library: before that, none of its functions may be called. Returns NULL, or why it cannot be had. For any thread, as often as one likes.
const char *carillon_grpc_load(void);

// Macros with arguments do not import.
static inline const uint8_t *carillon_grpc_slice_bytes(const grpc_slice *slice) { return GRPC_SLICE_START_PTR(*slice); }
static inline size_t carillon_grpc_slice_length(const grpc_slice *slice) { return GRPC_SLICE_LENGTH(*slice); }

// What is handed over through the library, which ThreadSanitizer does not see into: an event comes after the start of its operation.
#ifdef CARILLON_TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
static inline void carillon_grpc_released(void *tag) { __tsan_release(tag); }
static inline void carillon_grpc_acquired(void *tag) { __tsan_acquire(tag); }
#else
static inline void carillon_grpc_released(void *tag) { (void)tag; }
static inline void carillon_grpc_acquired(void *tag) { (void)tag; }
#endif

// Socket addresses stay in C: which Swift module owns their structures depends on what a compiler process has loaded before.

/// The address of a host and port, an IPv4 one where there is one: `localhost` is 127.0.0.1 for those who call it, whatever comes first in the host's
/// files. Returns 0, or getaddrinfo's error.
static inline int carillon_grpc_find(const char *host, int port, struct sockaddr_storage *address, socklen_t *length) {
    char digits[8];
    snprintf(digits, sizeof digits, "%d", port);
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    const int failed = getaddrinfo(host, digits, &hints, &found);
    if (failed) return failed;
    const struct addrinfo *best = found;
    for (const struct addrinfo *next = found; next; next = next->ai_next) {
        if (next->ai_family == AF_INET) { best = next; break; }
    }
    memcpy(address, best->ai_addr, best->ai_addrlen);
    *length = best->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

/// Writes the numeric address of a host. Returns 0, or getaddrinfo's error.
static inline int carillon_grpc_resolve(const char *host, char *room, size_t size) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    const int failed = carillon_grpc_find(host, 0, &address, &length);
    return failed ? failed : getnameinfo((struct sockaddr *)&address, length, room, (socklen_t)size, NULL, 0, NI_NUMERICHOST);
}

/// Why one cannot listen at a numeric address and port: 0 where one can, else the error's number.
static inline int carillon_grpc_listen_problem(const char *host, int port) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    if (carillon_grpc_find(host, port, &address, &length)) return EADDRNOTAVAIL;
    const int on = 1, descriptor = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return errno;
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const int failed = bind(descriptor, (struct sockaddr *)&address, length) || listen(descriptor, 1) ? errno : 0;
    close(descriptor);
    return failed;
}

/// Whether somebody accepts what connects to a numeric address and port: a connection that ends at once is answered, be it by its end. Returns 1,
/// 0 when nothing came within `milliseconds` or nobody listens, and -1 when it could not be tried. Blocks.
static inline int carillon_grpc_is_served(const char *host, int port, int milliseconds) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    if (carillon_grpc_find(host, port, &address, &length)) return -1;
    struct pollfd descriptor = {.fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), .events = POLLOUT};
    if (descriptor.fd < 0) return -1;
    int served = 0;
    if (connect(descriptor.fd, (struct sockaddr *)&address, length) == 0 || errno == EINPROGRESS) {
        char byte;
        int failed = 0;
        socklen_t size = sizeof failed;
        if (poll(&descriptor, 1, milliseconds) == 1 && getsockopt(descriptor.fd, SOL_SOCKET, SO_ERROR, &failed, &size) == 0 && !failed) {
            shutdown(descriptor.fd, SHUT_WR);
            descriptor.events = POLLIN;
            // A reset is an answer too: it was accepted.
            served = poll(&descriptor, 1, milliseconds) == 1 && (recv(descriptor.fd, &byte, 1, 0) >= 0 || errno == ECONNRESET);
        }
    }
    close(descriptor.fd);
    return served;
}
#endif
