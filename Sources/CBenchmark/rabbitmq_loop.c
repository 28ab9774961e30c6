#include "CBenchmark.h"
#include "loop.h"
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

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
    uint64_t *latencies;
    int failed;
    struct loop_turn turn;
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
        self->latencies[received] = loop_latency(envelope.message.body.bytes, envelope.message.body.len);
        amqp_basic_ack(connection, 1, envelope.delivery_tag, 0);
        amqp_destroy_envelope(&envelope);
        loop_turn_done(&self->turn);
    }
    return NULL;
}

double carillon_rabbitmq_loop(int port, const char *name, int count, int in_flight, size_t length, uint64_t *latencies) {
    amqp_connection_state_t publishing = connect_to(port), consuming = connect_to(port);
    if (!publishing || !consuming) return -1;
    amqp_bytes_t exchange = amqp_cstring_bytes(name);
    amqp_exchange_declare(publishing, 1, exchange, amqp_cstring_bytes("topic"), 0, 1, 0, 0, amqp_empty_table);
    amqp_queue_declare(publishing, 1, exchange, 0, 1, 0, 0, amqp_empty_table);
    amqp_queue_bind(publishing, 1, exchange, exchange, amqp_cstring_bytes("#"), amqp_empty_table);
    amqp_confirm_select(publishing, 1);
    amqp_basic_qos(consuming, 1, 0, 250, 0);
    amqp_basic_consume(consuming, 1, exchange, amqp_empty_bytes, 0, 0, 0, amqp_empty_table);
    if (amqp_get_rpc_reply(consuming).reply_type != AMQP_RESPONSE_NORMAL) return -1;
    struct consumer consumer = {.connection = consuming, .count = count, .latencies = latencies};
    loop_turn_begin(&consumer.turn, in_flight);
    pthread_t thread;
    if (pthread_create(&thread, NULL, consume, &consumer) != 0) return -1;

    char *body = calloc(1, length);
    amqp_basic_properties_t properties;
    memset(&properties, 0, sizeof properties);
    properties._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_PRIORITY_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_TIMESTAMP_FLAG;
    properties.content_type = amqp_cstring_bytes("application/octet-stream");
    properties.delivery_mode = 2;
    properties.timestamp = (uint64_t)time(NULL);
    uint64_t begin = loop_now();
    uint64_t published = 0, confirmed = 0;
    int failed = 0;
    while (confirmed < (uint64_t)count && !failed) {
        while (published < (uint64_t)count && published - confirmed < (uint64_t)in_flight) {
            char identifier[48];
            snprintf(identifier, sizeof identifier, "00000000-0000-4000-8000-%012llu", (unsigned long long)published);
            properties.message_id = amqp_cstring_bytes(identifier);
            loop_stamp(body);
            amqp_bytes_t bytes = {length, body};
            if (amqp_basic_publish(publishing, 1, exchange, exchange, 0, 0, &properties, bytes) != 0) failed = 1;
            published++;
        }
        amqp_frame_t frame;
        amqp_maybe_release_buffers(publishing);
        if (amqp_simple_wait_frame(publishing, &frame) != AMQP_STATUS_OK) failed = 1;
        else if (frame.frame_type == AMQP_FRAME_METHOD && frame.payload.method.id == AMQP_BASIC_ACK_METHOD) {
            amqp_basic_ack_t *ack = frame.payload.method.decoded;
            if (ack->multiple) confirmed = ack->delivery_tag;
            else confirmed++;
            if (loop_turn_wait(&consumer.turn) != 0) failed = 1;
        } else failed = 1;
    }
    pthread_join(thread, NULL);
    double seconds = (double)(loop_now() - begin) / 1e9;
    free(body);
    amqp_connection_state_t both[] = {publishing, consuming};
    for (int index = 0; index < 2; index++) {
        amqp_connection_close(both[index], AMQP_REPLY_SUCCESS);
        amqp_destroy_connection(both[index]);
    }
    return failed || consumer.failed ? -1 : seconds;
}
