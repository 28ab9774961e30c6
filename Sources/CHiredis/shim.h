#ifndef CARILLON_CHIREDIS_H
#define CARILLON_CHIREDIS_H
#include <sys/time.h>
#include <hiredis/hiredis.h>
#endif
