#ifndef CARILLON_COPENSSL_H
#define CARILLON_COPENSSL_H
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

// What OpenSSL offers as macros only.
static inline int carillon_tls_minimum(SSL_CTX *context) { return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION); }
static inline int carillon_tls_server_name(SSL *session, const char *name) { return (int)SSL_set_tlsext_host_name(session, name); }
static inline int carillon_bio_pending(BIO *bio) { return BIO_pending(bio); }
/// A write may be repeated with the same bytes at another address, and may take a part only.
static inline void carillon_tls_modes(SSL_CTX *context) {
    SSL_CTX_set_mode(context, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_ENABLE_PARTIAL_WRITE);
}
#endif
