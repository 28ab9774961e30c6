#ifndef CARILLON_CZLIB_H
#define CARILLON_CZLIB_H
#include <zlib.h>

/// inflateInit2 is a macro, which Swift does not import.
static inline int carillon_inflate_begin(z_streamp stream, int window_bits) { return inflateInit2(stream, window_bits); }
#endif
