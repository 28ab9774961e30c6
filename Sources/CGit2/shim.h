#ifndef CARILLON_CGIT2_H
#define CARILLON_CGIT2_H
#include <git2.h>
#include <signal.h>
#include <string.h>

// git_libgit2_opts is variadic, which Swift does not import.

/// Starts the library (it counts) and sets what a server that only reads needs: files of other owners are read (nothing of them is ever run),
/// and trees and commits are not kept in the library's own cache, since Carillon keeps what it made of them.
static inline int carillon_git_start(const char *agent) {
    int started = git_libgit2_init();
    if (started < 0) return started;
    git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
    git_libgit2_opts(GIT_OPT_SET_USER_AGENT, agent);
    git_libgit2_opts(GIT_OPT_SET_CACHE_MAX_SIZE, (ssize_t)(4 * 1024 * 1024));
    return started;
}

static inline int carillon_git_fetch_options(git_fetch_options *options) {
    return git_fetch_options_init(options, GIT_FETCH_OPTIONS_VERSION);
}

static inline int carillon_git_callbacks(git_remote_callbacks *callbacks) {
    return git_remote_init_callbacks(callbacks, GIT_REMOTE_CALLBACKS_VERSION);
}

static inline int carillon_git_proxy(git_proxy_options *options) {
    return git_proxy_options_init(options, GIT_PROXY_OPTIONS_VERSION);
}

/// A signal that nothing else uses; its only effect is that the system call of the thread it is sent to ends.
static inline int carillon_interrupt_signal(void) { return SIGRTMIN + 6; }
static void carillon_no_effect(int number) { (void)number; }
/// Makes the calling thread one that can be interrupted: threads made by a pool's threads inherit a mask that blocks every signal.
static inline int carillon_prepare_interrupts(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = carillon_no_effect;
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, carillon_interrupt_signal());
    int failed = sigaction(carillon_interrupt_signal(), &action, NULL);
    return failed ? failed : pthread_sigmask(SIG_UNBLOCK, &only, NULL);
}
#endif
