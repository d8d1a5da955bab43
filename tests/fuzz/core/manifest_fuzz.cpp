// Fuzz target: a detached manifest; what is taken must come back as it was written.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "core/attach/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace zoneferry;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto manifest = parse_manifest(text);
    if (!manifest) return 0;
    const auto again = parse_manifest(manifest_text(*manifest));
    if (!again || *again != *manifest) std::abort();
    return 0;
}
