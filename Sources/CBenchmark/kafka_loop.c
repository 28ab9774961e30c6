#include "CBenchmark.h"
#include "loop.h"
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static int set(rd_kafka_conf_t *settings, const char *name, const char *value) {
    char error[256];
    return rd_kafka_conf_set(settings, name, value, error, sizeof error) == RD_KAFKA_CONF_OK;
}

struct progress {
    atomic_int confirmed;
    atomic_int failed;
};

static void confirmed(rd_kafka_t *client, const rd_kafka_message_t *message, void *context) {
    (void)client;
    struct progress *progress = context;
    if (message->err) atomic_store(&progress->failed, 1);
    atomic_fetch_add(&progress->confirmed, 1);
}

struct consumer {
    rd_kafka_t *client;
    int count;
    uint64_t *latencies;
    atomic_int begun;
    atomic_int failed;
    struct loop_turn turn;
};

// Takes every record and stores its offset; the first one only tells that the partitions are assigned.
static void *consume(void *argument) {
    struct consumer *self = argument;
    int received = 0;
    uint64_t silent_since = loop_now();
    while (received < self->count) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(self->client, 100);
        if (!message) {
            if (loop_now() - silent_since > 60000000000u) {
                atomic_store(&self->failed, 1);
                break;
            }
            continue;
        }
        silent_since = loop_now();
        if (!message->err) {
            rd_kafka_offset_store(message->rkt, message->partition, message->offset);
            if (atomic_load(&self->begun)) {
                self->latencies[received++] = loop_latency(message->payload, message->len);
                loop_turn_done(&self->turn);
            } else atomic_store(&self->begun, 1);
        }
        rd_kafka_message_destroy(message);
    }
    if (rd_kafka_commit(self->client, NULL, 0) > 0) atomic_store(&self->failed, 1);
    return NULL;
}

static int produce(rd_kafka_t *client, const char *topic, void *body, size_t length) {
    rd_kafka_resp_err_t error;
    do {
        error = rd_kafka_producev(client, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_VALUE(body, length),
                                  RD_KAFKA_V_HEADER("contentType", "application/octet-stream", 24), RD_KAFKA_V_END);
        if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL) rd_kafka_poll(client, 10);
    } while (error == RD_KAFKA_RESP_ERR__QUEUE_FULL);
    return error == RD_KAFKA_RESP_ERR_NO_ERROR;
}

double carillon_kafka_loop(const char *bootstrap, const char *topic, int count, int in_flight, size_t length, uint64_t *latencies) {
    char error[256];
    struct progress progress = {0, 0};
    rd_kafka_conf_t *settings = rd_kafka_conf_new();
    if (!set(settings, "bootstrap.servers", bootstrap) || !set(settings, "enable.idempotence", "true")) return -1;
    rd_kafka_conf_set_dr_msg_cb(settings, confirmed);
    rd_kafka_conf_set_opaque(settings, &progress);
    rd_kafka_t *producer = rd_kafka_new(RD_KAFKA_PRODUCER, settings, error, sizeof error);

    settings = rd_kafka_conf_new();
    if (!set(settings, "bootstrap.servers", bootstrap) || !set(settings, "group.id", topic) || !set(settings, "auto.offset.reset", "earliest")
        || !set(settings, "enable.auto.offset.store", "false") || !set(settings, "allow.auto.create.topics", "true")) return -1;
    struct consumer consumer = {
        .client = rd_kafka_new(RD_KAFKA_CONSUMER, settings, error, sizeof error), .count = count, .latencies = latencies};
    loop_turn_begin(&consumer.turn, in_flight);
    if (!producer || !consumer.client) return -1;
    rd_kafka_poll_set_consumer(consumer.client);
    char *body = calloc(1, length);
    // The topic must be there, and the consumer at its position, before the clock starts.
    if (!produce(producer, topic, body, length)) return -1;
    rd_kafka_flush(producer, 30000);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_subscribe(consumer.client, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    pthread_t thread;
    if (pthread_create(&thread, NULL, consume, &consumer) != 0) return -1;
    while (!atomic_load(&consumer.begun) && !atomic_load(&consumer.failed)) rd_kafka_poll(producer, 10);

    atomic_store(&progress.confirmed, 0);
    uint64_t begin = loop_now();
    int published = 0, failed = 0;
    while (atomic_load(&progress.confirmed) < count && !failed && !atomic_load(&progress.failed)) {
        while (published < count && published - atomic_load(&progress.confirmed) < in_flight && !failed) {
            loop_stamp(body);
            if (!produce(producer, topic, body, length)) failed = 1;
            published++;
        }
        rd_kafka_poll(producer, 100);
        if (in_flight == 1 && atomic_load(&progress.confirmed) == published && loop_turn_wait(&consumer.turn) != 0) failed = 1;
    }
    pthread_join(thread, NULL);
    double seconds = (double)(loop_now() - begin) / 1e9;
    free(body);
    rd_kafka_consumer_close(consumer.client);
    rd_kafka_destroy(consumer.client);
    rd_kafka_destroy(producer);
    return failed || atomic_load(&progress.failed) || atomic_load(&consumer.failed) ? -1 : seconds;
}
