// libgrpc, loaded at its first use and not linked: with the 50 libraries that it needs it costs each start of a process 9 ms and 4 MB, and few of
// ours ever serve KEDA. Every function that we use is defined here under its own name, and calls the one in the library.

#include "CGRPC.h"
#include <dlfcn.h>
#include <pthread.h>

// What it returns, its name, its parameters, and these as arguments; the compiler holds them against the library's own headers.
#define FUNCTIONS(OF) \
    OF(void, grpc_init, (void), ()) \
    OF(void, grpc_shutdown, (void), ()) \
    OF(void, gpr_set_log_verbosity, (gpr_log_severity a), (a)) \
    OF(void, gpr_set_log_function, (gpr_log_func a), (a)) \
    OF(gpr_timespec, gpr_inf_future, (gpr_clock_type a), (a)) \
    OF(grpc_completion_queue *, grpc_completion_queue_create_for_next, (void *a), (a)) \
    OF(grpc_event, grpc_completion_queue_next, (grpc_completion_queue * a, gpr_timespec b, void *c), (a, b, c)) \
    OF(void, grpc_completion_queue_shutdown, (grpc_completion_queue * a), (a)) \
    OF(void, grpc_completion_queue_destroy, (grpc_completion_queue * a), (a)) \
    OF(grpc_server *, grpc_server_create, (const grpc_channel_args *a, void *b), (a, b)) \
    OF(void, grpc_server_register_completion_queue, (grpc_server * a, grpc_completion_queue *b, void *c), (a, b, c)) \
    OF(int, grpc_server_add_http2_port, (grpc_server * a, const char *b, grpc_server_credentials *c), (a, b, c)) \
    OF(void, grpc_server_start, (grpc_server * a), (a)) \
    OF(grpc_call_error, grpc_server_request_call, \
       (grpc_server * a, grpc_call **b, grpc_call_details *c, grpc_metadata_array *d, grpc_completion_queue *e, grpc_completion_queue *f, void *g), \
       (a, b, c, d, e, f, g)) \
    OF(void, grpc_server_shutdown_and_notify, (grpc_server * a, grpc_completion_queue *b, void *c), (a, b, c)) \
    OF(void, grpc_server_cancel_all_calls, (grpc_server * a), (a)) \
    OF(void, grpc_server_destroy, (grpc_server * a), (a)) \
    OF(grpc_server_credentials *, grpc_insecure_server_credentials_create, (void), ()) \
    OF(grpc_server_credentials *, grpc_ssl_server_credentials_create_ex, \
       (const char *a, grpc_ssl_pem_key_cert_pair *b, size_t c, grpc_ssl_client_certificate_request_type d, void *e), (a, b, c, d, e)) \
    OF(void, grpc_server_credentials_release, (grpc_server_credentials * a), (a)) \
    OF(grpc_call_error, grpc_call_start_batch, (grpc_call * a, const grpc_op *b, size_t c, void *d, void *e), (a, b, c, d, e)) \
    OF(void, grpc_call_unref, (grpc_call * a), (a)) \
    OF(void, grpc_call_details_init, (grpc_call_details * a), (a)) \
    OF(void, grpc_call_details_destroy, (grpc_call_details * a), (a)) \
    OF(void, grpc_metadata_array_init, (grpc_metadata_array * a), (a)) \
    OF(void, grpc_metadata_array_destroy, (grpc_metadata_array * a), (a)) \
    OF(grpc_byte_buffer *, grpc_raw_byte_buffer_create, (grpc_slice * a, size_t b), (a, b)) \
    OF(void, grpc_byte_buffer_destroy, (grpc_byte_buffer * a), (a)) \
    OF(int, grpc_byte_buffer_reader_init, (grpc_byte_buffer_reader * a, grpc_byte_buffer *b), (a, b)) \
    OF(void, grpc_byte_buffer_reader_destroy, (grpc_byte_buffer_reader * a), (a)) \
    OF(grpc_slice, grpc_byte_buffer_reader_readall, (grpc_byte_buffer_reader * a), (a)) \
    OF(grpc_slice, grpc_slice_from_copied_buffer, (const char *a, size_t b), (a, b)) \
    OF(grpc_slice, grpc_slice_from_copied_string, (const char *a), (a)) \
    OF(void, grpc_slice_unref, (grpc_slice a), (a))

// Ours are not for the library, which has its own of the same names.
#define HIDDEN __attribute__((visibility("hidden")))
#define FORWARD(RESULT, NAME, PARAMETERS, ARGUMENTS) \
    static RESULT(*NAME##_of_library) PARAMETERS; \
    HIDDEN RESULT NAME PARAMETERS { return NAME##_of_library ARGUMENTS; }
FUNCTIONS(FORWARD)

static char problem[512];

static void load(void) {
    void *const library = dlopen("libgrpc.so.29", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        snprintf(problem, sizeof problem, "%s", dlerror());
        return;
    }
#define FIND(RESULT, NAME, PARAMETERS, ARGUMENTS) \
    if (!(NAME##_of_library = (RESULT(*) PARAMETERS)dlsym(library, #NAME))) snprintf(problem, sizeof problem, "%s", dlerror());
    FUNCTIONS(FIND)
}

const char *carillon_grpc_load(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    return problem[0] ? problem : NULL;
}
