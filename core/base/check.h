// ZF_CHECK: for what only a bug in our own code can make false. Always on, also in release: it prints the
// place and aborts, because going on would risk a zone. Never for input, the disk or a peer.
#pragma once

namespace zoneferry {

[[noreturn]] void check_failed(const char* condition, const char* file, int line, const char* detail);

}  // namespace zoneferry

#define ZF_CHECK(condition)                                                              \
    do {                                                                                 \
        if (!(condition)) ::zoneferry::check_failed(#condition, __FILE__, __LINE__, ""); \
    } while (false)
