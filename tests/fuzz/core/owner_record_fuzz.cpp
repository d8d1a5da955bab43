// Fuzz target: the owner record; one that is taken is written as exactly the same bytes, but for leading zeros.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "core/zone/owner_record.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace zoneferry;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto record = parse_owner_record(text);
    if (!record) return 0;
    const auto again = parse_owner_record(owner_record_text(*record));
    if (!again || *again != *record) std::abort();
    return 0;
}
