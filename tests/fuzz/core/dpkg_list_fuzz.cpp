// Fuzz target: the list of paths of a dpkg package, and the same bytes as its diversions.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "core/packages/dpkg/database.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace zoneferry;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    (void)for_each_dpkg_path(text, "list", [](std::string_view path, bool) {
        if (!path.starts_with('/')) std::abort();
        return true;
    });
    (void)parse_dpkg_diversions(text, "diversions");
    return 0;
}
