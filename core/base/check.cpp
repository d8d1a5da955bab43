#include "core/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace zoneferry {

void check_failed(const char* condition, const char* file, int line, const char* detail) {
    std::fprintf(stderr, "zoneferry: internal error at %s:%d: %s is false %s\n", file, line, condition, detail);
    std::abort();
}

}  // namespace zoneferry
