#include "CBenchmark.h"
#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <string.h>

static struct MHD_Response *answer;

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                              const char *data, size_t *size, void **request) {
    (void)context; (void)url; (void)method; (void)version; (void)data;
    if (*request == NULL) {  // the header is whole; an answer queued now would close the connection
        *request = (void *)1;
        return MHD_YES;
    }
    *size = 0;
    return MHD_queue_response(connection, 200, answer);
}

int carillon_bare_http_server(const char *body, size_t length) {
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    answer = MHD_create_response_from_buffer(length, (void *)body, MHD_RESPMEM_MUST_COPY);
    MHD_add_response_header(answer, "Content-Type", "application/json");
    MHD_add_response_header(answer, "ETag", "\"0123456789abcdef\"");
    struct MHD_Daemon *daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TURBO, 0, NULL, NULL, handle, NULL,
                                                 MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address, MHD_OPTION_END);
    if (!daemon) return -1;
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info ? info->port : -1;
}
