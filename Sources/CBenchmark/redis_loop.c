#include "CBenchmark.h"
#include "loop.h"
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct consumer {
    redisContext *connection;
    const char *name;
    int count;
    uint64_t *latencies;
    int failed;
    struct loop_turn turn;
};

// One answer of XREADGROUP at a time: takes each entry, then acknowledges them all in one command.
static void *consume(void *argument) {
    struct consumer *self = argument;
    const char *arguments[4 + 250];
    arguments[0] = "XACK";
    arguments[1] = self->name;
    arguments[2] = "workers";
    int received = 0;
    while (received < self->count) {
        redisReply *reply = redisCommand(self->connection, "XREADGROUP GROUP workers one COUNT 250 BLOCK 5000 STREAMS %s >", self->name);
        if (!reply || reply->type != REDIS_REPLY_ARRAY) {
            self->failed = 1;
            break;
        }
        redisReply *entries = reply->element[0]->element[1];
        for (size_t index = 0; index < entries->elements; index++) {
            redisReply *entry = entries->element[index], *fields = entry->element[1];
            redisReply *body = fields->element[1];
            if (received < self->count) self->latencies[received++] = loop_latency(body->str, (size_t)body->len);
            arguments[3 + index] = entry->element[0]->str;
        }
        redisReply *done = redisCommandArgv(self->connection, (int)(3 + entries->elements), arguments, NULL);
        if (!done || done->type != REDIS_REPLY_INTEGER) self->failed = 1;
        if (done) freeReplyObject(done);
        freeReplyObject(reply);
        if (self->failed) break;
        loop_turn_done(&self->turn);
    }
    return NULL;
}

static redisContext *connect_to(const char *host, int port) {
    redisContext *connection = redisConnect(host, port);
    return connection && connection->err == 0 ? connection : NULL;
}

double carillon_redis_loop(const char *host, int port, const char *name, int count, int in_flight, size_t length, uint64_t *latencies) {
    redisContext *publishing = connect_to(host, port), *consuming = connect_to(host, port);
    if (!publishing || !consuming) return -1;
    redisReply *created = redisCommand(consuming, "XGROUP CREATE %s workers $ MKSTREAM", name);  // BUSYGROUP when it is there already
    if (created) freeReplyObject(created);
    struct consumer consumer = {.connection = consuming, .name = name, .count = count, .latencies = latencies};
    loop_turn_begin(&consumer.turn, in_flight);
    pthread_t thread;
    if (pthread_create(&thread, NULL, consume, &consumer) != 0) return -1;

    char *body = calloc(1, length);
    uint64_t begin = loop_now();
    int published = 0, confirmed = 0, failed = 0;
    while (confirmed < count && !failed) {
        while (published < count && published - confirmed < in_flight) {
            char identifier[48];
            int size = snprintf(identifier, sizeof identifier, "00000000-0000-4000-8000-%012d", published);
            loop_stamp(body);
            const char *arguments[] = {"XADD", name, "*", "payload", body, "id", identifier, "content-type", "application/octet-stream"};
            size_t lengths[] = {4, strlen(name), 1, 7, length, 2, (size_t)size, 12, 24};
            if (redisAppendCommandArgv(publishing, 9, arguments, lengths) != REDIS_OK) failed = 1;
            published++;
        }
        redisReply *reply = NULL;
        if (redisGetReply(publishing, (void **)&reply) != REDIS_OK || !reply || reply->type != REDIS_REPLY_STRING) failed = 1;
        if (reply) freeReplyObject(reply);
        confirmed++;
        // What else has come with it, before the next are sent.
        while (confirmed < published && redisGetReplyFromReader(publishing, (void **)&reply) == REDIS_OK && reply) {
            freeReplyObject(reply);
            reply = NULL;
            confirmed++;
        }
        if (loop_turn_wait(&consumer.turn) != 0) failed = 1;
    }
    pthread_join(thread, NULL);
    double seconds = (double)(loop_now() - begin) / 1e9;
    free(body);
    redisFree(publishing);
    redisFree(consuming);
    return failed || consumer.failed ? -1 : seconds;
}
