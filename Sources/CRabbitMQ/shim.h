#ifndef CARILLON_CRABBITMQ_H
#define CARILLON_CRABBITMQ_H
#include <sys/time.h>
#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <amqp_ssl_socket.h>
#include <amqp_framing.h>

/// amqp_login_with_properties is variadic, which Swift cannot call.
static inline amqp_rpc_reply_t carillon_amqp_login_plain(
    amqp_connection_state_t connection, const char *vhost, int frame_max, int heartbeat, const amqp_table_t *properties,
    const char *user, const char *password) {
    return amqp_login_with_properties(connection, vhost, 0, frame_max, heartbeat, properties, AMQP_SASL_METHOD_PLAIN, user, password);
}

/// The same with the client's certificate as its identity.
static inline amqp_rpc_reply_t carillon_amqp_login_external(
    amqp_connection_state_t connection, const char *vhost, int frame_max, int heartbeat, const amqp_table_t *properties,
    const char *identity) {
    return amqp_login_with_properties(connection, vhost, 0, frame_max, heartbeat, properties, AMQP_SASL_METHOD_EXTERNAL, identity);
}
#endif
