// Fuzz target: a zone configuration; one that keeps the rules must come back as it was written.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "core/zone/config_xml.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace zoneferry;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto config = parse_zone_document(text);
    if (!config || !verify_config(*config)) return 0;
    const auto again = parse_zone_document(zone_document(*config));
    if (!again || *again != *config) std::abort();
    return 0;
}
