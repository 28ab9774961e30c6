#include "CBenchmark.h"
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static amqp_connection_state_t connect_to(int port) {
    amqp_connection_state_t connection = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(connection);
    if (!socket || amqp_socket_open(socket, "127.0.0.1", port) != AMQP_STATUS_OK) return NULL;
    amqp_rpc_reply_t reply = amqp_login(connection, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest");
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) return NULL;
    amqp_channel_open(connection, 1);
    return amqp_get_rpc_reply(connection).reply_type == AMQP_RESPONSE_NORMAL ? connection : NULL;
}

struct consumer {
    amqp_connection_state_t connection;
    int count;
    int in_flight;
    uint64_t *latencies;
    int failed;
};

// Takes every delivery frame by frame, copies its body and acknowledges it.
static void *consume(void *argument) {
    struct consumer *self = argument;
    amqp_connection_state_t connection = self->connection;
    for (int received = 0; received < self->count; received++) {
        amqp_envelope_t envelope;
        amqp_maybe_release_buffers(connection);
        amqp_rpc_reply_t reply = amqp_consume_message(connection, &envelope, NULL, 0);
        if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
            self->failed = 1;
            break;
        }
        uint64_t sent = 0;
        if (envelope.message.body.len >= sizeof sent) memcpy(&sent, envelope.message.body.bytes, sizeof sent);
        self->latencies[received] = now() - sent;
        amqp_basic_ack(connection, 1, envelope.delivery_tag, 0);
        amqp_destroy_envelope(&envelope);
    }
    return NULL;
}

double carillon_broker_loop(int port, const char *exchange, const char *queue, int count, int in_flight, size_t length, uint64_t *latencies) {
    amqp_connection_state_t publishing = connect_to(port), consuming = connect_to(port);
    if (!publishing || !consuming) return -1;
    amqp_confirm_select(publishing, 1);
    amqp_basic_qos(consuming, 1, 0, 250, 0);
    amqp_basic_consume(consuming, 1, amqp_cstring_bytes(queue), amqp_empty_bytes, 0, 0, 0, amqp_empty_table);
    struct consumer consumer = {consuming, count, in_flight, latencies, 0};
    pthread_t thread;
    if (pthread_create(&thread, NULL, consume, &consumer) != 0) return -1;

    char *body = calloc(1, length);
    amqp_basic_properties_t properties;
    memset(&properties, 0, sizeof properties);
    properties._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_PRIORITY_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_TIMESTAMP_FLAG;
    properties.content_type = amqp_cstring_bytes("application/octet-stream");
    properties.delivery_mode = 2;
    properties.timestamp = (uint64_t)time(NULL);
    uint64_t begin = now();
    uint64_t published = 0, confirmed = 0;
    int failed = 0;
    while (confirmed < (uint64_t)count && !failed) {
        while (published < (uint64_t)count && published - confirmed < (uint64_t)in_flight) {
            char identifier[40];
            snprintf(identifier, sizeof identifier, "00000000-0000-4000-8000-%012llu", (unsigned long long)published);
            properties.message_id = amqp_cstring_bytes(identifier);
            uint64_t sent = now();
            memcpy(body, &sent, sizeof sent);
            amqp_bytes_t bytes = {length, body};
            if (amqp_basic_publish(publishing, 1, amqp_cstring_bytes(exchange), amqp_cstring_bytes(exchange), 0, 0, &properties, bytes) != 0) failed = 1;
            published++;
        }
        amqp_frame_t frame;
        amqp_maybe_release_buffers(publishing);
        if (amqp_simple_wait_frame(publishing, &frame) != AMQP_STATUS_OK) failed = 1;
        else if (frame.frame_type == AMQP_FRAME_METHOD && frame.payload.method.id == AMQP_BASIC_ACK_METHOD) {
            amqp_basic_ack_t *ack = frame.payload.method.decoded;
            if (ack->multiple) confirmed = ack->delivery_tag;
            else confirmed++;
        } else failed = 1;
    }
    pthread_join(thread, NULL);
    double seconds = (double)(now() - begin) / 1e9;
    free(body);
    amqp_connection_state_t both[] = {publishing, consuming};
    for (int index = 0; index < 2; index++) {
        amqp_connection_close(both[index], AMQP_REPLY_SUCCESS);
        amqp_destroy_connection(both[index]);
    }
    return failed || consumer.failed ? -1 : seconds;
}
