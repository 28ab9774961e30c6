#ifndef CARILLON_COPENSSL_H
#define CARILLON_COPENSSL_H
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/crypto.h>
#endif
