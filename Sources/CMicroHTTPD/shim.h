#ifndef CARILLON_CMICROHTTPD_H
#define CARILLON_CMICROHTTPD_H
#include <microhttpd.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#endif
