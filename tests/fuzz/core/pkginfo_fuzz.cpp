// Fuzz target: the pkginfo of an installed SVR4 package; one that is taken has a version. The same bytes as a depend
// file.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "core/packages/svr4/pkginfo.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace zoneferry;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto package = parse_pkginfo(text, "pkginfo");
    if (package && package->version.empty()) std::abort();
    (void)parse_depend(text);
    return 0;
}
