#include "CBenchmark.h"
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

struct consumer {
    redisContext *connection;
    const char *stream, *group;
    int count;
    uint64_t *latencies;
    int failed;
};

// Reads as many entries as there are, up to 250, and acknowledges each answer's entries with one command.
static void *consume(void *argument) {
    struct consumer *self = argument;
    const char *acknowledge[3 + 250];
    int received = 0;
    while (received < self->count && !self->failed) {
        redisReply *reply = redisCommand(
            self->connection, "XREADGROUP GROUP %s raw COUNT 250 BLOCK 1000 STREAMS %s >", self->group, self->stream);
        if (!reply || reply->type == REDIS_REPLY_ERROR) self->failed = 1;
        if (!reply || reply->type != REDIS_REPLY_ARRAY) {
            if (reply) freeReplyObject(reply);
            continue;
        }
        redisReply *entries = reply->element[0]->element[1];
        acknowledge[0] = "XACK", acknowledge[1] = self->stream, acknowledge[2] = self->group;
        for (size_t index = 0; index < entries->elements; index++) {
            redisReply *fields = entries->element[index]->element[1];
            acknowledge[3 + index] = entries->element[index]->element[0]->str;
            for (size_t field = 0; field + 1 < fields->elements; field += 2) {
                if (strcmp(fields->element[field]->str, "payload") != 0) continue;
                uint64_t sent = 0;
                if (fields->element[field + 1]->len >= sizeof sent) memcpy(&sent, fields->element[field + 1]->str, sizeof sent);
                if (received < self->count) self->latencies[received] = now() - sent;
            }
            received++;
        }
        redisReply *done = redisCommandArgv(self->connection, 3 + (int)entries->elements, acknowledge, NULL);
        if (!done) self->failed = 1;
        else freeReplyObject(done);
        freeReplyObject(reply);
    }
    return NULL;
}

double carillon_redis_loop(int port, const char *stream, const char *group, int count, int in_flight, size_t length, uint64_t *latencies) {
    redisContext *publishing = redisConnect("127.0.0.1", port), *consuming = redisConnect("127.0.0.1", port);
    if (!publishing || !consuming || publishing->err || consuming->err) return -1;
    struct consumer consumer = {consuming, stream, group, count, latencies, 0};
    pthread_t thread;
    if (pthread_create(&thread, NULL, consume, &consumer) != 0) return -1;
    char *body = calloc(1, length);
    uint64_t begin = now();
    int published = 0, confirmed = 0, failed = 0;
    while (confirmed < count && !failed) {
        while (published < count && published - confirmed < in_flight) {
            char identifier[40];
            snprintf(identifier, sizeof identifier, "00000000-0000-4000-8000-%012d", published);
            uint64_t sent = now();
            memcpy(body, &sent, sizeof sent);
            const char *words[] = {"XADD", stream, "*", "id", identifier, "type", "application/octet-stream", "payload", body};
            size_t lengths[] = {4, strlen(stream), 1, 2, strlen(identifier), 4, 24, 7, length};
            if (redisAppendCommandArgv(publishing, 9, words, lengths) != REDIS_OK) failed = 1;
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
    }
    pthread_join(thread, NULL);
    double seconds = (double)(now() - begin) / 1e9;
    free(body);
    redisFree(publishing);
    redisFree(consuming);
    return failed || consumer.failed ? -1 : seconds;
}
