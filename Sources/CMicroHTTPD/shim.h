#ifndef CARILLON_CMICROHTTPD_H
#define CARILLON_CMICROHTTPD_H
#include <features.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netdb.h>
extern int accept4(int, struct sockaddr *restrict, socklen_t *restrict, int);
#include <microhttpd.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

/// MHD_start_daemon is variadic: every option travels in one array.
static inline struct MHD_Daemon *carillon_mhd_start(
    unsigned int flags, MHD_AccessHandlerCallback handler, void *context, const struct MHD_OptionItem *options) {
    return MHD_start_daemon(flags, 0, NULL, NULL, handler, context, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
}

/// No chunks and no length: the end of the connection ends the body.
static inline void carillon_mhd_end_by_close(struct MHD_Response *response) {
    MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
}

/// Lets the response carry a Content-Length of its own.
static inline void carillon_mhd_allow_length(struct MHD_Response *response) {
    MHD_set_response_options(response, MHD_RF_INSANITY_HEADER_CONTENT_LENGTH, MHD_RO_END);
}

// Socket addresses stay in C: which Swift module owns their structures depends on what a compiler process has loaded before.

/// Accepts one connection and hands it over. Returns 1 when it was taken, 0 when the library has too many and closed it, and -1 with errno set when
/// none waits.
static inline int carillon_mhd_accept(struct MHD_Daemon *daemon, int listener) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    const int descriptor = accept4(listener, (struct sockaddr *)&address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0) return -1;
    return MHD_add_connection(daemon, descriptor, (struct sockaddr *)&address, length) == MHD_YES;
}

/// Hands over one end of a socket pair; the library closes it, also when it refuses it. Returns whether it was taken.
static inline int carillon_mhd_add_pair(struct MHD_Daemon *daemon, int descriptor) {
    const struct sockaddr address = {.sa_family = AF_UNIX};
    return MHD_add_connection(daemon, descriptor, &address, sizeof address.sa_family) == MHD_YES;
}

// MHD_get_connection_info is variadic too.

/// What the notification of a new connection has left in its socket context.
static inline void *carillon_mhd_context(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static inline int carillon_mhd_descriptor(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info ? info->connect_fd : -1;
}

/// The length of request line and header fields as they were received, ends of lines included.
static inline size_t carillon_mhd_header_size(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return info ? info->header_size : 0;
}

/// Writes the peer's numeric address without port. Returns 0, or another number where it cannot be had.
static inline int carillon_mhd_peer_text(struct MHD_Connection *connection, char *room, size_t size) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (!info || !info->client_addr) return -1;
    const socklen_t length = info->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    return getnameinfo(info->client_addr, length, room, (socklen_t)size, NULL, 0, NI_NUMERICHOST);
}

static inline gnutls_session_t carillon_mhd_tls(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    return info ? (gnutls_session_t)info->tls_session : NULL;
}

/// gnutls_free is a variable that holds a function.
static inline void carillon_gnutls_free(void *memory) { gnutls_free(memory); }

/// Bytes that the peer of a TCP socket has acknowledged; 0 where that cannot be had. `tcpi_bytes_acked` of the kernel's structure: glibc's is
/// older and lacks it, and linux/tcp.h cannot be included beside glibc's header.
static inline uint64_t carillon_tcp_bytes_acked(int descriptor) {
    unsigned char info[256];
    socklen_t length = sizeof info;
    uint64_t acked;
    memset(info, 0, sizeof info);
    if (getsockopt(descriptor, 6 /* IPPROTO_TCP */, 11 /* TCP_INFO */, info, &length) != 0 || length < 128) return 0;
    memcpy(&acked, info + 120, sizeof acked);
    return acked;
}
#endif
