#ifndef CARILLON_CYAML_H
#define CARILLON_CYAML_H
#include <yaml.h>
#endif
