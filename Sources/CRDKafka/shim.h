#ifndef CARILLON_CRDKAFKA_H
#define CARILLON_CRDKAFKA_H
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#endif
