// Fuzz target: the dpkg status file; a package that is taken has a name, and its version is equal to itself.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "core/packages/dpkg/status.h"
#include "core/packages/dpkg/version.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace zoneferry;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto packages = parse_dpkg_status(text, "status");
    if (!packages) return 0;
    for (const DpkgPackage& package : *packages) {
        if (package.name.empty() || compare_dpkg_versions(package.version, package.version) != 0) std::abort();
    }
    return 0;
}
