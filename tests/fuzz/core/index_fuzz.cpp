// Fuzz target: the index of zones; what it says must be the same after it was written again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "core/zone/index.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace zoneferry;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const ZoneIndex index = ZoneIndex::parse(text);
    const ZoneIndex again = ZoneIndex::parse(index.text());
    if (again.entries().size() < index.entries().size()) std::abort();
    if (index.damage().empty() && again.entries() != index.entries()) std::abort();
    return 0;
}
