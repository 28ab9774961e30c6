#ifndef CARILLON_CGIT2_H
#define CARILLON_CGIT2_H
#include <git2.h>
#endif
