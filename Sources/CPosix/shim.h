// glibc's calls that Swift's Glibc module hides because it is built without _GNU_SOURCE.
#ifndef CARILLON_CPOSIX_H
#define CARILLON_CPOSIX_H
#include <features.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/eventfd.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <pthread.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>

extern int pthread_setname_np(pthread_t, const char *);
extern int posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t *restrict, const char *restrict);
extern int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *, int);
extern pid_t _Fork(void);
extern int close_range(unsigned int, unsigned int, int);
extern int accept4(int, struct sockaddr *restrict, socklen_t *restrict, int);

/// Names the calling thread as `top` and debuggers show it; at most 15 bytes.
static inline void carillon_name_this_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

/// A descriptor that becomes readable when the process ends; -1 with errno set where it cannot be had.
static inline int carillon_pidfd_open(pid_t pid) { return (int)syscall(434, pid, 0); }

/// Which module owns the enumeration behind SOCK_STREAM depends on what else is imported: plain numbers for Swift.
static const int carillon_sock_stream = SOCK_STREAM;
static const int carillon_sock_flags = SOCK_NONBLOCK | SOCK_CLOEXEC;

/// accept4 with non-blocking and close-on-exec.
static inline int carillon_accept(int listener, struct sockaddr *address, socklen_t *length) {
    return accept4(listener, address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/// The folder that a spawned process starts in.
static inline int carillon_spawn_folder(posix_spawn_file_actions_t *actions, const char *folder) {
    return posix_spawn_file_actions_addchdir_np(actions, folder);
}

/// Closes all descriptors from `first` on in a spawned process.
static inline int carillon_spawn_close_from(posix_spawn_file_actions_t *actions, int first) {
    return posix_spawn_file_actions_addclosefrom_np(actions, first);
}

/// A signal to the process behind the descriptor, never to another that got its number.
static inline int carillon_pidfd_send_signal(int descriptor, int signal) { return (int)syscall(424, descriptor, signal, NULL, 0); }

/// Two ends of a gate, closed in every program that is started.
static inline int carillon_gate(int ends[2]) { return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends); }

/// A process, in a group of its own, that waits for a byte at `gate` and then becomes `program`; when the other end is closed without one, it
/// ends. posix_spawn has no such pause. Between fork and exec it calls only what POSIX allows there: other threads may hold any lock.
static inline pid_t carillon_fork_behind_gate(const char *program, char *const arguments[], char *const environment[], int gate) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before); // no handler of ours may run in the child
    pid_t child = _Fork();
    if (child == 0) {
        setpgid(0, 0);
        if (gate != 3) dup2(gate, 3);
        fcntl(3, F_SETFD, FD_CLOEXEC);
        int empty = open("/dev/null", O_RDONLY);
        if (empty >= 0) dup2(empty, 0);
        if (close_range(4, ~0U, 0) != 0) // older kernels
            for (int descriptor = 4; descriptor < 65536; descriptor++) close(descriptor);
        struct sigaction standard = {.sa_flags = 0};
        standard.sa_handler = SIG_DFL;
        for (int number = 1; number < 65; number++) sigaction(number, &standard, NULL);
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        char byte;
        ssize_t count;
        do count = read(3, &byte, 1);
        while (count < 0 && errno == EINTR);
        if (count != 1) _exit(0);
        execve(program, arguments, environment);
        _exit(errno == ENOENT || errno == ENOTDIR ? 127 : 126);
    }
    int number = errno;
    if (child > 0) setpgid(child, child); // whichever of the two is first
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = number;
    return child;
}

/// Reads what is at hand without waiting, whatever the socket's own mode: the flag is one that Swift does not always find.
static inline ssize_t carillon_receive_at_hand(int socket, void *buffer, size_t length) { return recv(socket, buffer, length, MSG_DONTWAIT); }

/// Sends what the socket takes without waiting; a peer that is gone is an error, never a signal.
static inline ssize_t carillon_send_at_hand(int socket, const void *buffer, size_t length) { return send(socket, buffer, length, MSG_DONTWAIT | MSG_NOSIGNAL); }

/// Whether there is something to read, without waiting for it and without taking it.
static inline int carillon_has_input(int socket) { char byte; return recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0; }
#endif
