#ifndef CARILLON_CSQLITE_H
#define CARILLON_CSQLITE_H
#include <sqlite3.h>
/// SQLITE_TRANSIENT is a cast macro that Swift cannot import: the library copies what is bound with it.
static inline sqlite3_destructor_type carillon_sqlite_transient(void) { return SQLITE_TRANSIENT; }
#endif
