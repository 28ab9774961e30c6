// libcurl's variadic calls, one inline function for each type of argument.
#ifndef CARILLON_CCURL_H
#define CARILLON_CCURL_H
#include <features.h>
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <netinet/in.h>
#include <sys/socket.h>

typedef size_t (*carillon_curl_receiver)(char *bytes, size_t size, size_t count, void *context);

static inline CURLcode carillon_curl_set_long(CURL *easy, CURLoption option, long value) { return curl_easy_setopt(easy, option, value); }
static inline CURLcode carillon_curl_set_offset(CURL *easy, CURLoption option, curl_off_t value) { return curl_easy_setopt(easy, option, value); }
static inline CURLcode carillon_curl_set_text(CURL *easy, CURLoption option, const char *value) { return curl_easy_setopt(easy, option, value); }
static inline CURLcode carillon_curl_set_pointer(CURL *easy, CURLoption option, void *value) { return curl_easy_setopt(easy, option, value); }
static inline CURLcode carillon_curl_set_bytes(CURL *easy, CURLoption option, const void *value) { return curl_easy_setopt(easy, option, value); }
static inline CURLcode carillon_curl_set_list(CURL *easy, CURLoption option, struct curl_slist *value) { return curl_easy_setopt(easy, option, value); }
static inline CURLcode carillon_curl_set_receiver(CURL *easy, CURLoption option, carillon_curl_receiver value) { return curl_easy_setopt(easy, option, value); }
/// The bytes are copied.
static inline CURLcode carillon_curl_set_blob(CURL *easy, CURLoption option, const void *bytes, size_t length) {
    struct curl_blob blob = {(void *)bytes, length, CURL_BLOB_COPY};
    return curl_easy_setopt(easy, option, &blob);
}
static inline CURLcode carillon_curl_get_pointer(CURL *easy, CURLINFO info, void **value) { return curl_easy_getinfo(easy, info, value); }
static inline CURLcode carillon_curl_get_offset(CURL *easy, CURLINFO info, curl_off_t *value) { return curl_easy_getinfo(easy, info, value); }
static inline CURLMcode carillon_curl_multi_set_long(CURLM *multi, CURLMoption option, long value) { return curl_multi_setopt(multi, option, value); }

/// Says whether a connection to an address of `length` bytes (4 or 16) may be made.
typedef int (*carillon_curl_judge)(void *context, const unsigned char *address, int length);
typedef struct { carillon_curl_judge judge; void *context; } carillon_curl_door;

static inline curl_socket_t carillon_curl_open_door(void *given, curlsocktype purpose, struct curl_sockaddr *target) {
    carillon_curl_door *door = given;
    const void *address = &target->addr;  // libcurl keeps the whole address here, also where it is longer than a sockaddr
    (void)purpose;
    if (target->family == AF_INET) {
        if (!door->judge(door->context, (const unsigned char *)&((const struct sockaddr_in *)address)->sin_addr, 4)) return CURL_SOCKET_BAD;
    } else if (target->family == AF_INET6) {
        if (!door->judge(door->context, (const unsigned char *)&((const struct sockaddr_in6 *)address)->sin6_addr, 16)) return CURL_SOCKET_BAD;
    } else {
        return CURL_SOCKET_BAD;
    }
    return socket(target->family, target->socktype | SOCK_CLOEXEC, target->protocol);
}

/// Every connection of this transfer is judged by its real address. `door` must live as long as the transfer.
static inline CURLcode carillon_curl_set_door(CURL *easy, carillon_curl_door *door) {
    CURLcode code = curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, carillon_curl_open_door);
    return code != CURLE_OK ? code : curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, door);
}

static const size_t carillon_curl_pause = CURL_WRITEFUNC_PAUSE;
static const long carillon_curl_tls12 = CURL_SSLVERSION_TLSv1_2;
static const long carillon_curl_http11 = CURL_HTTP_VERSION_1_1;
static const long carillon_curl_basic = CURLAUTH_BASIC;
static const int carillon_curl_receive_and_send = CURLPAUSE_CONT;

/// The easy handle's transfer is over; NULL where the message says something else.
static inline CURL *carillon_curl_finished(const CURLMsg *message, CURLcode *result) {
    if (message->msg != CURLMSG_DONE) return NULL;
    *result = message->data.result;
    return message->easy_handle;
}
#endif
