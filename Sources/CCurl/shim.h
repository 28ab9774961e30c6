#ifndef CARILLON_CCURL_H
#define CARILLON_CCURL_H
#include <curl/curl.h>
#endif
